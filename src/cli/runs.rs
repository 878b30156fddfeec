//! `colloquy pause`, `resume` and `cancel`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::app::{Refused, Site};
use crate::config::problem::name_hint;
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

pub async fn pause(args: Pause, site: &Site) -> Result<ExitCode> {
    let from = &[RunState::Running, RunState::Scheduled];
    change(site, &args.campaign, from, RunState::Paused, args.reason.as_deref()).await
}

pub async fn resume(args: Resume, site: &Site) -> Result<ExitCode> {
    change(site, &args.campaign, &[RunState::Paused], RunState::Running, None).await
}

pub async fn cancel(args: Cancel, site: &Site) -> Result<ExitCode> {
    let from = &[RunState::Running, RunState::Scheduled, RunState::Paused];
    change(site, &args.campaign, from, RunState::Cancelled, args.reason.as_deref()).await
}

async fn change(
    site: &Site,
    campaign: &str,
    from: &[RunState],
    to: RunState,
    reason: Option<&str>,
) -> Result<ExitCode> {
    let store = site.store().await?;
    let mut tx = store.write().await?;
    let all = runs::open(&mut tx).await?;
    let open: Vec<&Run> = all.iter().filter(|run| run.campaign == campaign && from.contains(&run.state)).collect();
    if open.is_empty() {
        return Err(anyhow!(none_to_change(campaign, from, &all)));
    }
    let now = site.clock.now();
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

/// Says why there is nothing to change, and which runs there are. What has a run has a name, whether or not its file is
/// still there.
fn none_to_change(campaign: &str, from: &[RunState], open: &[Run]) -> Refused {
    let words: Vec<_> = from.iter().map(|s| s.as_str()).collect();
    let hint = match open.iter().find(|run| run.campaign == campaign) {
        Some(run) => format!("run {} is {}", run.id, run.state.as_str()),
        None => name_hint(campaign, open.iter().map(|run| run.campaign.as_str()).collect::<BTreeSet<_>>())
            .unwrap_or_else(|| "no campaign has an open run".to_owned()),
    };
    Refused(format!("campaign '{campaign}' has no run that is {}\n  hint: {hint}", words.join(" or ")))
}
