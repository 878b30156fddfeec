//! Recipients: looking them up, and the row lock that every write of a permission takes first.

use std::collections::HashMap;

use sqlx::types::Json;

use super::{EngineKind, Result, Session, Value, keys, list, past};
use crate::args;
use crate::domain::address::Address;
use crate::domain::id::RecipientId;
use crate::domain::pace::OwnLimit;
use crate::domain::time::Micros;

/// Attributes by name, in the order in which they were stored.
pub type Attributes = serde_json::Map<String, serde_json::Value>;

/// A recipient as stored.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Who.
    pub id: RecipientId,
    /// The normal form; none once erased.
    pub address: Option<Address>,
    /// Strings, numbers, booleans; dates are ISO strings.
    pub attributes: Attributes,
    /// Whether hits may be kept with the person.
    pub tracking: bool,
    /// No mailings before this instant.
    pub paused_until: Option<Micros>,
    /// At most so many mailings.
    pub limit: Option<OwnLimit>,
    /// When the person came in.
    pub created_at: Micros,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: i64,
    address: Option<String>,
    attributes: Json<Attributes>,
    tracking: bool,
    paused_until: Option<i64>,
    limit_count: Option<i64>,
    limit_days: Option<i64>,
    created_at: i64,
}

impl From<Stored> for Recipient {
    fn from(row: Stored) -> Self {
        Self {
            id: RecipientId(row.id),
            address: row.address.map(Address::from_normalised),
            attributes: row.attributes.0,
            tracking: row.tracking,
            paused_until: row.paused_until.map(Micros),
            limit: row.limit_count.zip(row.limit_days).and_then(|(count, days)| {
                Some(OwnLimit { count: count.try_into().ok()?, days: days.try_into().ok()? })
            }),
            created_at: Micros(row.created_at),
        }
    }
}

const BY_ADDRESS: &str = "SELECT id, address, attributes, tracking, paused_until, limit_count, limit_days, created_at FROM recipients WHERE LOWER(address) = LOWER($1)";
const BY_ID: &str = "SELECT id, address, attributes, tracking, paused_until, limit_count, limit_days, created_at FROM recipients WHERE id = $1";
const LOCK: &str = "SELECT id, address, attributes, tracking, paused_until, limit_count, limit_days, created_at FROM recipients WHERE id = $1 FOR UPDATE";

const SET_ATTRIBUTES: &str = "UPDATE recipients SET attributes = $2, revision = revision + 1 WHERE id = $1";

pub(super) const STATEMENTS: &[&str] = &[BY_ADDRESS, BY_ID, SET_ATTRIBUTES];

/// The recipient with this address.
///
/// # Errors
/// When the database refuses.
pub async fn find(session: &mut Session, address: &Address) -> Result<Option<Recipient>> {
    Ok(session.first::<Stored>(BY_ADDRESS, args![address.as_str()]).await?.map(Recipient::from))
}

/// The recipient with this number, erased or not.
///
/// # Errors
/// When the database refuses.
pub async fn by_id(session: &mut Session, id: RecipientId) -> Result<Option<Recipient>> {
    Ok(session.first::<Stored>(BY_ID, args![id]).await?.map(Recipient::from))
}

/// Locks the recipient's row until the transaction ends, so that nobody claims a message for the
/// person in between, and reads it. `None` when there is no such person, or when it is erased.
///
/// # Errors
/// When the database refuses.
pub async fn lock(session: &mut Session, id: RecipientId) -> Result<Option<Recipient>> {
    // A write transaction of SQLite is alone anyway.
    let sql = match session.kind() {
        EngineKind::Sqlite => BY_ID,
        EngineKind::Postgres => LOCK,
    };
    let row = session.first::<Stored>(sql, args![id]).await?;
    Ok(row.map(Recipient::from).filter(|r| r.address.is_some()))
}

/// Locks several people at once, in the order of their numbers.
///
/// # Errors
/// When the database refuses.
pub(super) async fn lock_all(session: &mut Session, people: &[i64]) -> Result<()> {
    // A write transaction of SQLite is alone anyway.
    if session.kind() == EngineKind::Postgres && !people.is_empty() {
        let (places, args) = keys(1, people);
        let sql = format!("SELECT id FROM recipients WHERE id IN ({places}) ORDER BY id FOR UPDATE");
        session.all::<(i64,)>(sql, args).await?;
    }
    Ok(())
}

/// Changes what a person's attributes are, and locks the person for it, as long as `still` says that the address is the
/// one that it is about. `None` when it is another one, when there is no such person, or when it is erased.
///
/// # Errors
/// When the database refuses.
pub async fn set_attributes(
    session: &mut Session,
    id: RecipientId,
    still: impl FnOnce(&Address) -> bool,
    change: impl FnOnce(&Attributes) -> Attributes,
    at: Micros,
) -> Result<Option<Recipient>> {
    let person = lock(session, id).await?.filter(|person| person.address.as_ref().is_some_and(still));
    let Some(person) = person else { return Ok(None) };
    let attributes = change(&person.attributes);
    replace_attributes(session, person, attributes, at).await.map(Some)
}

/// Gives somebody whom the caller has locked these attributes; those that mail went out with are kept apart.
pub(super) async fn replace_attributes(
    session: &mut Session,
    person: Recipient,
    attributes: Attributes,
    at: Micros,
) -> Result<Recipient> {
    if attributes != person.attributes {
        session.execute(past::keeping("$1", "($2)"), args![at, person.id]).await?;
        session.change(1, SET_ATTRIBUTES, args![person.id, attributes.clone()]).await?;
    }
    Ok(Recipient { attributes, ..person })
}

/// Who has these addresses, by folded address, and whether hits may be kept with each. In a transaction of
/// PostgreSQL they are not erased before it ends.
///
/// # Errors
/// When the database refuses.
pub async fn resolve(session: &mut Session, addresses: &[&Address]) -> Result<HashMap<String, (RecipientId, bool)>> {
    let Some(last) = addresses.last() else { return Ok(HashMap::new()) };
    let (placeholders, len) = list(1, addresses.len());
    let lock = match session.kind() {
        EngineKind::Sqlite => "",
        EngineKind::Postgres => " ORDER BY id FOR KEY SHARE",
    };
    let sql = format!("SELECT id, address, tracking FROM recipients WHERE LOWER(address) IN ({placeholders}){lock}");
    let values = addresses.iter().chain(std::iter::repeat(last)).take(len).map(|a| Value::from(a.folded()));
    let found: Vec<(i64, String, bool)> = session.all(sql, values.collect()).await?;
    Ok(found
        .into_iter()
        .map(|(id, address, tracking)| (address.to_ascii_lowercase(), (RecipientId(id), tracking)))
        .collect())
}
