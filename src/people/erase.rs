//! `colloquy recipient erase`: a person's right to be forgotten, and never to be mailed again.

use aws_lc_rs::hmac;

use super::Result;
use crate::domain::address::Address;
use crate::domain::time::Micros;
use crate::store::{Store, erasure, recipients, suppressions};

/// Erases a person, and suppresses the address under the reason `erased`, whether it is known or not.
/// `false` when it is not known.
///
/// # Errors
/// When the database refuses; then nothing was changed.
pub async fn erase(store: &Store, key: &hmac::Key, address: &Address, at: Micros) -> Result<bool> {
    let mut session = store.write().await?;
    suppressions::add(&mut session, &[(address.clone(), address.hash(key))], at, "erased").await?;
    let erased = match recipients::find(&mut session, address).await? {
        Some(person) => erasure::erase(&mut session, person.id, at).await?,
        None => false,
    };
    session.commit().await?;
    store.scrub().await?;
    Ok(erased)
}
