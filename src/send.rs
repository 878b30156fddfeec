//! Sending: due runs are found, claimed from, rendered, throttled, handed over and accounted for.
//!
//! ```text
//! schedule ─► driver (claim) ─► lane (limits) ─► worker (render, hand over) ─► ledger (marks)
//! ```

mod claiming;
mod driver;
mod exchange;
mod job;
mod lane;
mod lanes;
mod lease;
mod ledger;
mod notices;
mod pace;
mod part;
mod prepared;
mod refused;
mod rejections;
mod reopen;
mod rules;
mod schedule;
mod signing;
mod slowing;
mod warm_up;
mod worker;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::driver::Driver;
pub use self::driver::Ended;
use self::job::Job;
pub use self::job::{RunContext, Tally};
use self::lane::Lane;
use self::lanes::{Lanes, Later, Running};
use self::lease::Keeper;
use self::ledger::Ledger;
pub use self::prepared::Prepared;
pub use self::rules::{Limits, Rules};
use self::signing::Signing;
use self::worker::{Shared, Worker};
use crate::clock::{self, Clock, Spell};
use crate::domain::id::{NodeId, RecipientId, RunId};
use crate::domain::rate::Rate;
use crate::domain::time::Micros;
use crate::domain::token::Keyring;
use crate::metrics::Metrics;
use crate::relay::throttle::Throttle;
use crate::relay::{OpenError, Relay};
use crate::store::audience;
use crate::store::eligibility::Permission;
use crate::store::marks::{MessageKey, Return};
use crate::store::nodes::Buried;
use crate::store::runs::{Run, Wait};
use crate::store::{self, Store, nodes, runs};

/// A run that waits for the database looks after this whether it is back.
const RETRY: Duration = Duration::from_secs(1);

/// While no relay answers, a message waits this long.
const NO_RELAY: Duration = Duration::from_secs(5);

/// Why a run cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refuses.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The frozen files of the run's version are not right for this program.
    #[error("the files frozen for run {run} cannot be used:\n{problems}")]
    Version {
        /// The run.
        run: RunId,
        /// What is wrong with them.
        problems: String,
    },
    /// No relay takes anything before somebody changes its settings.
    #[error("relay '{relay}': {source}")]
    Relay {
        /// Its name.
        relay: String,
        /// What it said.
        source: OpenError,
    },
}

impl Error {
    /// Whether the run may go on later without anybody's doing.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => error.may_pass(),
            Self::Version { .. } | Self::Relay { .. } => false,
        }
    }
}

/// A result of sending.
pub type Result<T> = std::result::Result<T, Error>;

/// What a sender needs.
pub struct Options {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Signs links.
    pub keyring: Arc<Keyring>,
    /// Counts.
    pub metrics: Metrics,
    /// What the node is called in the database.
    pub node_name: String,
}

/// Sends runs. One per process.
pub struct Sender {
    store: Store,
    clock: Clock,
    metrics: Metrics,
    node: NodeId,
    keyring: Arc<Keyring>,
    signing: Arc<Signing>,
    lanes: Lanes,
    ledger: Ledger,
    limits: RwLock<Limits>,
    throttle: Arc<Throttle>,
    soft: CancellationToken,
    tasks: TaskTracker,
    lease: JoinHandle<()>,
    slowing: JoinHandle<()>,
    warm_up: JoinHandle<()>,
    exchange: JoinHandle<()>,
    exchanges: exchange::Current,
    ledger_task: JoinHandle<()>,
    lease_stop: CancellationToken,
}

