//! Bound values, the same for both engines.

use std::sync::Arc;

use crate::domain::id::{NodeId, RecipientId, RunId, VersionId};
use crate::domain::time::Micros;

/// A value bound to a statement. `None` is SQL's NULL of that type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// BIGINT.
    Int(Option<i64>),
    /// DOUBLE PRECISION.
    Real(Option<f64>),
    /// TEXT.
    Text(Option<Arc<str>>),
    /// BYTEA or BLOB.
    Blob(Option<Vec<u8>>),
    /// BOOLEAN.
    Bool(bool),
    /// JSONB on PostgreSQL, text on SQLite.
    Json(serde_json::Value),
    /// The same, written already.
    WrittenJson(Arc<str>),
}

macro_rules! from {
    ($($variant:ident: $($from:ty => $into:expr),+;)+) => {
        $($(
            impl From<$from> for Value {
                fn from(value: $from) -> Self {
                    Self::$variant(Some($into(value)))
                }
            }
            impl From<Option<$from>> for Value {
                fn from(value: Option<$from>) -> Self {
                    Self::$variant(value.map($into))
                }
            }
        )+)+
    };
}

from! {
    Int: i64 => |v| v, u32 => i64::from, u16 => i64::from, Micros => |v: Micros| v.0, RecipientId => |v: RecipientId| v.0,
         RunId => |v: RunId| v.0, VersionId => |v: VersionId| v.0, NodeId => |v: NodeId| v.0;
    Real: f64 => |v| v;
    Text: String => Arc::from, &str => Arc::from, Arc<str> => |v| v;
    Blob: Vec<u8> => |v| v, &[u8] => <[u8]>::to_vec;
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::Json(value)
    }
}

impl From<serde_json::Map<String, serde_json::Value>> for Value {
    fn from(value: serde_json::Map<String, serde_json::Value>) -> Self {
        Self::Json(serde_json::Value::Object(value))
    }
}
