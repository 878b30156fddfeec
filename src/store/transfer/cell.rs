//! One value of a row, in a form that is the same for both engines.

use aws_lc_rs::digest::Context;
use serde_json::Value as Json;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

/// What a column of PostgreSQL takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    Text,
    Bytes,
    Boolean,
    Json,
}

impl Kind {
    /// By the name of a type in the information schema.
    pub fn of(data_type: &str) -> Option<Self> {
        Some(match data_type {
            "bigint" => Self::Integer,
            "double precision" => Self::Real,
            "text" => Self::Text,
            "bytea" => Self::Bytes,
            "boolean" => Self::Boolean,
            "jsonb" => Self::Json,
            _ => return None,
        })
    }

    /// The type of the elements of a list of such values.
    pub fn list(self) -> &'static str {
        match self {
            Self::Integer => "bigint",
            Self::Real => "double precision",
            Self::Text | Self::Json => "text",
            Self::Bytes => "bytea",
            Self::Boolean => "boolean",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
    Boolean(bool),
}

impl Cell {
    /// A cell of the source as the target can hold it: without NUL in texts, JSON in one form.
    pub fn from_sqlite(row: &SqliteRow, place: usize, kind: Kind, replaced: &mut u64) -> Result<Self, String> {
        let text = |text: String, replaced: &mut u64| {
            *replaced += u64::from(text.contains('\0'));
            Self::Text(text.replace('\0', "\u{fffd}"))
        };
        let failed = |error: sqlx::Error| error.to_string();
        let cell = match kind {
            Kind::Integer => row.try_get_unchecked::<Option<i64>, _>(place).map_err(failed)?.map(Self::Integer),
            Kind::Real => row.try_get_unchecked::<Option<f64>, _>(place).map_err(failed)?.map(Self::Real),
            Kind::Boolean => row.try_get_unchecked::<Option<bool>, _>(place).map_err(failed)?.map(Self::Boolean),
            Kind::Bytes => row.try_get_unchecked::<Option<Vec<u8>>, _>(place).map_err(failed)?.map(Self::Bytes),
            Kind::Text => {
                row.try_get_unchecked::<Option<String>, _>(place).map_err(failed)?.map(|of| text(of, replaced))
            }
            Kind::Json => match row.try_get_unchecked::<Option<String>, _>(place).map_err(failed)? {
                Some(json) => {
                    let json = serde_json::from_str(&json).map_err(|error| error.to_string())?;
                    Some(text(canonical(json, replaced).to_string(), replaced))
                }
                None => None,
            },
        };
        Ok(cell.unwrap_or(Self::Null))
    }

    pub fn from_postgres(row: &PgRow, place: usize, kind: Kind) -> sqlx::Result<Self> {
        let cell = match kind {
            Kind::Integer => row.try_get::<Option<i64>, _>(place)?.map(Self::Integer),
            Kind::Real => row.try_get::<Option<f64>, _>(place)?.map(Self::Real),
            Kind::Boolean => row.try_get::<Option<bool>, _>(place)?.map(Self::Boolean),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(Self::Bytes),
            Kind::Text => row.try_get::<Option<String>, _>(place)?.map(Self::Text),
            Kind::Json => row.try_get::<Option<String>, _>(place)?.map(|json| {
                let json = serde_json::from_str(&json).map(|json| canonical(json, &mut 0).to_string());
                Self::Text(json.unwrap_or_default())
            }),
        };
        Ok(cell.unwrap_or(Self::Null))
    }

    /// Adds it to a checksum, so that no two rows read alike.
    pub fn add_to(&self, hash: &mut Context) {
        let (tag, octets): (u8, &[u8]) = match self {
            Self::Null => (0, &[]),
            Self::Integer(of) => (1, &of.to_be_bytes()),
            Self::Real(of) => (2, &of.to_bits().to_be_bytes()),
            Self::Text(of) => (3, of.as_bytes()),
            Self::Bytes(of) => (4, of),
            Self::Boolean(of) => (5, &[u8::from(*of)]),
        };
        hash.update(&[tag]);
        hash.update(&(octets.len() as u64).to_be_bytes());
        hash.update(octets);
    }

    /// About how many octets it takes.
    pub fn size(&self) -> usize {
        16 + match self {
            Self::Text(of) => of.len(),
            Self::Bytes(of) => of.len(),
            _ => 0,
        }
    }
}

/// Keys in one order, numbers in one form: PostgreSQL keeps what JSON means and not how it was written.
fn canonical(json: Json, replaced: &mut u64) -> Json {
    match json {
        Json::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (clean(key, replaced), value)).collect();
            entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            Json::Object(entries.into_iter().map(|(key, value)| (key, canonical(value, replaced))).collect())
        }
        Json::Array(list) => list.into_iter().map(|value| canonical(value, replaced)).collect(),
        Json::String(text) => Json::String(clean(text, replaced)),
        // 2.0 and 2 are the same number; what no i64 holds is a double, however it is written.
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(real)) if real.fract() == 0.0 && real.abs() < 9.2e18 => Json::from(real as i64),
            (None, Some(real)) => Json::from(real),
            _ => Json::Number(number),
        },
        other => other,
    }
}

fn clean(text: String, replaced: &mut u64) -> String {
    if !text.contains('\0') {
        return text;
    }
    *replaced += 1;
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_means_the_same_reads_the_same() {
        let form = |text: &str| canonical(serde_json::from_str(text).unwrap(), &mut 0).to_string();
        assert_eq!(form(r#"{"b": 2.0, "a": [1e2, "x"]}"#), form(r#"{"a":[100,"x"],"b":2}"#));
        assert_ne!(form(r#"{"a": 2}"#), form(r#"{"a": "2"}"#));
        assert_ne!(form(r#"{"a": 2.5}"#), form(r#"{"a": 2}"#));
        assert_eq!(form("[1e16, 9.876543210987655e18]"), form("[10000000000000000, 9876543210987655000]"));
        assert_eq!(form("[4.810526842676075e27]"), form("[4810526842676075000000000000]"));
        let mut replaced = 0;
        let json = serde_json::from_str(r#"{"a\u0000": "b\u0000"}"#).unwrap();
        assert_eq!(canonical(json, &mut replaced).to_string(), "{\"a\u{fffd}\":\"b\u{fffd}\"}");
        assert_eq!(replaced, 2);
    }
}
