//! `colloquy export`.

use std::io;
use std::process::ExitCode;

use anyhow::Result;

use crate::app::App;
use crate::people::export::export;

/// Write people as CSV to standard output: address and attributes.
///
/// `import` reads it. Cells are written as they are stored; a spreadsheet may take one that begins
/// with = + - or @ for a formula.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy export > people.csv\n  colloquy export --topic offers > subscribers.csv")]
pub struct Args {
    /// Only who is subscribed to this topic.
    #[arg(long)]
    topic: Option<String>,
}

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    if let Some(topic) = &args.topic {
        super::import::check_topic(app, topic)?;
    }
    let store = app.store().await?;
    export(&store, args.topic.as_deref(), io::stdout().lock()).await?;
    Ok(ExitCode::SUCCESS)
}
