//! `colloquy migrate`.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::{Refused, Site};
use crate::store::transfer::{self, Step, Trouble};

/// Move the whole database from SQLite to PostgreSQL.
///
/// Stop the service first; writers wait meanwhile. All tables are copied and read back, and compared by count and
/// checksum. If it is interrupted, the same command goes on where it was. When all is there, the old file refuses every
/// write, and the new database opens. Keys, files and the spool of hits stay where they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    createdb colloquy && colloquy migrate --to postgres://colloquy@db.example/colloquy\n  \
    PGPASSWORD=… colloquy migrate --from sqlite:colloquy.db --to postgres://colloquy@db.example/colloquy")]
pub struct Args {
    /// What is moved, as `sqlite:FILE`, relative to the project; without it what the project names.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// An empty database, as `postgres://USER@HOST/NAME`, not through a pooler. The password may be in PGPASSWORD.
    #[arg(long, value_name = "URL")]
    to: String,
}

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let from = args.from.as_deref().unwrap_or(&site.machine.database_url);
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {pos} of {len} rows, {eta} to go");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let told = |step: Step<'_>| match step {
        Step::Rows(rows) => bar.set_length(rows),
        Step::Copied(table, rows) => {
            bar.set_message(table.to_owned());
            bar.inc(rows);
        }
        Step::Anew => {
            bar.suspend(|| eprintln!("the old database was used since the move was interrupted: it begins anew"));
            bar.set_position(0);
        }
        Step::Verifying => bar.set_message("reading back"),
    };
    let moved = transfer::run(from, &args.to, &site.root, site.clock.now(), told).await;
    bar.finish_and_clear();
    let moved = moved.map_err(|trouble| match trouble {
        Trouble::Refused(why) => anyhow!(Refused(why)),
        Trouble::Store(error) => anyhow!(error),
    })?;
    for table in &moved {
        println!("{:>12}  {:<20} sha256 {}", table.rows, table.table, &table.sha256[..16]);
        if table.replaced > 0 {
            println!("{:>12}  texts in it had a NUL, which PostgreSQL cannot hold: it is U+FFFD now", table.replaced);
        }
    }
    println!(
        "Moved, and the same on both sides. {from} refuses every write from now on. Next:\n  \
         [database] url in config/colloquy.toml     the new one\n  colloquy doctor\n  colloquy run"
    );
    Ok(ExitCode::SUCCESS)
}
