//! `colloquy import`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::{App, Refused};
use crate::config::problem::name_hint;
use crate::people::import::{self, Options, Summary};
use crate::people::table::Rejects;

/// Bring people in from a CSV file, with the consent that they gave.
///
/// The first line names the columns: `address` or `email`, and attributes. The file is UTF-8, with
/// commas, semicolons or tabs. Importing again renews attributes (an empty cell leaves the stored one),
/// and never brings back who has left a topic or all of them, who withdrew tracking, or who is
/// suppressed. Rows that cannot be taken go to FILE.rejected.csv with line and reason; repaired, that
/// file can be imported as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    colloquy import fair.csv --topic offers --source 'sign-up sheet, spring fair 2026'\n  \
    colloquy import shop.csv --topic news --source 'checkout, box ticked' --tracking\n  \
    colloquy import shop.csv --topic news --source 'checkout' --dry-run")]
pub struct Args {
    /// The CSV file.
    file: PathBuf,
    /// What the people subscribe to.
    #[arg(long)]
    topic: String,
    /// Where the consent comes from; kept as its proof.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    source: String,
    /// The consent covers keeping opens and clicks with the person.
    #[arg(long)]
    tracking: bool,
    /// Check and count, and leave the database as it is. Repeats far apart in the file count as new.
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    check_topic(app, &args.topic)?;
    let key = app.secrets()?.suppression_key();
    let store = app.store().await?;
    let bar = octets(&args.file);
    let options = Options {
        file: args.file,
        topic: args.topic,
        source: args.source,
        tracking: args.tracking,
        dry_run: args.dry_run,
    };
    let project = &app.loaded.project;
    let imported = import::run(&store, project, &key, &app.clock, &options, |done| {
        bar.set_position(done.octets);
        bar.set_message(format!("{} rows", done.rows));
    });
    let summary = imported.await;
    bar.finish_and_clear();
    report(&summary?, args.dry_run);
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Refuses a topic that the project does not have.
pub(super) fn check_topic(app: &App, topic: &str) -> Result<()> {
    let topics = &app.loaded.project.topics;
    if topics.contains_key(topic) {
        return Ok(());
    }
    let known: Vec<_> = topics.keys().map(String::as_str).collect();
    let hint = name_hint(topic, known).unwrap_or_else(|| "colloquy.toml has no [topics] yet".to_owned());
    Err(anyhow!(Refused(format!("there is no topic '{topic}'\n  hint: {hint}"))))
}

/// A bar over a file's octets, on a terminal only.
pub(super) fn octets(file: &std::path::Path) -> ProgressBar {
    let bar = ProgressBar::new(std::fs::metadata(file).map_or(0, |m| m.len()));
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {binary_bytes_per_sec}, {eta} to go");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Says where rows that were not taken stand.
pub(super) fn report_rejects(rejects: &Rejects) {
    if let Some(file) = &rejects.file {
        println!("{:>10}  rejected: see {}", rejects.rows, file.display());
    }
}

fn report(summary: &Summary, dry_run: bool) {
    let tally = &summary.tally;
    for (count, what) in [
        (tally.new, "new"),
        (tally.updated, "updated"),
        (tally.unchanged, "unchanged"),
        (tally.duplicates, "duplicates within the file, merged"),
        (tally.kept_unsubscribed, "of these have left, and stay so"),
        (tally.suppressed, "suppressed, not subscribed"),
    ] {
        if count > 0 || what == "new" {
            println!("{count:>10}  {what}");
        }
    }
    report_rejects(&summary.rejects);
    if dry_run {
        println!("This was a trial: nothing was written to the database.");
    }
}
