//! Looks into mailboxes again and again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Arrival, Intake};
use crate::clock::Clock;
use crate::mailbox::{Looked, Mailbox, Sink, Trouble};
use crate::metrics::Metrics;

/// A mailbox with trouble is looked into ever more seldom, at least so often.
const SELDOM: Duration = Duration::from_secs(15 * 60);

struct Door<'a> {
    mailbox: &'a str,
    intake: &'a Intake,
}

impl Sink for Door<'_> {
    async fn take(&self, raw: &[u8], size: u64) -> Result<(), String> {
        let arrival = Arrival { way: self.mailbox, sender: None, recipient: None, raw, size };
        self.intake.take(arrival).await.map(drop).map_err(|error| error.to_string())
    }
}

/// Takes in what is in the mailbox, as often as it is configured, until `shutdown`. Whatever goes wrong there is logged,
/// and tried again.
pub async fn keep_looking(
    mailbox: Mailbox,
    intake: Intake,
    metrics: Metrics,
    clock: Clock,
    shutdown: CancellationToken,
) {
    let door = Door { mailbox: mailbox.name(), intake: &intake };
    let (mut failures, mut known) = (0, 0);
    while !shutdown.is_cancelled() {
        // Before the look: what arrives meanwhile is told.
        let (arrived, _watch) = mailbox.watch();
        let wait = match mailbox.look(&door).await {
            Ok(Looked { taken, unreadable }) => {
                metrics.mailbox_read(mailbox.name(), clock.now(), unreadable);
                if unreadable > known {
                    warn!(mailbox = mailbox.name(), unreadable, "mails cannot be read, and stay where they are");
                }
                if failures > 0 {
                    info!(mailbox = mailbox.name(), taken, "the mailbox can be read again");
                }
                (failures, known) = (0, unreadable);
                mailbox.every()
            }
            Err(Trouble::Stopped) => return,
            Err(error) => {
                metrics.mailbox_failed(mailbox.name());
                failures += 1;
                let wait = later(mailbox.every(), failures);
                warn!(mailbox = mailbox.name(), %error, again_in = ?wait, "the mailbox cannot be read");
                wait
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = clock.sleep(wait) => {}
            () = arrived.notified(), if failures == 0 => {}
        }
    }
}

/// When to try again after so many failures in a row.
fn later(every: Duration, failures: u32) -> Duration {
    every.saturating_mul(1 << failures.min(10)).min(SELDOM).max(every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_looked_at_ever_more_seldom_and_never_more_often_than_rest() {
        let seconds = |every, failures| later(Duration::from_secs(every), failures).as_secs();
        assert_eq!([1, 2, 3, 4, 60].map(|failures| seconds(60, failures)), [120, 240, 480, 900, 900]);
        assert_eq!(seconds(3_600, 1), 3_600);
    }
}
