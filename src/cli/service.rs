//! `colloquy run`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use tracing::info;

use crate::app::App;
use crate::lifecycle::Stop;
use crate::services::{Role, Services};

/// Run the service: campaigns at their time, tracking, pages, scores, metrics.
///
/// It sends what was applied last. SIGTERM finishes what is in flight; a second one stops at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy apply && colloquy run\n  colloquy run --role tracker,pages")]
pub struct Args {
    /// The parts to run; default: all.
    #[arg(long, value_delimiter = ',', value_enum)]
    role: Vec<Role>,
}

pub async fn run(args: Args, app: App) -> Result<ExitCode> {
    super::check::refuse_broken_templates(&app)?;
    let stop = Stop::on_signals()?;
    let roles = if args.role.is_empty() { Role::ALL.to_vec() } else { args.role };
    let services = Services::start(Arc::new(app), &roles, stop.clone()).await?;
    let clean = stop.unless_hard(services.finished()).await.unwrap_or(false);
    info!(clean, "stopped");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
