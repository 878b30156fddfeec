//! `colloquy backup`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::app::Site;

/// Copy the whole project into a new directory, while it is running.
///
/// Database, hits that wait, keys, config/, templates/ and files/, each database as it is at one instant. The directory
/// appears when all of it is on the disk; if anything fails, nothing is left. Whoever has it reads every address and can
/// sign links: keep it as you keep the keys. For an embedded database; PostgreSQL has its own tools.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy backup /backups/shop-2026-11-28\n  \
    colloquy -C /var/lib/colloquy backup \"/backups/$(date +%F)\"     every night, by cron\n\n\
    `colloquy restore` brings it back.")]
pub struct Args {
    /// Where; it must not exist.
    #[arg(value_name = "DIR")]
    place: PathBuf,
}

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let manifest = site.backup(&args.place).await?;
    let octets: u64 = manifest.files.values().map(|file| file.size).sum();
    let (place, files) = (args.place.display(), manifest.files.len());
    println!("{place} holds the project as of {}: {files} files, {}", manifest.at, indicatif::HumanBytes(octets));
    println!(
        "The keys are in it: whoever has it reads every address. `colloquy restore {place} NEW-DIR` brings it back."
    );
    Ok(ExitCode::SUCCESS)
}
