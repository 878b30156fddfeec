//! `colloquy recipient`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};

use super::suppress::address;
use crate::app::{Refused, Site};
use crate::domain::handout;
use crate::domain::time::Micros;
use crate::store::{erasure, person};

/// One person: show, hand out or erase what is known.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the profile and the whole dialog as a timeline.
    #[command(after_help = "Examples:\n  colloquy recipient show anna@example.org\n  \
        colloquy recipient show anna@example.org --at 2026-03-01T00:00:00Z --json")]
    Show {
        /// The person's address.
        address: String,
        /// As it was, or will be if nothing happens, at this time (RFC 3339).
        #[arg(long, value_name = "TIME", value_parser = Micros::parse_rfc3339)]
        at: Option<Micros>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print everything that is stored about a person, to hand out: as JSON, or as a table.
    #[command(after_help = "Examples:\n  colloquy recipient export anna@example.org > anna.json\n  \
        colloquy recipient export anna@example.org --csv > anna.csv")]
    Export {
        /// The person's address.
        address: String,
        /// As CSV: what about, number, field, value.
        #[arg(long)]
        csv: bool,
    },
    /// Erase a person, and never mail the address again.
    ///
    /// Address, attributes, subscriptions, hits, actions and scores are removed. What stays: a keyed
    /// hash of the address among the suppressions, the links of the consent chain without their
    /// contents, and the states of messages.
    #[command(after_help = "Example:\n  colloquy recipient erase anna@example.org --yes")]
    Erase {
        /// The person's address.
        address: String,
        /// Do it; it cannot be undone.
        #[arg(long)]
        yes: bool,
    },
}

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    match args.command {
        Command::Show { address, at, json } => {
            let at = at.unwrap_or_else(|| site.clock.now());
            let form = if json { Form::Json } else { Form::Text };
            print(site, &address, at, at, form).await
        }
        Command::Export { address, csv } => {
            let form = if csv { Form::Csv } else { Form::Json };
            print(site, &address, site.clock.now(), Micros(i64::MAX), form).await
        }
        Command::Erase { yes: false, .. } => Err(anyhow!(Refused(
            "erasing cannot be undone\n  hint: look with `recipient show` first, then add --yes".to_owned()
        ))),
        Command::Erase { address: typed, .. } => {
            let (address, key) = (address(&typed)?, site.secrets()?.suppression_key());
            let known = erasure::forget_address(&site.store().await?, &key, &address, site.clock.now()).await?;
            println!("{}", if known { "erased, and suppressed" } else { "nobody has this address; it is suppressed" });
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// How a person is printed.
enum Form {
    Text,
    Json,
    Csv,
}

async fn print(site: &Site, typed: &str, at: Micros, until: Micros, form: Form) -> Result<ExitCode> {
    let address = address(typed)?;
    let store = site.store().await?;
    let (score, cluster) = site.score_rules(&store).await?;
    let Some(person) = person::known(&store, (&score, &cluster), &address, at, until).await? else {
        bail!("nobody has the address {address}");
    };
    match form {
        Form::Text => write!(io::stdout(), "{person}")?,
        Form::Json => writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&person)?)?,
        Form::Csv => io::stdout().write_all(&handout::csv(&serde_json::to_value(&person)?))?,
    }
    Ok(ExitCode::SUCCESS)
}
