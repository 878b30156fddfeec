//! The demonstration: a project of its own, a mail catcher, readers with hidden interests, and two
//! campaigns that go round the whole loop, on a clock that makes days pass.
//!
//! Nothing in it is pretended: recipients come in through the import, mail goes through real SMTP,
//! readers ask over real HTTP, and the report is read from the database. Only the readers are
//! simulated, and the clock: it runs at its usual speed while mail is sent, so that scanners which
//! follow links at once look like what they are, and fast while readers take their time.

mod browser;
pub mod catcher;
mod crowd;
mod deliveries;
pub mod findings;
mod habits;
mod letter;
mod project;
mod readers;
pub mod report;
mod stage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use self::findings::Findings;
use self::stage::Stage;

/// What to demonstrate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the project is written.
    pub directory: PathBuf,
    /// How many sample recipients there are.
    pub recipients: usize,
    /// Draws the recipients and what they do.
    pub seed: u64,
    /// How long the two weeks take.
    pub duration: Duration,
}

/// The first campaign: to everybody, about everything.
const FIRST: &str = "newsletter";
/// The second: by what was learnt.
const SECOND: &str = "picks";

/// Runs the demonstration from the first file to the last figure. `say` hears how it goes on.
///
/// # Errors
/// When the directory belongs to something else, or anything on the way fails.
pub async fn run(options: &Options, mut say: impl FnMut(&str)) -> Result<Findings> {
    let stage = Stage::set(options, &mut say).await?;
    let first = stage.send(FIRST, &mut say).await?;
    stage.week(&first, &mut say).await?;
    let second = stage.send(SECOND, &mut say).await?;
    stage.week(&second, &mut say).await?;
    let findings = stage.findings([first, second]).await?;
    stage.strike().await?;
    Ok(findings)
}
