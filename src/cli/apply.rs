//! `colloquy apply`.

use std::process::ExitCode;

use anyhow::Result;

use crate::app::App;
use crate::score;
use crate::store::versions;

/// Freeze the checked files as the version that the service sends.
///
/// Edits change nothing until the next `apply`. A run keeps the campaign and the templates that it
/// began with; limits, relays, topics and score rules count from the moment at which they are applied.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy apply\n  colloquy check && colloquy apply")]
pub struct Args {}

pub async fn run(_: Args, app: &App) -> Result<ExitCode> {
    super::check::refuse_errors(app, None, None).await?;
    let store = app.store().await?;
    let before = versions::applied(&mut store.read().await?).await?;
    let rules_before = app.site().governing(&store).await?.map(|it| score::Options::from(&it.loaded.project));
    let version = app.freeze(&store).await?;
    if before.is_some_and(|(applied, _)| applied == version) {
        println!("version {version} is applied already; no file has changed");
        return Ok(ExitCode::SUCCESS);
    }
    let mut tx = store.write().await?;
    versions::apply(&mut tx, version, app.clock.now()).await?;
    tx.commit().await?;
    println!("version {version} is applied: {} campaigns", app.loaded.campaigns.len());
    if rules_before.is_some_and(|before| before != score::Options::from(&app.loaded.project)) {
        println!("the rules of scores have changed: `colloquy score rebuild` lets the stored ones follow");
    }
    Ok(ExitCode::SUCCESS)
}
