//! How far a run is, on a terminal.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::id::RunId;
use crate::domain::message::MessageState;
use crate::store::runs::{self, Run};
use crate::store::{Result, Store};

/// How often the bar moves at most.
const LOOK: Duration = Duration::from_millis(200);

/// Looking may take this share of the time.
const SHARE: u32 = 20;

/// How far a run is, whoever sends it and whenever it began.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    /// Messages that were tried or skipped.
    done: u64,
    /// Messages expected in all; `None` before they were counted.
    all: Option<u64>,
    /// What is worth a word.
    words: String,
}

impl Standing {
    fn new(states: &HashMap<MessageState, i64>, planned: Option<i64>) -> Self {
        use MessageState::{Accepted, Deferred, Rejected, Skipped, Unknown};
        let count = |state| states.get(&state).map_or(0, |count| count.unsigned_abs());
        let done = [Accepted, Deferred, Rejected, Unknown, Skipped].into_iter().map(count).sum();
        let words: Vec<_> = [Deferred, Rejected, Unknown, Skipped]
            .into_iter()
            .filter(|state| count(*state) > 0)
            .map(|state| format!("{} {}", count(state), state.as_str()))
            .collect();
        Self { done, all: planned.map(|planned| planned.unsigned_abs().max(done)), words: words.join(", ") }
    }

    fn draw(self, bar: &ProgressBar, first: bool) {
        bar.set_position(self.done);
        self.all.into_iter().for_each(|all| bar.set_length(all));
        bar.set_message(self.words);
        if first {
            bar.reset_eta();
        }
    }
}

/// Shows progress on a terminal until `over`; elsewhere the logs speak. It draws beside the async threads: a terminal that
/// takes nothing any more (Ctrl-S) holds nobody else up.
pub(super) async fn watch(store: Store, run: RunId, over: CancellationToken) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::no_length().with_style(style);
    let mut begun = false;
    while !over.is_cancelled() {
        let asked = Instant::now();
        // A bar that stands still for a moment is no reason to say more.
        if let Ok(Some(standing)) = look(&store, run).await {
            // What was sent before this process began says nothing about its speed.
            let first = !std::mem::replace(&mut begun, true);
            let bar = bar.clone();
            let _ = spawn_blocking(move || standing.draw(&bar, first)).await;
        }
        tokio::select! {
            () = over.cancelled() => {}
            () = tokio::time::sleep(LOOK.max(asked.elapsed() * SHARE)) => {}
        }
    }
    let _ = spawn_blocking(move || bar.finish_and_clear()).await;
}

async fn look(store: &Store, run: RunId) -> Result<Option<Standing>> {
    let mut session = store.read().await?;
    let Some(Run { planned, .. }) = runs::by_id(&mut session, run).await? else { return Ok(None) };
    Ok(Some(Standing::new(&runs::states(&mut session, run).await?, planned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continued_run_stands_where_its_messages_do() {
        use MessageState::{Accepted, Claimed, Deferred, Rejected, Sending, Skipped, Waiting};
        let states =
            [(Accepted, 60), (Rejected, 3), (Deferred, 2), (Skipped, 5), (Waiting, 7), (Claimed, 4), (Sending, 1)];
        let standing = Standing::new(&states.into(), Some(100));
        let words = "2 deferred, 3 rejected, 5 skipped".to_owned();
        assert_eq!(standing, Standing { done: 70, all: Some(100), words });
    }

    #[test]
    fn progress_never_passes_its_end() {
        let states = HashMap::from([(MessageState::Accepted, 12)]);
        let standing = |planned| Standing::new(&states, planned).all;
        assert_eq!((standing(None), standing(Some(10))), (None, Some(12)));
    }
}
