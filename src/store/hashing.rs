//! Under which key a database's addresses are hashed. With another one nobody who is suppressed would be recognised.

use aws_lc_rs::hmac;

use super::{Result, Session, Store};
use crate::args;
use crate::domain::address::Address;
use crate::domain::hex::hex;

const NOTED: &str = "SELECT value FROM facts WHERE name = 'suppression_key'";
const NOTE: &str = "INSERT INTO facts (name, value) VALUES ('suppression_key', $1) ON CONFLICT (name) DO NOTHING";
const HASHED: &str =
    "SELECT address, address_hash FROM recipients WHERE address IS NOT NULL AND address_hash IS NOT NULL LIMIT 1";

pub(super) const STATEMENTS: &[&str] = &[NOTED, NOTE, HASHED];

/// Whether a key is the database's; the first that comes to an empty one becomes it.
///
/// # Errors
/// When the database refuses.
pub async fn adopt(store: &Store, key: &hmac::Key) -> Result<bool> {
    let mut session = store.read().await?;
    if let Some(fits) = is_noted(&mut session, key).await? {
        return Ok(fits);
    }
    if hashes(&mut session, key).await? == Some(false) {
        return Ok(false);
    }
    drop(session);
    let mut tx = store.write().await?;
    tx.execute(NOTE, args![print(key)]).await?;
    let fits = is_noted(&mut tx, key).await?;
    tx.commit().await?;
    Ok(fits.unwrap_or(false))
}

/// Whether a key is the database's; `None` where any would be.
///
/// # Errors
/// When the database refuses.
pub async fn fits(session: &mut Session, key: &hmac::Key) -> Result<Option<bool>> {
    match is_noted(session, key).await? {
        None => hashes(session, key).await,
        noted => Ok(noted),
    }
}

/// Whether a key is the one that was noted; `None` where none was.
async fn is_noted(session: &mut Session, key: &hmac::Key) -> Result<Option<bool>> {
    let noted = session.first::<(String,)>(NOTED, vec![]).await?;
    Ok(noted.map(|(noted,)| noted == print(key)))
}

/// Whether somebody's address is hashed under a key; `None` where nobody has one.
async fn hashes(session: &mut Session, key: &hmac::Key) -> Result<Option<bool>> {
    let found = session.first::<(String, Vec<u8>)>(HASHED, vec![]).await?;
    Ok(found.map(|(address, hash)| Address::from_normalised(address).hash(key).as_slice() == hash))
}

/// What tells a key from others, and nothing of it.
fn print(key: &hmac::Key) -> String {
    hex(&hmac::sign(key, b"which key this is").as_ref()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_key_of_the_first_people_stays_the_databases_when_they_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:t.db", dir.path()).await.unwrap();
        let [own, other] = [1, 2].map(|n| hmac::Key::new(hmac::HMAC_SHA256, &[n; 32]));
        let hash = Address::from_normalised("a@x.example".into()).hash(&own);
        let insert = "INSERT INTO recipients (address, domain, address_hash, created_at) VALUES ($1, 'x', $2, 1)";
        let mut tx = store.write().await.unwrap();
        tx.execute(insert, args!["a@x.example", hash.to_vec()]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!adopt(&store, &other).await.unwrap());
        assert!(adopt(&store, &own).await.unwrap());
        let mut tx = store.write().await.unwrap();
        tx.execute("DELETE FROM recipients", vec![]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!adopt(&store, &other).await.unwrap());
        assert!(adopt(&store, &own).await.unwrap());
    }
}
