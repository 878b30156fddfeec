//! `colloquy init`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;

use crate::app::Refused;
use crate::config::{self, init::InitError};

/// Write a small, commented, working project.
///
/// Its relay is the directory `outbox`, so that a first send needs no server. Existing files are
/// never overwritten.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  colloquy init shop && cd shop && colloquy check\n  colloquy init          into the current directory"
)]
pub struct Args {
    /// Where; made if it does not exist. Default: the directory of -C.
    #[arg(value_name = "DIR")]
    place: Option<PathBuf>,
}

pub fn run(args: &Args, current: &Path) -> Result<ExitCode> {
    let directory = args.place.as_ref().map_or_else(|| current.to_owned(), |place| current.join(place));
    let written = config::init(&directory, &SystemRandom::new()).map_err(|error| match error {
        InitError::Exists(_) => anyhow!(Refused(error.to_string())),
        other => other.into(),
    })?;
    for path in &written {
        println!("  {}", path.display());
    }
    println!("\nA project is in {}. Next:", directory.display());
    println!("  cd {}", directory.display());
    println!("  colloquy check");
    println!("  colloquy import recipients.csv --topic news --source 'sample recipients' --tracking");
    println!("  colloquy plan welcome && colloquy send welcome     one .eml each in outbox/");
    Ok(ExitCode::SUCCESS)
}
