//! The amounts that relays may hand over by day while they warm up. Nodes draw slices from one row, so
//! that together they stay within it; what a node that died had drawn and not used is void.

use serde::Serialize;

use super::{EngineKind, Result, Session};
use crate::args;
use crate::domain::relay::RelayConfig;
use crate::domain::time::Micros;
use crate::domain::warm_up::{Day, WarmUp};

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

/// How far a relay's warm-up is on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The relay's name.
    pub relay: String,
    /// The domain; none: the relay in all.
    pub domain: Option<String>,
    /// The day, `YYYY-MM-DD`.
    pub day: String,
    /// The day's number in the table, from 1; below that it has not begun.
    pub number: i64,
    /// Messages that the day allows.
    pub allowed: u32,
    /// Messages that were drawn for it: handed over, or about to be.
    pub drawn: i64,
    /// Days until the warm-up ends, with this one.
    pub days_left: i64,
}

/// How far the warm-ups of these relays are that limit something on the day of an instant.
///
/// # Errors
/// When the database refuses.
pub async fn standings(session: &mut Session, relays: &[RelayConfig], at: Micros) -> Result<Vec<Standing>> {
    let mut standings = Vec::new();
    for relay in relays {
        let Some(warm_up) = &relay.warm_up else { continue };
        let day = warm_up.day(at);
        let date = day.date.to_string();
        let drawn: Vec<(String, i64)> = session.all(OF_DAY, args![relay.name.as_str(), date.as_str()]).await?;
        standings.extend(of_relay(&relay.name, warm_up, day, &drawn));
    }
    Ok(standings)
}

fn of_relay(relay: &str, warm_up: &WarmUp, day: Day, drawn: &[(String, i64)]) -> Vec<Standing> {
    let names = std::iter::once(None).chain(warm_up.per_domain.keys().map(|domain| Some(domain.as_str())));
    let standing = |domain: Option<&str>| {
        let allowed = warm_up.allowed(domain, day.number)?;
        let drawn = drawn.iter().find(|(of, _)| of == domain.unwrap_or("")).map_or(0, |(_, drawn)| *drawn);
        Some(Standing {
            relay: relay.to_owned(),
            domain: domain.map(Into::into),
            day: day.date.to_string(),
            number: day.number + 1,
            allowed,
            drawn,
            days_left: warm_up.days_left(day.number),
        })
    };
    names.filter_map(standing).collect()
}
