//! `colloquy demo`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::demo::{self, Options};

/// Watch the loop turn: two campaigns, simulated readers, two weeks in less than a minute.
///
/// It writes a project, imports sample recipients, sends through real SMTP to a catcher of its own,
/// and lets simulated readers open and click over real HTTP by interests that only they know. The
/// project stays, and every other command works on it. Needs no network and no server.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  colloquy demo && cd demo && colloquy report picks\n  colloquy demo /tmp/try --recipients 10000 --seed 7"
)]
pub struct Args {
    /// Where the project is written; an earlier demo's is replaced, nothing else ever is.
    #[arg(value_name = "DIR", default_value = "demo")]
    place: PathBuf,
    /// How many sample recipients there are.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    recipients: u32,
    /// Draws the recipients and what they do.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the two weeks take; sending comes on top.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(4..=3_600))]
    seconds: u64,
}

pub async fn run(args: Args, current: &Path) -> Result<ExitCode> {
    let Args { place, recipients, seed, seconds } = args;
    let directory = current.join(place);
    let options = Options {
        directory: directory.clone(),
        recipients: usize::try_from(recipients)?,
        seed,
        duration: Duration::from_secs(seconds),
    };
    let findings = demo::run(&options, |line| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}");
    })
    .await?;
    print!("{}", demo::report::text(&findings, &directory, &program()));
    Ok(ExitCode::SUCCESS)
}

/// How to call this program from another directory: by its name if it was found by that.
fn program() -> PathBuf {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if called.components().count() > 1 { std::env::current_exe().unwrap_or(called) } else { called }
}
