//! How a process ends: softly, then by a deadline or a second signal.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Time that what is in flight has after the first signal. The final dot of a message may take
/// ten minutes; an operator who cannot wait sends a second signal.
const DEADLINE: Duration = Duration::from_secs(630);

/// The two ways to stop. Both are set by signals, and can be cancelled by hand.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Take nothing new; finish what is in flight.
    pub soft: CancellationToken,
    /// Leave everything where it is: what was written is on disk, the rest is recovered later.
    pub hard: CancellationToken,
}

impl Stop {
    /// Listens to SIGTERM and SIGINT: the first is the soft stop, a second one or the deadline the
    /// hard one.
    ///
    /// # Errors
    /// When the process cannot listen to signals.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Self::default();
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let Self { soft, hard } = stop.clone();
        tokio::spawn(async move {
            tokio::select! { _ = term.recv() => {} _ = int.recv() => {} }
            info!("stopping: what is in flight is finished; a second signal stops at once");
            soft.cancel();
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
                () = tokio::time::sleep(DEADLINE) => {}
            }
            warn!("stopping at once");
            hard.cancel();
        });
        Ok(stop)
    }

    /// Runs `work` to its end, unless the hard stop comes first; then `None`.
    pub async fn unless_hard<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.hard.cancelled() => None,
        }
    }
}
