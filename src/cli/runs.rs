//! `colloquy pause`, `resume` and `cancel`.

use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::app::{App, Refused};
use crate::domain::run::RunState;
use crate::store::runs::{self, Run};

/// Pause a campaign's run: nothing more is claimed, what is in flight ends.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  colloquy pause spring-running\n  colloquy pause spring-running --reason 'wrong price'"
)]
pub struct Pause {
    /// The campaign's name.
    campaign: String,
    /// Kept with the run and shown by `status`.
    #[arg(long)]
    reason: Option<String>,
}

/// Let a paused run go on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  colloquy resume spring-running")]
pub struct Resume {
    /// The campaign's name.
    campaign: String,
}

/// End a run for good: what was not handed over is not sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  colloquy cancel spring-running --reason 'sold out'")]
pub struct Cancel {
    /// The campaign's name.
    campaign: String,
    /// Kept with the run and shown by `status`.
    #[arg(long)]
    reason: Option<String>,
}

pub async fn pause(args: Pause, app: &App) -> Result<ExitCode> {
    let from = &[RunState::Running, RunState::Scheduled];
    change(app, &args.campaign, from, RunState::Paused, args.reason.as_deref()).await
}

pub async fn resume(args: Resume, app: &App) -> Result<ExitCode> {
    change(app, &args.campaign, &[RunState::Paused], RunState::Running, None).await
}

pub async fn cancel(args: Cancel, app: &App) -> Result<ExitCode> {
    let from = &[RunState::Running, RunState::Scheduled, RunState::Paused];
    change(app, &args.campaign, from, RunState::Cancelled, args.reason.as_deref()).await
}

async fn change(app: &App, campaign: &str, from: &[RunState], to: RunState, reason: Option<&str>) -> Result<ExitCode> {
    app.campaign(campaign)?;
    let store = app.store().await?;
    let mut tx = store.write().await?;
    let open: Vec<Run> = runs::open(&mut tx)
        .await?
        .into_iter()
        .filter(|run| run.campaign == campaign && from.contains(&run.state))
        .collect();
    if open.is_empty() {
        let words: Vec<_> = from.iter().map(|s| s.as_str()).collect();
        return Err(anyhow!(Refused(format!("campaign '{campaign}' has no run that is {}", words.join(" or ")))));
    }
    let now = app.clock.now();
    for run in &open {
        if !runs::change(&mut tx, run.id, run.state, to, reason, now).await? {
            return Err(anyhow!("run {} has just changed; look at `colloquy status` and try again", run.id));
        }
        if to == RunState::Cancelled {
            runs::skip_open_messages(&mut tx, run.id, now).await?;
        }
    }
    tx.commit().await?;
    for run in open {
        println!("run {} of {campaign} ({}): {} → {}", run.id, run.occasion, run.state.as_str(), to.as_str());
    }
    Ok(ExitCode::SUCCESS)
}
