//! `colloquy report`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use serde_json::json;

use crate::app::{App, Refused};
use crate::console;
use crate::domain::id::RunId;
use crate::store::reports::{Which, runs_report};

/// Show what became of a campaign's runs: messages, opens, clicks, links, clusters.
///
/// Opens and clicks count people's hits; those of mail providers, scanners and scripts stand beside
/// them. Without --json the last run is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy report spring-running\n  colloquy report spring-running --run 3\n  \
    colloquy report spring-running --json | jq '.runs[0].clicks.human'")]
pub struct Args {
    /// The campaign's name.
    campaign: String,
    /// Only this run; `status` shows the numbers.
    #[arg(long, value_name = "NUMBER")]
    run: Option<i64>,
    /// The last hundred runs as JSON, newest first.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    let store = app.store().await?;
    let which = args.run.map_or(Which::Campaign(&args.campaign), |run| Which::Run(RunId(run)));
    let mut reports = runs_report(&mut store.read().await?, which).await?;
    reports.retain(|report| report.campaign == args.campaign);
    if reports.is_empty() {
        // A campaign whose file has gone keeps its reports; a name without either is a mistake.
        app.campaign(&args.campaign)?;
        if let Some(run) = args.run {
            let hint = format!("hint: colloquy report {} --json lists its runs", args.campaign);
            return Err(anyhow!(Refused(format!("'{}' has no run {run}\n  {hint}", args.campaign))));
        }
    }
    let text = match reports.split_first() {
        _ if args.json => format!("{}\n", serde_json::to_string_pretty(&json!({"runs": reports}))?),
        None => format!("'{}' has not been sent yet\n", args.campaign),
        Some((last, [])) => console::run_text(last),
        Some((last, earlier)) => {
            format!("{}\nearlier runs\n{}", console::run_text(last), console::status_text(earlier))
        }
    };
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
