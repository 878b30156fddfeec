//! `colloquy actions`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::import::{octets, report_rejects};
use crate::app::App;
use crate::people::actions;

/// Actions from elsewhere: a shop, a call centre, another tool.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Import actions from a CSV file with the columns id, address, kind, category, at.
    ///
    /// An action is known by its id, so that a file can be imported again. `kind` decides the points
    /// (see [score.points]), `category` may be empty, `at` is an RFC 3339 time; late and out of order
    /// are fine. Only recipients who agreed to tracking have actions. Rows that cannot be taken go to
    /// FILE.rejected.csv with line and reason; other columns are passed over.
    #[command(after_help = "Examples:\n  colloquy actions import orders.csv\n\n  \
        id,address,kind,category,at\n  order-1,anna@example.org,conversion,trail,2026-03-01T10:00:00+01:00")]
    Import {
        /// The CSV file.
        file: PathBuf,
    },
}

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    let Command::Import { file } = args.command;
    let store = app.store().await?;
    let bar = octets(&file);
    let imported = actions::import(&store, &app.loaded.project, &app.clock, &file, |done| bar.set_position(done));
    let summary = imported.await;
    bar.finish_and_clear();
    let summary = summary?;
    println!("{:>10}  new\n{:>10}  known already", summary.new, summary.known);
    report_rejects(&summary.rejects);
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
