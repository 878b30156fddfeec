//! `colloquy send`.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::{App, Refused};
use crate::domain::message::MessageState;
use crate::domain::run::RunState;
use crate::lifecycle::Stop;
use crate::metrics::Metrics;
use crate::send::{Ended, RunContext};
use crate::store::Store;
use crate::store::runs::{self, NewRun, Run};

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
    let run = open_or_begin(app, &store, &args, &campaign.topic).await?;
    let stop = Stop::on_signals()?;
    let sender = app.sender(&store, Metrics::new(), stop.soft.clone()).await?;
    let work = async {
        let prepared = sender.prepare(&run).await?;
        let watching = tokio::spawn(watch(store.clone(), run.clone(), Arc::clone(&prepared.context)));
        // Counting a large audience takes longer than the first message should wait.
        let (ended, counted) = tokio::join!(sender.send(run.clone(), &prepared, false), sender.count(&run, &prepared));
        counted?;
        watching.abort();
        sender.finish().await;
        anyhow::Ok(ended?)
    };
    let Some(ended) = stop.unless_hard(work).await else {
        return Err(anyhow!("stopped at once; `colloquy send {}` goes on where it was", args.campaign));
    };
    let ended = ended?;
    summary(&store, &run, ended).await?;
    Ok(if matches!(ended, Ended::Done | Ended::OnlyDeferred(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn open_or_begin(app: &App, store: &Store, args: &Args, topic: &str) -> Result<Run> {
    let name = args.campaign.as_str();
    let refuse = |words: String| Err(anyhow!(Refused(words)));
    let mut session = store.read().await?;
    if let Some(run) = runs::open(&mut session).await?.into_iter().find(|run| run.campaign == name) {
        return match run.state {
            RunState::Running => {
                eprintln!("continuing run {} ({})", run.id, run.occasion);
                Ok(run)
            }
            state => refuse(format!(
                "run {} of '{name}' is {}{}\n  hint: colloquy resume {name}, or colloquy cancel {name}",
                run.id,
                state.as_str(),
                run.reason.map(|r| format!(": {r}")).unwrap_or_default()
            )),
        };
    }
    let last = runs::recent(&mut session, Some(name)).await?.into_iter().next();
    if let (Some(last), false) = (&last, args.again) {
        return refuse(format!(
            "'{name}' was sent before: run {} ({}) is {}\n  hint: --again begins another run; `colloquy report {name}` shows the last",
            last.id,
            last.occasion,
            last.state.as_str()
        ));
    }
    let occasion = (runs::count(&mut session, name).await? + 1).to_string();
    drop(session);
    let version = app.freeze(store).await?;
    let new =
        NewRun { campaign: name, topic, occasion: &occasion, version, state: RunState::Scheduled, at: app.clock.now() };
    let mut tx = store.write().await?;
    runs::create(&mut tx, new).await?;
    let run = runs::by_occasion(&mut tx, name, &occasion).await?.ok_or_else(|| anyhow!("the run has gone"))?;
    runs::change(&mut tx, run.id, RunState::Scheduled, RunState::Running, None, app.clock.now()).await?;
    tx.commit().await?;
    Ok(Run { state: RunState::Running, ..run })
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
