//! `colloquy consent verify`: whether the ledger of permissions is what was written.

use serde::Serialize;

use super::Result;
use crate::domain::consent::Chain;
use crate::domain::id::RecipientId;
use crate::store::consents::Located;
use crate::store::{Store, consents};

/// Entries that are read at once.
const PAGE: u32 = 2_000;

/// The first entry of a person's chain that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Whose.
    pub recipient: RecipientId,
    /// Its number, from 1; none where the chain as a whole is missing.
    pub entry: Option<i64>,
    /// What is wrong.
    pub fault: String,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Chains.
    pub people: u64,
    /// Entries in them.
    pub entries: u64,
    /// People whose chain does not hold.
    pub broken: u64,
}

/// Checks the chain of everybody, or of `only`; `broken` gets each person's first entry that does not hold,
/// `progress` what was looked at so far.
///
/// # Errors
/// When the database refuses.
pub async fn verify(
    store: &Store,
    only: Option<RecipientId>,
    mut broken: impl FnMut(Broken),
    mut progress: impl FnMut(Checked),
) -> Result<Checked> {
    let mut checked = Checked::default();
    let mut report = |checked: &mut Checked, found: Broken| {
        checked.broken += 1;
        broken(found);
    };
    let mut session = store.read().await?;
    let mut after = only.map_or((0, 0), |recipient| (recipient.0, 0));
    let mut chain: Option<(i64, Option<Chain>)> = None;
    loop {
        let page = consents::page(&mut session, after, only, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.recipient_id, last.consent.seq);
        for Located { recipient_id, consent } in &page {
            if chain.as_ref().is_none_or(|(of, _)| of != recipient_id) {
                chain = Some((*recipient_id, Some(Chain::default())));
                checked.people += 1;
            }
            checked.entries += 1;
            let Some((_, open)) = &mut chain else { continue };
            let Some(links) = open else { continue };
            let fault = match consent.entry() {
                Ok(entry) => links.take(&entry).err().map(|(at, fault)| (at, fault.to_owned())),
                Err(error) => Some((consent.seq, error.to_string())),
            };
            if let Some((entry, fault)) = fault {
                *open = None;
                report(&mut checked, Broken { recipient: RecipientId(*recipient_id), entry: Some(entry), fault });
            }
        }
        progress(checked);
    }
    let mut after = (only.map_or(0, |recipient| recipient.0 - 1), String::new());
    loop {
        let page = consents::unproved(&mut session, (after.0, &after.1), only, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.0.0, last.1.clone());
        for (recipient, topic) in page {
            let fault = format!("nothing in the chain says that '{topic}' is subscribed to");
            report(&mut checked, Broken { recipient, entry: None, fault });
        }
    }
    let mut after = only.map_or(0, |recipient| recipient.0 - 1);
    loop {
        let page = consents::unproved_tracking(&mut session, after, only, PAGE).await?;
        let Some(last) = page.last() else { return Ok(checked) };
        after = last.0;
        for recipient in page {
            let fault = "nothing in the chain says that hits may be kept with the person".to_owned();
            report(&mut checked, Broken { recipient, entry: None, fault });
        }
    }
}
