//! What is stored about a person as a table, for whoever opens it with a spreadsheet.

use serde_json::Value;

const HEADER: [&str; 4] = ["about", "number", "field", "value"];

/// A JSON object as CSV, a line for each value: what it is about, the number of its entry where there are several,
/// the field, the value. Text that a spreadsheet would take for a formula stands behind an apostrophe.
#[must_use]
pub fn csv(person: &Value) -> Vec<u8> {
    let mut lines = Lines(csv::Writer::from_writer(Vec::new()));
    lines.write(HEADER);
    for (about, value) in person.as_object().into_iter().flatten() {
        match value {
            Value::Array(entries) => {
                for (number, entry) in (1..).zip(entries) {
                    lines.value(about, &number.to_string(), "", entry);
                }
            }
            Value::Object(_) => lines.value(about, "", "", value),
            _ => lines.value("person", "", about, value),
        }
    }
    lines.0.into_inner().unwrap_or_default()
}

struct Lines(csv::Writer<Vec<u8>>);

impl Lines {
    fn value(&mut self, about: &str, number: &str, field: &str, value: &Value) {
        let text = match value {
            Value::Null => return,
            Value::Object(fields) => {
                for (name, value) in fields {
                    let field = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
                    self.value(about, number, &field, value);
                }
                return;
            }
            Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.write([about, number, field, &text]);
    }

    fn write(&mut self, line: [&str; 4]) {
        // Into memory, and each line has as many cells as the first.
        let _ = self.0.write_record(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_value_has_a_line_and_none_is_a_formula() {
        let person = json!({
            "address": "anna@example.org",
            "paused_until": null,
            "tracking": true,
            "attributes": {"first_name": "=cmd()", "age": -3, "motto": "a, \"b\""},
            "subscriptions": [{"topic": "news", "subscribed": true}, {"topic": "offers", "subscribed": false}],
            "timeline": [{"kind": "consent", "proof": {"channel": "import", "run": null}}],
        });
        let text = String::from_utf8(csv(&person)).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.remove(0), "about,number,field,value");
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "attributes,,age,-3",
                "attributes,,first_name,'=cmd()",
                "attributes,,motto,\"a, \"\"b\"\"\"",
                "person,,address,anna@example.org",
                "person,,tracking,true",
                "subscriptions,1,subscribed,true",
                "subscriptions,1,topic,news",
                "subscriptions,2,subscribed,false",
                "subscriptions,2,topic,offers",
                "timeline,1,kind,consent",
                "timeline,1,proof.channel,import",
            ]
        );
    }
}