impl Sender {
    /// Registers the node. Nothing is sent before [`Self::govern`] has named relays. `soft` stops
    /// claiming; what is in flight is finished.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn start(options: Options, soft: CancellationToken) -> Result<Self> {
        let soft = soft.child_token();
        let Options { store, clock, keyring, metrics, node_name } = options;
        let mut tx = store.write().await?;
        let node = nodes::register(&mut tx, &node_name, clock.now()).await?;
        tx.commit().await?;
        let throttle = Arc::new(Throttle::new());
        let lease_stop = CancellationToken::new();
        let keeper = Keeper::begin(store.clone(), node, clock.clone(), metrics.clone(), Arc::clone(&throttle)).await;
        let lease = tokio::spawn(keeper.keep(lease_stop.clone(), soft.clone()));
        let slowing = tokio::spawn(slowing::keep(
            Arc::clone(&throttle),
            store.clone(),
            node,
            clock.clone(),
            metrics.clone(),
            lease_stop.clone(),
        ));
        let warm_up = tokio::spawn(warm_up::keep(
            Arc::clone(&throttle),
            store.clone(),
            clock.clone(),
            metrics.clone(),
            lease_stop.clone(),
        ));
        let exchanges = Arc::default();
        let exchange = tokio::spawn(exchange::keep(Arc::clone(&throttle), Arc::clone(&exchanges), lease_stop.clone()));
        let (ledger, ledger_task) = Ledger::spawn(store.clone(), node, clock.clone());
        let tasks = TaskTracker::new();
        tasks.close();
        Ok(Self {
            store,
            clock,
            metrics,
            node,
            keyring,
            signing: Arc::new(Signing::new()),
            lanes: Lanes::default(),
            ledger,
            limits: RwLock::default(),
            throttle,
            soft,
            tasks,
            lease,
            slowing,
            warm_up,
            exchange,
            exchanges,
            ledger_task,
            lease_stop,
        })
    }

    /// Puts all sending under these rules from now on. Relays that are no longer named, or otherwise,
    /// finish what they have on the wire; what waited for them is claimed again.
    pub async fn govern(&self, rules: Rules) {
        let Rules { limits, relays, exchanges, signer } = rules;
        self.signing.renew(Arc::new(signer));
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
        *self.exchanges.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(exchanges);
        relays.iter().for_each(|relay| self.throttle.set_relay(relay.config()));
        for job in self.lanes.renew(relays, |relay| self.open_lane(relay)) {
            self.wait_again(&job, Duration::ZERO).await;
        }
    }

    /// Opens the lane of a relay.
    fn open_lane(&self, relay: Relay) -> Running {
        let (lane, stop) = (Arc::new(Lane::new(relay, &self.throttle)), self.soft.child_token());
        let shared = Arc::new(Shared {
            store: self.store.clone(),
            ledger: self.ledger.clone(),
            throttle: Arc::clone(&self.throttle),
            keyring: Arc::clone(&self.keyring),
            signing: Arc::clone(&self.signing),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            soft: stop.clone(),
        });
        for index in 0..usize::from(lane.relay.config().connections) {
            let (shared, lane) = (Arc::clone(&shared), Arc::clone(&lane));
            self.tasks.spawn(Worker { shared, lane, index, random: clock::random(), swift: false }.run());
        }
        Running { lane, stop }
    }

    fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many messages the run will have, unless that was noted before.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn count(&self, run: &Run, prepared: &Prepared) -> Result<()> {
        if run.planned.is_some() {
            return Ok(());
        }
        let permission =
            Permission { topic: &run.topic, at: run.at, run: Some(run.id), cap: self.limits().frequency_cap };
        let mut session = self.store.read().await?;
        let scale = prepared.scale(&mut session).await?;
        let planned =
            audience::count_allowed(&mut session, &prepared.audience(&scale, run.at, None), &permission).await?;
        drop(session);
        let mut tx = self.store.write().await?;
        runs::set_planned(&mut tx, run.id, planned).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Why nothing of a run may leave at present, and from when on something may.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn waits(&self, run: &Run, prepared: &Prepared) -> Result<Option<Wait>> {
        let now = self.clock.now();
        let parts = Driver::new(self, run.clone(), prepared, false).await?.parts;
        let waits: Option<Vec<_>> = parts.iter().map(|part| part.waits(now, run.any_hour)).collect();
        Ok(waits.and_then(|waits| waits.into_iter().min_by_key(|wait| wait.until)))
    }

    /// Sends a run until it ends, is halted, or this process stops. With `to_the_end` it waits for
    /// deferred messages, else it ends when only these remain. While the database is away, or the
    /// scores are being rebuilt, the run waits.
    ///
    /// # Errors
    /// What does not pass by itself.
    pub async fn send(&self, run: Run, prepared: &Prepared, to_the_end: bool) -> Result<Ended> {
        let mut run = run;
        let mut spell = Spell::default();
        loop {
            let drive = async { Driver::new(self, run.clone(), prepared, to_the_end).await?.drive().await };
            match drive.await {
                Ok(ended) => return Ok(ended),
                Err(error) if !error.may_pass() => return Err(error),
                Err(error) if spell.failed() => warn!(run = %run.id, %error, "the run waits"),
                Err(_) => {}
            }
            if self.stops_within(RETRY).await {
                return Ok(Ended::Stopped);
            }
            if let Ok(mut session) = self.store.read().await
                && let Ok(Some(fresh)) = runs::by_id(&mut session, run.id).await
            {
                run = fresh;
            }
        }
    }

    /// Waits before another try; `true` at once when the soft stop comes.
    async fn stops_within(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.soft.cancelled() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }

    /// Stops softly: waits until everything in flight is finished and written, and gives the lease
    /// up.
    pub async fn finish(self) {
        self.soft.cancel();
        self.tasks.wait().await;
        for job in self.lanes.renew(Vec::new(), |relay| self.open_lane(relay)) {
            self.wait_again(&job, Duration::ZERO).await;
        }
        let Self {
            store, clock, node, ledger, lease, slowing, warm_up, exchange, ledger_task, lease_stop, lanes, ..
        } = self;
        drop((ledger, lanes));
        let _ = ledger_task.await;
        lease_stop.cancel();
        let _ = tokio::join!(lease, slowing, warm_up, exchange);
        if let Err(error) = lease::give_up(&store, node, &clock).await {
            warn!(%error, "the lease could not be given up; other nodes will notice");
        }
    }

    /// Stops when this is cancelled.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.soft
    }

    /// Messages per second that relays and campaign allow this node.
    fn ceiling(&self, context: &RunContext) -> f64 {
        let campaign = self.throttle.campaign_rate(&context.campaign);
        self.lanes.per_second(&self.throttle).min(campaign.map_or(f64::INFINITY, Rate::per_second))
    }

    /// Puts a message in the line of the relay that shall take it.
    async fn dispatch(&self, job: Job) {
        let Err((job, later)) = self.lanes.push(job, &self.throttle) else { return };
        match later {
            Later::NoRelay => self.wait_again(&job, NO_RELAY).await,
            Later::In(pause) => self.wait_again(&job, pause).await,
            Later::Day(begins) => self.wait_until(&job, begins).await,
        }
    }

    /// Gives a claim back, to be claimed again after `pause`.
    async fn wait_again(&self, job: &Job, pause: Duration) {
        self.wait_until(job, self.clock.now().plus(pause)).await;
    }

    async fn wait_until(&self, job: &Job, due_at: Micros) {
        self.ledger.give_back(Return { message: job.key(), due_at: Some(due_at), reason: None }).await;
    }

    /// Releases messages of a run that the database calls ours and nobody has in hand: a commit
    /// whose answer was lost, or a task that died.
    async fn release_strays(&self, context: &RunContext) -> store::Result<()> {
        if context.in_hand() > 0 {
            return Ok(());
        }
        let mut tx = self.store.write().await?;
        let strays = nodes::release_strays(&mut tx, self.node, context.run, self.clock.now()).await?;
        tx.commit().await?;
        if strays != Buried::default() {
            warn!(run = %context.run, released = strays.released, unknown = strays.unknown, "stray messages released");
        }
        Ok(())
    }

    /// Gives back a claim that no job was made of.
    async fn release(&self, run: RunId, recipient: RecipientId) {
        let message = MessageKey { run, recipient };
        self.ledger.give_back(Return { message, due_at: Some(self.clock.now()), reason: None }).await;
    }

    async fn skip(&self, run: RunId, recipient: RecipientId, reason: &str) {
        let message = MessageKey { run, recipient };
        self.ledger.give_back(Return { message, due_at: None, reason: Some(reason.to_owned()) }).await;
    }
}
