//! Runs that send another run's mail again, and whom they find.

use super::runs::NewRun;
use super::{Result, Session, any};
use crate::args;
use crate::domain::resend::{Resend, ResendTo};

const INSERT: &str =
    "INSERT INTO runs (campaign, topic, occasion, version_id, state, at, started_at, resends, resend_to,
        subject)
    VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9)
    ON CONFLICT (campaign, occasion) DO NOTHING";

pub(super) const STATEMENTS: &[&str] = &[INSERT];

/// Makes the run, unless its occasion has one. Tells whether this call made it.
///
/// # Errors
/// When the database refuses.
pub async fn create(tx: &mut Session, run: NewRun<'_>, resend: &Resend) -> Result<bool> {
    let mut args = args![run.campaign, run.topic, run.occasion, run.version, run.state.as_str(), run.at];
    args.extend(args![resend.run, resend.to.as_str(), resend.subject.clone()]);
    Ok(tx.execute(INSERT, args).await? == 1)
}

/// Whom it finds, over `recipients r`; `run` is the placeholder of the run that is sent again.
pub(super) fn condition(to: ResendTo, run: &str) -> String {
    let state = to.state().as_str();
    let found = any(&format!(
        "SELECT 1 FROM messages m WHERE m.run_id = {run} AND m.recipient_id = r.id AND m.state = '{state}'"
    ));
    match to.without() {
        [] => found,
        kinds => {
            let kinds = kinds.iter().map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ");
            let acted = any(&format!(
                "SELECT 1 FROM actions a WHERE a.recipient_id = r.id AND a.run_id = {run} AND a.kind IN ({kinds})"
            ));
            format!("{found} AND NOT {acted}")
        }
    }
}
