//! The amounts that relays may hand over by day while they warm up. Nodes draw slices from one row, so
//! that together they stay within it; what a node that died had drawn and not used is void.

use super::{EngineKind, Result, Session};
use crate::args;

const BEGIN: &str = "INSERT INTO warm_ups (relay, domain, day, drawn) VALUES ($1, $2, $3, 0)
    ON CONFLICT (relay, domain, day) DO NOTHING";
const DRAWN: &str = "SELECT drawn FROM warm_ups WHERE relay = $1 AND domain = $2 AND day = $3";
const DRAW: &str = "UPDATE warm_ups SET drawn = drawn + $4 WHERE relay = $1 AND domain = $2 AND day = $3";
const OF_DAY: &str = "SELECT domain, drawn FROM warm_ups WHERE relay = $1 AND day = $2";

pub(super) const STATEMENTS: &[&str] = &[BEGIN, DRAWN, DRAW, OF_DAY];

/// Whose amount of which day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount<'a> {
    /// The relay's name.
    pub relay: &'a str,
    /// The domain; none: the relay in all.
    pub domain: Option<&'a str>,
    /// The day, `YYYY-MM-DD`.
    pub day: &'a str,
}

/// Draws up to `slice` messages from an amount that is `allowed` in all. Answers with how many it got,
/// and how many are left for others.
///
/// # Errors
/// When the database refuses.
pub async fn draw(tx: &mut Session, amount: Amount<'_>, allowed: u32, slice: u32) -> Result<(u32, u32)> {
    let Amount { relay, domain, day } = amount;
    let domain = domain.unwrap_or("");
    tx.execute(BEGIN, args![relay, domain, day]).await?;
    let sql = match tx.kind() {
        EngineKind::Sqlite => DRAWN.to_owned(),
        EngineKind::Postgres => format!("{DRAWN} FOR UPDATE"),
    };
    let (drawn,) = tx.one::<(i64,)>(sql, args![relay, domain, day]).await?;
    let left = u32::try_from(i64::from(allowed) - drawn).unwrap_or(0);
    let got = left.min(slice);
    if got > 0 {
        tx.change(1, DRAW, args![relay, domain, day, i64::from(got)]).await?;
    }
    Ok((got, left - got))
}

/// Gives back what was drawn and not used.
///
/// # Errors
/// When the database refuses.
pub async fn give_back(tx: &mut Session, amount: Amount<'_>, messages: u32) -> Result<()> {
    let Amount { relay, domain, day } = amount;
    tx.execute(DRAW, args![relay, domain.unwrap_or(""), day, -i64::from(messages)]).await.map(drop)
}

/// What was drawn on a day: of the relay in all, and by domain.
///
/// # Errors
/// When the database refuses.
pub async fn drawn(session: &mut Session, relay: &str, day: &str) -> Result<Vec<(Option<String>, u64)>> {
    let rows: Vec<(String, i64)> = session.all(OF_DAY, args![relay, day]).await?;
    let read = |(domain, drawn): (String, i64)| ((!domain.is_empty()).then_some(domain), drawn.unsigned_abs());
    Ok(rows.into_iter().map(read).collect())
}
