//! `colloquy restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::app;
use crate::clock::Clock;

/// Bring a project back from what `colloquy backup` made.
///
/// Checksums, both databases and the keys are checked first. What was sent after the backup is not known to it, so every
/// run that is not over is paused, and so are those whose time has come since: `resume` or `cancel` each. Messages
/// that were on the wire, and confirmations that waited, are unknown. Who has left, complained or been erased since is
/// subscribed again: look through what came after the backup before you resume.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy restore /backups/2026-11-28 /var/lib/colloquy\n  \
    colloquy restore /backups/2026-11-28 /tmp/look && colloquy -C /tmp/look status     to try a backup")]
pub struct Args {
    /// What `colloquy backup` made.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Where; empty, or made if it does not exist.
    #[arg(value_name = "DIR")]
    place: PathBuf,
}

pub async fn run(args: Args, current: &Path) -> Result<ExitCode> {
    let directory = current.join(&args.place);
    let (restored, held) = app::restore(&args.backup, &directory, &Clock::system()).await?;
    let place = directory.display();
    println!("{place} holds the project as of {}", restored.manifest.at);
    for run in &held.runs {
        println!("  run {} of {} ({}) is paused", run.id, run.campaign, run.occasion);
    }
    if held.unknown > 0 {
        println!("  {} mails were on their way, and whether they arrived is unknown", held.unknown);
    }
    for found in &restored.astray {
        println!("  see to this before anything else: {found}");
    }
    println!(
        "\nWhat happened after that is not known here: who left, complained or was erased, and what was sent.\n\
         Make sure that the original does not run any more. Next:\n  \
         colloquy -C {place} consent verify\n  \
         colloquy -C {place} score rebuild --check\n  \
         colloquy -C {place} suppress --file LIST --reason 'left since'\n  \
         colloquy -C {place} run                  sends nothing that was begun before\n  \
         colloquy -C {place} resume CAMPAIGN      or cancel: each run that is paused"
    );
    Ok(ExitCode::SUCCESS)
}
