//! Bound values, the same for both engines.

use std::sync::{Arc, LazyLock};

use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::types::{Json, JsonRawValue};

use crate::domain::id::{InboundId, JoinId, NodeId, NoticeId, RecipientId, RunId, VersionId};
use crate::domain::message::MessageState;
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

impl Value {
    /// NULL of the same type, where there is one.
    pub(super) fn nothing(&self) -> Self {
        match self {
            Self::Int(_) => Self::Int(None),
            Self::Real(_) => Self::Real(None),
            Self::Text(_) => Self::Text(None),
            Self::Blob(_) => Self::Blob(None),
            Self::Bool(_) | Self::Json(_) | Self::WrittenJson(_) => self.clone(),
        }
    }
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
         RunId => |v: RunId| v.0, VersionId => |v: VersionId| v.0, NodeId => |v: NodeId| v.0, NoticeId => |v: NoticeId| v.0,
         JoinId => |v: JoinId| v.0, InboundId => |v: InboundId| v.0;
    Real: f64 => |v| v;
    Text: String => Arc::from, &str => Arc::from, Arc<str> => |v| v;
    Blob: Vec<u8> => |v| v, &[u8] => <[u8]>::to_vec;
}

/// The word of a state, shared by many marks.
impl From<MessageState> for Value {
    fn from(state: MessageState) -> Self {
        static WORDS: LazyLock<[(MessageState, Arc<str>); MessageState::ALL.len()]> =
            LazyLock::new(|| MessageState::ALL.map(|state| (state, state.as_str().into())));
        let word = WORDS.iter().find(|(known, _)| *known == state).map(|(_, word)| Arc::clone(word));
        word.unwrap_or_else(|| state.as_str().into()).into()
    }
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

/// Adds values to an engine's arguments; `$written` is how it takes JSON that is written already.
macro_rules! add {
    ($values:expr, $arguments:expr, $written:expr) => {{
        for value in $values {
            match value {
                Value::Int(v) => $arguments.add(v),
                Value::Real(v) => $arguments.add(v),
                Value::Text(v) => $arguments.add(v),
                Value::Blob(v) => $arguments.add(v),
                Value::Bool(v) => $arguments.add(v),
                Value::Json(v) => $arguments.add(v),
                Value::WrittenJson(v) => $arguments.add($written(v)?),
            }
            .map_err(sqlx::Error::Encode)?;
        }
    }};
}

/// Adds values to those of a SQLite statement.
pub(super) fn add_to_sqlite(values: Vec<Value>, arguments: &mut SqliteArguments) -> sqlx::Result<()> {
    add!(values, arguments, Ok::<Arc<str>, sqlx::Error>);
    Ok(())
}

/// The values as those of a SQLite statement.
pub(super) fn for_sqlite(values: Vec<Value>) -> sqlx::Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    add_to_sqlite(values, &mut arguments)?;
    Ok(arguments)
}

/// The values as those of a PostgreSQL statement.
pub(super) fn for_postgres(values: Vec<Value>) -> sqlx::Result<PgArguments> {
    let raw = |text: Arc<str>| match JsonRawValue::from_string(String::from(&*text)) {
        Ok(json) => Ok(Json(json)),
        Err(error) => Err(sqlx::Error::Encode(error.into())),
    };
    let mut arguments = PgArguments::default();
    add!(values, arguments, raw);
    Ok(arguments)
}
