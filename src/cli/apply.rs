//! `colloquy apply`.

use std::process::ExitCode;

use anyhow::Result;

use crate::app::App;
use crate::store::versions;

/// Freeze the checked files as the version that the service sends.
///
/// Edits change nothing until the next `apply`, and never a running run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy apply\n  colloquy check && colloquy apply")]
pub struct Args {}

pub async fn run(_: Args, app: &App) -> Result<ExitCode> {
    super::check::refuse_broken_templates(app)?;
    let store = app.store().await?;
    let before = versions::applied(&mut store.read().await?).await?;
    let version = app.freeze(&store).await?;
    if before.is_some_and(|(applied, _)| applied == version) {
        println!("version {version} is applied already; no file has changed");
        return Ok(ExitCode::SUCCESS);
    }
    let mut tx = store.write().await?;
    versions::apply(&mut tx, version, app.clock.now()).await?;
    tx.commit().await?;
    println!("version {version} is applied: {} campaigns", app.loaded.campaigns.len());
    Ok(ExitCode::SUCCESS)
}
