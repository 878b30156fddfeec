//! `colloquy send`.

mod progress;

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::app::{App, Governed, Site};
use crate::config::Loaded;
use crate::domain::message::MessageState;
use crate::lifecycle::Stop;
use crate::metrics::Metrics;
use crate::send::{Ended, Sender};
use crate::store::reports::skipped_because;
use crate::store::returns;
use crate::store::runs::{self, Run};
use crate::store::{Store, score, versions};

/// Send a campaign now, in the foreground.
///
/// Continues an unfinished run, with the campaign and the templates that it began with, whatever the
/// files say by now. Limits and relays are those of the applied version, else of the files. It ends when only deferred
/// messages remain: a later `send`, or the service, tries these again. Outside the campaign's window, and on days
/// without mail, it waits.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy plan spring-running && colloquy send spring-running\n  \
                        colloquy send spring-running --again     another run, to whoever it finds now\n  \
                        colloquy send spring-running --ignore-window     at once, whatever hour it is")]
pub struct Args {
    /// The campaign's name: its file's stem.
    campaign: String,
    /// Begin another run although the campaign was sent before.
    #[arg(long)]
    again: bool,
    /// Let it leave at once, outside the campaign's window and on days without mail, too.
    #[arg(long)]
    ignore_window: bool,
}

/// Why messages were skipped, the most frequent reasons.
const REASONS: u32 = 3;

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let store = site.store().await?;
    let mut run = match site.unfinished(&store, &args.campaign).await? {
        Some(run) => {
            println!("run {} of {} ({}) is not over and goes on", run.id, run.campaign, run.occasion);
            run
        }
        None => begin(site, &store, &args).await?,
    };
    if args.ignore_window {
        let mut tx = store.write().await?;
        runs::ignore_hours(&mut tx, run.id).await?;
        tx.commit().await?;
        run.any_hour = true;
    }
    carry_out(site, &store, &run).await
}

/// Sends a run in the foreground until it ends or is stopped.
pub(super) async fn carry_out(site: &Site, store: &Store, run: &Run) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let metrics = Metrics::new();
    let (follower, mut governed) = site.follow(store, &metrics).await?;
    let loaded = rules(site, store, run, &mut governed).await?;
    let sender = site.sender(store, metrics, stop.soft.clone(), Some(&loaded)).await?;
    let over = CancellationToken::new();
    let work = async {
        let sending = async {
            let ended = send_run(&sender, store, run).await;
            over.cancel();
            ended
        };
        let govern = site.govern(&sender, governed, over.clone());
        let (ended, (), ()) = tokio::join!(sending, govern, follower.run(over.clone()));
        sender.finish().await;
        ended
    };
    let Some(ended) = stop.unless_hard(work).await else {
        return Err(anyhow!("stopped at once; `colloquy send {}` goes on where it was", run.campaign));
    };
    let ended = ended?;
    summary(store, run, ended).await?;
    stop.unless_hard(store.close()).await;
    Ok(if matches!(ended, Ended::Done | Ended::OnlyDeferred(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Begins a run over the files as they are now.
async fn begin(site: &Site, store: &Store, args: &Args) -> Result<Run> {
    let app = App::open(&site.root, site.clock.clone())?;
    let campaign = app.campaign(&args.campaign)?;
    super::check::refuse_errors(&app, Some(store), Some(&args.campaign)).await?;
    refuse_unusable(site, store, &app).await?;
    let run = app.begin(store, campaign, args.again).await?;
    let before = returns::of_run_before(&mut store.read().await?, &run.campaign, run.id).await?;
    if let Some((last, returned)) = before
        && let Some(reason) = app.loaded.project.returns.exceeded(returned)
    {
        eprintln!("warning: run {last}, the one before: {reason}");
    }
    let now = app.clock.now();
    if let Some(caution) = score::backlog(&mut store.read().await?, now).await?.caution(now) {
        eprintln!("warning: {caution}");
    }
    Ok(run)
}

/// Refuses to begin a run that nobody could send: under the limits and relays that will count at its start.
pub(super) async fn refuse_unusable(site: &Site, store: &Store, app: &App) -> Result<()> {
    let applied = versions::applied(&mut store.read().await?).await?;
    let governing = if applied.is_some() { site.governing(store).await? } else { None };
    site.refuse_unusable(governing.as_ref().map_or(&app.loaded, |governing| &governing.loaded))
}

/// Whose limits and relays count at the start: those of the applied version. While none is applied, those of the
/// files, so that a mistake in them can be mended; where they are broken, those of the last run's version.
async fn rules(site: &Site, store: &Store, run: &Run, governed: &mut Governed) -> Result<Loaded> {
    let applied = versions::applied(&mut store.read().await?).await?;
    let governing = governed.borrow_and_update().clone();
    if let (Some((applied, _)), Some(governing)) = (applied, &governing) {
        if applied == governing.version && applied != run.version {
            eprintln!(
                "note: limits and relays are those of the applied version {applied}, not of the run's {}",
                run.version
            );
        }
    } else if let Ok(app) = App::open(&site.root, site.clock.clone()) {
        return Ok(app.loaded);
    }
    let usable =
        || anyhow!("the files that run {} began with cannot be used any more; `colloquy apply` others", run.id);
    Ok(governing.ok_or_else(usable)?.loaded.clone())
}

/// Sends, counts and shows. Counting a large audience takes longer than the first message should
/// wait, and a run does not fail for want of a count.
async fn send_run(sender: &Sender, store: &Store, run: &Run) -> Result<Ended> {
    let prepared = sender.prepare(run).await?;
    if let Some(wait) = sender.waits(run, &prepared).await? {
        println!(
            "{}: the run waits until {}; --ignore-window lets it leave at once, and whoever stops this command leaves \
             it to the service",
            wait.reason.in_words(),
            wait.until
        );
    }
    let over = CancellationToken::new();
    let watching = tokio::spawn(progress::watch(store.clone(), run.id, over.clone()));
    let (ended, counted) = tokio::join!(sender.send(run.clone(), &prepared, false), sender.count(run, &prepared));
    if let Err(error) = counted {
        warn!(%error, "the run's messages could not be counted");
    }
    over.cancel();
    watching.await?;
    Ok(ended?)
}

async fn summary(store: &Store, run: &Run, ended: Ended) -> Result<()> {
    let mut session = store.read().await?;
    let states = runs::states(&mut session, run.id).await?;
    let total: i64 = states.values().sum();
    println!("run {} of {} ({}): {total} messages", run.id, run.campaign, run.occasion);
    for state in MessageState::ALL {
        if let Some(count) = states.get(&state) {
            println!("  {:<10} {count}", state.as_str());
        }
    }
    if states.contains_key(&MessageState::Skipped) {
        for (reason, messages) in skipped_because(&mut session, run.id, REASONS).await? {
            println!("    {messages} skipped: {reason}");
        }
    }
    for (reason, people) in runs::exclusions(&mut session, run.id).await? {
        println!("  no message to {people}: {reason}");
    }
    if total == 0 {
        println!("  nobody gets a message: `colloquy plan {}` says why", run.campaign);
    }
    match ended {
        Ended::Done => println!("done"),
        Ended::OnlyDeferred(count) => {
            println!(
                "{count} deferred messages remain; `colloquy send {}` or the service tries them again",
                run.campaign
            );
        }
        Ended::Halted(state) => println!("the run is {}", state.as_str()),
        Ended::Stopped => println!("stopped; `colloquy send {}` goes on where it was", run.campaign),
    }
    Ok(())
}
