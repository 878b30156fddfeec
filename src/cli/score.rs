//! `colloquy score`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::{App, Site};
use crate::score::{Mode, Options, Report, Scorer};
use crate::store::{Store, score};

/// Scores: compute them anew from the stored actions, or check them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Rebuild(Rebuild),
}

/// Compute every score, affinity, cluster and moment from the stored actions.
///
/// Needed after another `[score]` or `[cluster]` was applied. It also renews the population that clusters are
/// measured against. Scoring of new actions waits meanwhile; sending waits only if a half-life has
/// changed. Actions that wait are scored at the end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy score rebuild --check     change nothing, report what differs\n  \
                        colloquy score rebuild             store what the actions say")]
struct Rebuild {
    /// Change nothing; exit with 1 when anything stored differs from what the actions say.
    #[arg(long)]
    check: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let Command::Rebuild(Rebuild { check, json }) = args.command;
    let mode = if check { Mode::Check } else { Mode::Rewrite };
    let store = site.store().await?;
    let scorer = Scorer::new(store.clone(), site.clock.clone(), rules(site, &store).await?);
    let bar = progress();
    let mut report = scorer.rebuild(mode, |seen| bar.set_position(seen)).await?;
    report.waiting = match mode {
        Mode::Check => score::backlog(&mut store.read().await?, site.clock.now()).await?.actions.unsigned_abs(),
        Mode::Rewrite => scorer.drain().await? as u64,
    };
    bar.finish_and_clear();
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", describe(&report, mode));
    }
    Ok(if check && report.differing > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The rules by which the service scores; before a version governs, those of the files.
async fn rules(site: &Site, store: &Store) -> Result<Options> {
    let on_disk = |app: &App| Options::from(&app.loaded.project);
    let Some(governing) = site.governing(store).await? else {
        return Ok(on_disk(&App::open(&site.root, site.clock.clone())?));
    };
    let options = Options::from(&governing.loaded.project);
    if App::open(&site.root, site.clock.clone()).is_ok_and(|app| on_disk(&app) != options) {
        eprintln!("note: the files have other rules than version {}; `colloquy apply` them first", governing.version);
    }
    Ok(options)
}

/// Recipients seen so far, on a terminal only.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} recipients, {per_sec}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn describe(report: &Report, mode: Mode) -> String {
    let Report { people, differing, differences, worst, waiting } = report;
    let mut text = match (differing, mode) {
        (0, _) => format!("{people} people have a score, and each is what the actions say (within {worst:.0e})\n"),
        (_, Mode::Check) => format!("{people} people have a score; {differing} differ from what the actions say\n"),
        (_, Mode::Rewrite) => format!("{people} people have a score; that of {differing} was stored anew\n"),
    };
    if mode == Mode::Check {
        for difference in differences {
            let (who, what) = (difference.recipient, difference.what);
            text += &format!("  recipient {who}: {what} is {}, not {}\n", difference.stored, difference.expected);
        }
        if *differing > 0 {
            text += "Run `colloquy score rebuild` to store what the actions say.\n";
        }
    }
    text += &match (waiting, mode) {
        (0, _) => String::new(),
        (_, Mode::Check) => format!(
            "Actions that wait to be scored: {waiting}. `colloquy run` scores them, and so does `colloquy score rebuild`.\n"
        ),
        (_, Mode::Rewrite) => format!("Actions that had waited are scored now: {waiting}\n"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::RecipientId;
    use crate::score::Difference;

    #[test]
    fn a_check_names_what_differs_and_what_to_do() {
        let difference =
            Difference { recipient: RecipientId(7), what: "f", stored: "1.5".into(), expected: "2.5".into() };
        let report = Report { people: 9, differing: 1, differences: vec![difference], worst: 0.1, waiting: 3 };
        assert_eq!(
            describe(&report, Mode::Check),
            "9 people have a score; 1 differ from what the actions say\n  recipient 7: f is 1.5, not 2.5\n\
             Run `colloquy score rebuild` to store what the actions say.\n\
             Actions that wait to be scored: 3. `colloquy run` scores them, and so does `colloquy score rebuild`.\n"
        );
        let clean = Report { people: 9, worst: 3e-16, ..Report::default() };
        let text = describe(&clean, Mode::Check);
        assert_eq!(text, "9 people have a score, and each is what the actions say (within 3e-16)\n");
    }
}
