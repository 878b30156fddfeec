//! `colloquy plan`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::app::App;
use crate::domain::time::Micros;
use crate::plan::Planner;

/// Show who would get a campaign, who not and why, and how long it takes. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy plan spring-running\n  \
    colloquy plan spring-running --at 2026-12-24T09:00:00+01:00\n  \
    colloquy plan spring-running --json --messages who-gets-what.jsonl")]
pub struct Args {
    /// The campaign's name.
    campaign: String,
    /// As it would be at this time (RFC 3339), past or ahead.
    #[arg(long, value_name = "TIME", value_parser = Micros::parse_rfc3339)]
    at: Option<Micros>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write one JSON line per message that would go out.
    #[arg(long, value_name = "FILE")]
    messages: Option<PathBuf>,
}

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    let campaign = app.campaign(&args.campaign)?;
    let mailing = app.compile(campaign)?;
    let store = app.store().await?;
    let planner = Planner {
        store: &store,
        project: &app.loaded.project,
        campaign,
        mailing: &mailing,
        relays: &app.loaded.settings.relays,
        keyring: &app.secrets()?.keyring(),
        now: app.clock.now(),
        at: args.at,
        resend: None,
    };
    let plan = planner.plan().await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&plan)?);
    } else {
        println!("{plan}");
    }
    if let Some(path) = &args.messages {
        let place = || format!("{} cannot be written", path.display());
        let mut out = BufWriter::new(File::create(path).with_context(place)?);
        let written = planner.write_messages(&mut out).await?;
        out.flush().with_context(place)?;
        eprintln!("{} messages in {}", written.messages, path.display());
        if let Some(why) = written.first_failure {
            eprintln!("{} people would get none, the first because: {why}", written.failed);
        }
    }
    Ok(ExitCode::SUCCESS)
}
