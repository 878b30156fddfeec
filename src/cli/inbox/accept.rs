//! `colloquy inbox accept`.

use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::app::Site;
use crate::cli::out;
use crate::clock::Clock;
use crate::config::Reach;
use crate::inbox::{Arrival, Intake, MOST_KEPT};
use crate::metrics::Metrics;

/// Tells a mail server to keep the mail and to try again (sysexits.h).
const TRY_AGAIN: u8 = 75;

/// Take a mail in from standard input, for mail servers that deliver to a command.
///
/// It ends with 0 once the mail is on disk, and with 75 whenever it is not, so that the server keeps it and tries again: nothing is
/// lost by a mistake in a file or while the database is away. A mail that is brought twice is taken once. It does not
/// need the service to run.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  colloquy -C /srv/shop inbox accept --sender '' --recipient b-aeav…@b.shop.example < report.eml\n\n\
    Postfix, in master.cf:\n  colloquy unix - n n - 4 pipe\n    \
    flags=q user=colloquy null_sender= argv=/usr/bin/colloquy -C /srv/shop inbox accept --sender ${sender} --recipient ${recipient}\n\n\
    Exit codes: 0 it is on disk, 75 it is not: try again."
)]
pub struct Args {
    /// The sender of the envelope; empty for none.
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true)]
    sender: Option<String>,
    /// The recipients of the envelope: a signed address says whose message the mail is about. For each it is taken once.
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
    recipient: Vec<String>,
}

/// What a call ends with that could not be understood; with anything else a mail server would give the mail up.
pub fn misread(error: &clap::Error) -> Option<ExitCode> {
    let ours = std::env::args_os().skip(1).any(|word| word == "accept");
    (ours && error.use_stderr()).then(|| ExitCode::from(TRY_AGAIN))
}

pub async fn run(args: Args, root: &Path) -> ExitCode {
    match take(args, root).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads what is said, the mail is not lost either.
            let _ = writeln!(io::stderr(), "not taken, try again: {}", out::told(&error));
            ExitCode::from(TRY_AGAIN)
        }
    }
}

async fn take(args: Args, root: &Path) -> Result<()> {
    let mut mail = io::stdin().lock();
    let mut raw = Vec::new();
    mail.by_ref().take(MOST_KEPT as u64).read_to_end(&mut raw).context("standard input")?;
    let rest = io::copy(&mut mail, &mut io::sink()).context("standard input")?;
    drop(mail);
    let site = Site::open(root, Clock::system(), Reach::Database)?;
    let store = site.store().await?;
    let size = raw.len() as u64 + rest;
    let intake = Intake::new(store.clone(), site.clock, Metrics::new());
    let told = args.recipient.iter().map(|recipient| Some(recipient.as_str()));
    let unknown = args.recipient.is_empty().then_some(None);
    for recipient in told.chain(unknown) {
        let arrival = Arrival { way: "pipe", sender: args.sender.as_deref(), recipient, raw: &raw, size };
        intake.take(arrival).await?;
    }
    store.close().await;
    Ok(())
}
