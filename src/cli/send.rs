//! `colloquy send`.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use tracing::warn;

use crate::app::App;
use crate::domain::message::MessageState;
use crate::lifecycle::Stop;
use crate::metrics::Metrics;
use crate::send::{Ended, RunContext, Sender};
use crate::store::Store;
use crate::store::runs::{self, Run};

/// Send a campaign now, in the foreground.
///
/// Continues an unfinished run, with the files that it began with. It ends when only deferred
/// messages remain: a later `send`, or the service, tries these again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy plan spring-running && colloquy send spring-running\n  \
                        colloquy send spring-running --again     another run, to whoever it finds now")]
pub struct Args {
    /// The campaign's name: its file's stem.
    campaign: String,
    /// Begin another run although the campaign was sent before.
    #[arg(long)]
    again: bool,
}

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    let campaign = app.campaign(&args.campaign)?;
    super::check::refuse_broken_templates(app)?;
    let store = app.store().await?;
    let run = app.begin(&store, campaign, args.again).await?;
    let stop = Stop::on_signals()?;
    let sender = app.sender(&store, Metrics::new(), stop.soft.clone()).await?;
    let work = async {
        let ended = send_run(&sender, &store, &run).await;
        sender.finish().await;
        ended
    };
    let Some(ended) = stop.unless_hard(work).await else {
        return Err(anyhow!("stopped at once; `colloquy send {}` goes on where it was", args.campaign));
    };
    let ended = ended?;
    summary(&store, &run, ended).await?;
    Ok(if matches!(ended, Ended::Done | Ended::OnlyDeferred(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends, counts and shows. Counting a large audience takes longer than the first message should
/// wait, and a run does not fail for want of a count.
async fn send_run(sender: &Sender, store: &Store, run: &Run) -> Result<Ended> {
    let prepared = sender.prepare(run).await?;
    let watching = tokio::spawn(watch(store.clone(), run.clone(), Arc::clone(&prepared.context)));
    let (ended, counted) = tokio::join!(sender.send(run.clone(), &prepared, false), sender.count(run, &prepared));
    if let Err(error) = counted {
        warn!(%error, "the run's messages could not be counted");
    }
    watching.abort();
    Ok(ended?)
}

/// Shows progress on a terminal; elsewhere the logs speak.
async fn watch(store: Store, run: Run, context: Arc<RunContext>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::no_length().with_style(style);
    loop {
        let tally = &context.tally;
        if bar.length().is_none()
            && let Ok(mut session) = store.read().await
            && let Ok(Some(Run { planned: Some(planned), .. })) = runs::by_id(&mut session, run.id).await
        {
            bar.set_length(u64::try_from(planned).unwrap_or(0));
        }
        bar.set_position(tally.outcomes());
        let words: Vec<_> = [MessageState::Deferred, MessageState::Rejected, MessageState::Unknown]
            .into_iter()
            .filter(|s| tally.get(*s) > 0)
            .map(|s| format!("{} {}", tally.get(s), s.as_str()))
            .collect();
        bar.set_message(words.join(", "));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
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
    for (reason, people) in runs::exclusions(&mut session, run.id).await? {
        println!("  no message to {people}: {reason}");
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
