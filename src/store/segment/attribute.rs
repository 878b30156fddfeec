//! Attributes: JSON values, of which one of another type than the declared is as good as missing.

use super::Writer;
use crate::domain::segment::AttributeTest;
use crate::store::EngineKind;

impl Writer<'_> {
    pub(super) fn attribute(&mut self, name: &str, test: &AttributeTest) -> String {
        let name = self.bind(name);
        let sqlite = self.kind == EngineKind::Sqlite;
        match test {
            AttributeTest::Text(test) | AttributeTest::Date(test) => {
                let text = if sqlite {
                    format!("CASE json_type(r.attributes -> {name}) WHEN 'text' THEN r.attributes ->> {name} END")
                } else {
                    format!(
                        "CASE jsonb_typeof(r.attributes -> {name}) WHEN 'string' THEN r.attributes ->> {name} END COLLATE \"C\""
                    )
                };
                self.test(&format!("({text})"), test)
            }
            AttributeTest::Number(test) => {
                let number = if sqlite {
                    format!(
                        "CASE WHEN json_type(r.attributes -> {name}) IN ('integer', 'real') THEN CAST(r.attributes ->> {name} AS REAL) END"
                    )
                } else {
                    format!(
                        "CASE jsonb_typeof(r.attributes -> {name}) WHEN 'number' THEN CAST(r.attributes ->> {name} AS DOUBLE PRECISION) END"
                    )
                };
                self.test(&format!("({number})"), test)
            }
            AttributeTest::Bool(test) => {
                let value = if sqlite {
                    format!("CASE json_type(r.attributes -> {name}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END")
                } else {
                    format!(
                        "CASE jsonb_typeof(r.attributes -> {name}) WHEN 'boolean' THEN CAST(r.attributes ->> {name} AS BOOLEAN) END"
                    )
                };
                self.test(&format!("({value})"), test)
            }
        }
    }
}
