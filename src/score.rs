//! The scorer: turns actions into scores, affinities, clusters and moments, as they come in.
//!
//! There is no nightly job. What an action adds is added once; what fades, fades by itself. The
//! rebuild computes the same from nothing, and checks it.

mod compare;
mod options;
mod person;
mod rebuild;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use compare::Difference;
pub use options::Options;
pub use rebuild::{Mode, Report};

use crate::clock::{Clock, Spell};
use crate::domain::ledger::Rules;
use crate::domain::time::Micros;
use crate::metrics::Metrics;
use crate::store::score::{Facts, Lock};
use crate::store::{Session, Store, score};

/// Actions a transaction, and with that the most people that it holds.
const BATCH: i64 = 500;
/// How long to wait when nothing is left to do; true time, also beside a fast clock.
const IDLE: Duration = Duration::from_millis(250);
/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(10);
/// How long to wait for a database that is away.
const AWAY: Duration = Duration::from_secs(1);

/// Why nothing is scored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Sums under the old rules cannot be compared with new ones.
    #[error("[score] or [cluster] has changed since the scores were made; run `colloquy score rebuild`")]
    RulesChanged,
    /// A rebuild is under way, or was interrupted.
    #[error("the scores are being rebuilt; if that was interrupted, run `colloquy score rebuild` again")]
    Rebuilding,
    /// A rebuild that began later goes on instead.
    #[error("another rebuild of the scores has begun meanwhile; this one has stopped")]
    Superseded,
}

/// The service. Several may run at once: a person is held by one of them at a time.
#[derive(Clone, Debug)]
pub struct Scorer {
    store: Store,
    clock: Clock,
    options: Options,
    fingerprint: String,
}

/// The facts under which a transaction scores, or what must happen first.
enum Footing {
    Firm(Facts),
    Missing,
    Stale(Facts),
}

impl Scorer {
    /// A scorer over a store.
    #[must_use]
    pub fn new(store: Store, clock: Clock, options: Options) -> Self {
        let fingerprint = Rules::fingerprint(&options.score, &options.cluster);
        Self { store, clock, options, fingerprint }
    }

    /// Scores what comes in until `shutdown`. Failures are logged and tried again.
    pub async fn run(self, metrics: Metrics, shutdown: CancellationToken) {
        let (mut away, mut halted) = <(Spell, Spell)>::default();
        while !shutdown.is_cancelled() {
            let round = self.round(&metrics).await;
            if round.is_ok() && (away.ended() | halted.ended()) {
                info!("scoring goes on");
            }
            let wait = match round {
                Ok(0) => IDLE,
                Ok(_) => continue,
                Err(Error::Store(cause)) if cause.may_pass() => {
                    if away.failed() {
                        warn!(error = %cause, "scoring waits");
                    }
                    AWAY
                }
                Err(cause) => {
                    if halted.failed() {
                        error!(error = %cause, "nothing is scored");
                    }
                    PAUSE
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        debug!("the scorer has stopped");
    }

    /// Scores all that waits now, and records all that has cooled. For commands and tests.
    ///
    /// # Errors
    /// See [`Self::step`].
    pub async fn drain(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            match self.step().await? {
                0 => break,
                scored => done += scored,
            }
        }
        while self.sweep().await? > 0 {}
        Ok(done)
    }

    /// Scores one batch of actions that have happened by now; how many there were. A batch is one
    /// transaction: after a crash it was scored, or waits still.
    ///
    /// # Errors
    /// When the rules have changed, a rebuild is under way, or the database fails.
    pub async fn step(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        if score::is_idle(&mut self.store.read().await?, now).await? {
            return Ok(0);
        }
        let Some((mut session, facts)) = self.begin(now).await? else { return Ok(0) };
        let batch = score::take(&mut session, now, BATCH).await?;
        let (counting, ignored): (Vec<_>, Vec<_>) = batch.into_iter().partition(|waiting| waiting.counts);
        let scored: Vec<i64> = counting.iter().map(|waiting| waiting.action.id).collect();
        let ignored: Vec<i64> = ignored.into_iter().map(|waiting| waiting.action.id).collect();
        let rules = self.options.rules(facts.population);
        let people = person::advance(&mut session, counting, &rules, &facts.scale).await?;
        score::save(&mut session, &people).await?;
        score::mark_scored(&mut session, &scored).await?;
        score::mark_ignored(&mut session, &ignored).await?;
        session.commit().await?;
        Ok(scored.len() + ignored.len())
    }

    /// Records a batch of scores that have fallen below the threshold; how many there were.
    ///
    /// # Errors
    /// See [`Self::step`].
    pub async fn sweep(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        if score::is_warm(&mut self.store.read().await?, now).await? {
            return Ok(0);
        }
        let Some((mut session, _)) = self.begin(now).await? else { return Ok(0) };
        let cooled = score::sweep(&mut session, now, self.options.score.warm, BATCH).await?;
        session.commit().await?;
        Ok(cooled)
    }

    async fn round(&self, metrics: &Metrics) -> Result<usize, Error> {
        let scored = self.step().await?;
        metrics.scored(scored as u64);
        let now = self.clock.now();
        let backlog = score::backlog(&mut self.store.read().await?, now).await?;
        let oldest = backlog.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        metrics.set_scorer_lag(backlog.actions, oldest);
        // A fall is only recorded once nothing waits that may have prevented it.
        Ok(if scored == 0 { self.sweep().await? } else { scored })
    }

    /// A transaction under facts that fit the rules, which nobody changes before it ends.
    async fn begin(&self, now: Micros) -> Result<Option<(Session, Facts)>, Error> {
        for _ in 0..3 {
            let mut session = self.store.write().await?;
            if let Footing::Firm(facts) = self.footing(&mut session, now, Lock::Shared).await? {
                return Ok(Some((session, facts)));
            }
            session.rollback().await?;
            self.found(now).await?;
        }
        Ok(None)
    }

    async fn footing(&self, session: &mut Session, now: Micros, lock: Lock) -> Result<Footing, Error> {
        let Some(facts) = score::facts(session, lock).await? else { return Ok(Footing::Missing) };
        if facts.rebuild.is_some() {
            return Err(Error::Rebuilding);
        }
        if facts.rules_hash != self.fingerprint {
            return if score::is_empty(session).await? { Ok(Footing::Missing) } else { Err(Error::RulesChanged) };
        }
        Ok(if facts.scale.is_stale(now) { Footing::Stale(facts) } else { Footing::Firm(facts) })
    }

    /// Writes the first facts, or moves the landmark on; nobody scores meanwhile.
    async fn found(&self, now: Micros) -> Result<(), Error> {
        let mut session = self.store.write().await?;
        match self.footing(&mut session, now, Lock::Exclusive).await? {
            Footing::Missing => {
                let facts = self.options.facts(now, self.fingerprint.clone());
                score::save_facts(&mut session, &facts).await?;
            }
            Footing::Stale(facts) => {
                info!(landmark = %now, "moving the landmark of all scores");
                score::rebase(&mut session, facts, now).await?;
            }
            Footing::Firm(_) => {}
        }
        Ok(session.commit().await?)
    }
}
