//! `colloquy status`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::app::Site;
use crate::console;
use crate::store::reports::{Which, population, runs_report};
use crate::store::score;

/// Show open runs, the last ten runs, and how the recipients stand.
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
    let mut session = store.read().await?;
    let reports = runs_report(&mut session, Which::Status).await?;
    let scale = score::scale(&mut session).await?;
    let people = population(&mut session, scale.as_ref(), warm, site.clock.now()).await?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&json!({"runs": reports, "people": people}))?)
    } else if reports.is_empty() {
        format!("no run yet\n\n{}", console::people_text(&people))
    } else {
        format!("{}\n{}", console::status_text(&reports), console::people_text(&people))
    };
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
