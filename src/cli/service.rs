//! `colloquy run`.

use std::process::ExitCode;

use anyhow::Result;
use tracing::info;

use crate::app::Site;
use crate::lifecycle::Stop;
use crate::services::{Role, Services};

/// Run the service: campaigns at their time, tracking, pages, scores, metrics.
///
/// It sends what was applied last, under its limits and rules, and takes over what is applied while it
/// runs. Of the files it reads `[database]`, `[secrets]` and where to listen, and nothing else. SIGTERM finishes what is in flight; a second one stops at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy apply && colloquy run\n  colloquy run --role tracker,pages")]
pub struct Args {
    /// The parts to run; default: all.
    #[arg(long, value_delimiter = ',', value_enum)]
    role: Vec<Role>,
}

impl Args {
    /// Whether these parts answer nobody but operators.
    pub(super) fn only_sends(&self) -> bool {
        self.role.contains(&Role::Sender)
            && self.role.iter().all(|role| matches!(role, Role::Sender | Role::Scorer | Role::Console))
    }
}

pub async fn run(args: Args, site: Site) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let roles = if args.role.is_empty() { Role::ALL.to_vec() } else { args.role };
    let services = Services::start(site, &roles, stop.clone()).await?;
    let clean = stop.unless_hard(services.finished()).await.unwrap_or(false);
    info!(clean, "stopped");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
