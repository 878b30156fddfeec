//! `colloquy suppress`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::app::{Refused, Site};
use crate::domain::address::Address;
use crate::domain::suppression::is_persons_own;
use crate::people::suppress::{self, Order};
use crate::store::suppressions;

/// Never mail these addresses again, whatever else says yes.
///
/// Only a keyed hash of each is kept, so that a suppression outlives erasure. Letter case makes no
/// difference.
///
/// Ends with 1 when rows of the file were passed over.
#[derive(Debug, clap::Args)]
#[command(override_usage = "colloquy suppress <ADDRESS>... --reason <REASON>\n       \
    colloquy suppress --file <FILE> --reason <REASON>\n       \
    colloquy suppress --remove <ADDRESS>\n       colloquy suppress --count")]
#[command(after_help = "Examples:\n  colloquy suppress anna@example.org --reason 'asked by phone'\n  \
    colloquy suppress --file robinson-list.txt --reason 'Robinson list 2026'\n  \
    colloquy suppress --remove anna@example.org\n  colloquy suppress --count")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["addresses", "file", "remove", "count"]))]
pub struct Args {
    /// Addresses to suppress.
    #[arg(value_name = "ADDRESS", requires = "reason")]
    addresses: Vec<String>,
    /// A list of addresses, one a line, or a CSV file with a column `address` or `email`. Lines of a list,
    /// or before a header, that begin with `#` are comments.
    #[arg(long, requires = "reason")]
    file: Option<PathBuf>,
    /// Why: needed with addresses, and kept with the suppression. It then stays until `--remove`, whatever
    /// the person does.
    #[arg(long, value_parser = reason)]
    reason: Option<String>,
    /// Take a suppression back.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["addresses", "file"])]
    remove: Option<String>,
    /// Say how many addresses are suppressed.
    #[arg(long)]
    count: bool,
}

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let addresses = args.addresses.iter().map(|typed| address(typed)).collect::<Result<Vec<_>>>()?;
    let key = site.secrets()?.suppression_key();
    let store = site.store().await?;
    let order = Order { reason: args.reason.as_deref().unwrap_or_default(), at: site.clock.now(), key: &key };
    if let Some(typed) = &args.remove {
        let removed = suppress::remove(&store, &key, &address(typed)?).await?;
        println!("{}", if removed { "the suppression is taken back" } else { "the address was not suppressed" });
    }
    let (mut taken, mut added) = (addresses.len() as u64, suppress::addresses(&store, &order, &addresses).await?);
    let mut passed_over = 0;
    if let Some(file) = &args.file {
        let rejected = |line, reason: &str| {
            passed_over += 1;
            eprintln!("{}:{line}: {reason}; passed over", file.display());
        };
        let (more, new) = suppress::file(&store, &order, file, rejected).await?;
        (taken, added) = (taken + more, added + new);
    }
    if taken > 0 || args.file.is_some() {
        let known = taken - added;
        let rows = args.file.as_ref().map(|_| format!(", {passed_over} passed over")).unwrap_or_default();
        println!("{added} suppressed, {known} {} already{rows}", if known == 1 { "was" } else { "were" });
    }
    if args.count {
        match suppressions::count(&mut store.read().await?).await? {
            1 => println!("1 address is suppressed"),
            count => println!("{count} addresses are suppressed"),
        }
    }
    Ok(if passed_over > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn reason(typed: &str) -> Result<String, String> {
    match typed.trim() {
        "" => Err("it is empty; say why, such as 'asked by phone'".to_owned()),
        own if is_persons_own(&own.to_ascii_lowercase()) => Err(format!(
            "'{own}' stands for the person's own decision, which joining anew takes back; say it in other words, such as \
             'asked by phone'"
        )),
        other => Ok(other.to_owned()),
    }
}

/// Reads an address of the command line.
pub(super) fn address(typed: &str) -> Result<Address> {
    Address::parse(typed).map_err(|fault| anyhow!(Refused(format!("'{typed}' is not an address: {fault}"))))
}
