//! `colloquy status`.

use std::collections::BTreeMap;
use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::app::Site;
use crate::console;
use crate::domain::message::MessageState;
use crate::store::reports::{Which, population, runs_report};
use crate::store::{notices, score, slowdowns, warm_ups};

/// Show open runs, the last ten runs, how fast relays go, transactional mails of the last 30 days, and how the
/// recipients stand.
///
/// Opened and clicked are the shares of accepted messages that people opened and clicked.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  colloquy status\n  colloquy status --json | jq '.runs[] | select(.state == \"running\")'"
)]
pub struct Args {
    /// As JSON, newest run first.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let store = site.store().await?;
    let warm = site.score_rules(&store).await?.0.warm;
    let governing = site.governing(&store).await?;
    let relays = governing.map(|governing| governing.loaded.settings.relays).unwrap_or_default();
    let mut session = store.read().await?;
    let reports = runs_report(&mut session, Which::Status).await?;
    let scale = score::scale(&mut session).await?;
    let people = population(&mut session, scale.as_ref(), warm, site.clock.now()).await?;
    let slow = slowdowns::all(&mut session).await?;
    let notices = notices::counts(&mut session).await?;
    let warm = warm_ups::standings(&mut session, &relays, site.clock.now()).await?;
    let text = if args.json {
        let all = json!({"runs": reports, "notices": by_kind(&notices), "slowed_down": slow, "warm_up": warm, "people": people});
        format!("{}\n", serde_json::to_string_pretty(&all)?)
    } else {
        let runs = if reports.is_empty() { "no run yet\n".to_owned() } else { console::status_text(&reports) };
        let speed = console::speed_text(&slow) + &console::warm_up_text(&warm);
        let notices = console::notices_text(&notices);
        format!("{runs}{speed}{notices}\n{}", console::people_text(&people))
    };
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Notices by kind, then by state.
fn by_kind(notices: &[(String, MessageState, i64)]) -> BTreeMap<&str, BTreeMap<&str, i64>> {
    let mut kinds: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    for (kind, state, count) in notices {
        kinds.entry(kind).or_default().insert(state.as_str(), *count);
    }
    kinds
}
