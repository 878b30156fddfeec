//! `colloquy consent`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::suppress::address;
use crate::app::Site;
use crate::people::proof::proof;
use crate::people::verify::{Broken, verify};
use crate::store::recipients;

/// The ledger of permissions: check it, or print what one person agreed to.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that no entry of the ledger was changed, removed or reordered.
    ///
    /// Prints the first entry of each person that does not hold, and ends with 1 when there is any. Erased people's
    /// chains are checked, too: erasure drops what was agreed to, and keeps the links.
    #[command(after_help = "Examples:\n  colloquy consent verify\n  colloquy consent verify anna@example.org\n  \
        colloquy consent verify --json | jq .broken")]
    Verify {
        /// One person only.
        address: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print what one person agreed to, with all that proves it, to hand to a court or an authority.
    ///
    /// Every entry with its words, the hash chain, and how to verify it with sha256sum alone. Ends with 1 when the
    /// chain does not hold.
    #[command(after_help = "Examples:\n  colloquy consent proof anna@example.org > anna.txt\n  \
        colloquy consent proof anna@example.org --json > anna.json")]
    Proof {
        /// The person's address.
        address: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Broken chains that `--json` lists at most; all are counted.
const LISTED: usize = 1_000;

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let store = site.store().await?;
    let holds = match args.command {
        Command::Verify { address: typed, json } => {
            let only = match typed {
                None => None,
                Some(typed) => {
                    let address = address(&typed)?;
                    let found = recipients::find(&mut store.read().await?, &address).await?;
                    let Some(person) = found else { bail!("nobody has the address {address}") };
                    Some(person.id)
                }
            };
            let progress = progress();
            let mut listed = Vec::new();
            let broken = |found: Broken| {
                if json {
                    listed.extend((listed.len() < LISTED).then_some(found));
                } else {
                    progress.suspend(|| println!("{}", line(&found)));
                }
            };
            let checked = verify(&store, only, broken, |checked| progress.set_position(checked.entries)).await?;
            progress.finish_and_clear();
            if json {
                let all = json!({"people": checked.people, "entries": checked.entries, "broken": checked.broken, "faults": listed});
                writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&all)?)?;
            } else {
                let said =
                    if checked.broken == 0 { "all hold".to_owned() } else { format!("{} are broken", checked.broken) };
                writeln!(io::stdout(), "{} people, {} entries: {said}", checked.people, checked.entries)?;
            }
            checked.broken == 0
        }
        Command::Proof { address: typed, json } => {
            let address = address(&typed)?;
            let Some(proof) = proof(&store, &address, site.clock.now()).await? else {
                bail!("nobody has the address {address}");
            };
            if json {
                writeln!(io::stdout(), "{}", visible(&serde_json::to_string_pretty(&proof)?))?;
            } else {
                write!(io::stdout(), "{proof}")?;
            }
            proof.holds
        }
    };
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// JSON with those control characters escaped that it allows as they are, and that act on a terminal all the same.
fn visible(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => drop(write!(shown, "\\u{:04x}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

fn line(broken: &Broken) -> String {
    let entry = broken.entry.map(|entry| format!("entry {entry}: ")).unwrap_or_default();
    format!("recipient {}: {entry}{}", broken.recipient, broken.fault)
}

/// Entries seen so far, on a terminal only.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} entries, {per_sec}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
