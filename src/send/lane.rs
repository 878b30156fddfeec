//! The queue before one relay.
//!
//! Messages stand in flows, one per run and recipient domain, so that a domain at its limit holds
//! up nobody else. A connection takes the next message that all limits let pass.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::job::Job;
use crate::domain::id::RunId;
use crate::domain::rate::Rate;
use crate::metrics::Metrics;
use crate::relay::Relay;
use crate::relay::throttle::{Passage, Throttle, Waits};

/// No message is held longer than this for a limit: what would wait longer is given back.
pub const HOLD: Duration = Duration::from_secs(5);

/// Flows that are asked in a row before it is taken that the relay or the campaign is the limit.
const ASKED: usize = 16;

/// A relay with the messages that wait for it.
pub struct Lane {
    /// The relay.
    pub relay: Relay,
    queue: Mutex<Queue>,
    /// Rings for the connection that waits for the next message.
    arrived: Notify,
    /// Rings for all that are not open yet.
    wanted: Notify,
    /// Connections that are open.
    open: AtomicUsize,
    /// One connection at a time waits for a limit; what the limits had counted when it last did.
    turn: tokio::sync::Mutex<Waits>,
}

type FlowId = (RunId, String);

#[derive(Default)]
struct Queue {
    flows: HashMap<FlowId, VecDeque<Job>>,
    /// When a flow is asked again; the number keeps arrivals in order.
    order: BTreeMap<(Instant, u64), FlowId>,
    sequence: u64,
    /// Messages in all flows.
    waiting: usize,
    down_until: Option<Instant>,
}

impl Queue {
    fn line_up(&mut self, at: Instant, flow: FlowId) {
        self.sequence += 1;
        self.order.insert((at, self.sequence), flow);
    }
}

impl Lane {
    /// An empty lane.
    #[must_use]
    pub fn new(relay: Relay) -> Self {
        Self {
            relay,
            queue: Mutex::default(),
            arrived: Notify::new(),
            wanted: Notify::new(),
            open: AtomicUsize::new(0),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the relay answered when it was last tried, or may be tried again.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.lock().down_until.is_none_or(|until| Instant::now() >= until)
    }

    /// Notes that a connection could not be opened. While others are open the relay is at its own
    /// limit, not down; else all that wait for it are taken out.
    pub fn refused(&self, pause: Duration) -> Vec<Job> {
        if self.open.load(Ordering::Acquire) > 0 { Vec::new() } else { self.take_down(pause) }
    }

    /// Notes that the relay does not answer, and takes out all that wait for it.
    pub fn take_down(&self, pause: Duration) -> Vec<Job> {
        let mut queue = self.lock();
        queue.down_until = Some(Instant::now() + pause);
        queue.order.clear();
        queue.waiting = 0;
        queue.flows.drain().flat_map(|(_, jobs)| jobs).collect()
    }

    /// Notes that a connection was opened; it counts until the guard is dropped.
    pub fn opened(self: &Arc<Self>) -> Open {
        self.lock().down_until = None;
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(self))
    }

    /// Takes out all messages of a run.
    pub fn take_run(&self, run: RunId) -> Vec<Job> {
        let mut queue = self.lock();
        let (gone, kept) = std::mem::take(&mut queue.flows).into_iter().partition(|((of, _), _)| *of == run);
        queue.flows = kept;
        queue.order.retain(|_, (of, _)| *of != run);
        let gone: HashMap<FlowId, VecDeque<Job>> = gone;
        let gone: Vec<Job> = gone.into_values().flatten().collect();
        queue.waiting -= gone.len();
        gone
    }

    /// Puts a message in line.
    ///
    /// # Errors
    /// The message and how long its limits will keep it, when that is longer than [`HOLD`].
    pub fn push(&self, job: Job) -> Result<(), (Box<Job>, Duration)> {
        let domain = job.profile.address.domain();
        let config = self.relay.config();
        let domain_rate = config.per_domain.get(domain).copied().or(config.per_domain_default);
        let rate = slowest([domain_rate, job.context.throttle]);
        let id = (job.context.run, domain.to_owned());
        let mut queue = self.lock();
        let flow = queue.flows.entry(id.clone()).or_default();
        if let Some(rate) = rate {
            let wait = Duration::from_secs_f64(flow.len() as f64 / rate.per_second());
            if wait > HOLD {
                return Err((Box::new(job), wait));
            }
        }
        flow.push_back(job);
        let first = flow.len() == 1;
        queue.waiting += 1;
        if first {
            queue.line_up(Instant::now(), id);
        }
        drop(queue);
        self.arrived.notify_one();
        self.wanted.notify_waiters();
        Ok(())
    }

    /// Waits until more than `others` messages are in line, so that the first connection opens for
    /// one message and the twentieth for twenty. They need not be there when the caller asks.
    pub async fn available(&self, others: usize) {
        loop {
            let mut wanted = pin!(self.wanted.notified());
            wanted.as_mut().enable();
            if self.lock().waiting > others {
                return;
            }
            wanted.await;
        }
    }

    /// Waits for the next message that its limits let pass. Dropping the future loses nothing.
    pub async fn next(&self, throttle: &Throttle, metrics: &Metrics) -> Job {
        let mut turn = self.turn.lock().await;
        loop {
            let arrived = self.arrived.notified();
            match self.try_next(throttle) {
                Ok(job) => return job,
                Err(None) => arrived.await,
                Err(Some(again)) => {
                    let (began, before) = (Instant::now(), std::mem::replace(&mut *turn, throttle.waits()));
                    tokio::select! {
                        () = tokio::time::sleep_until(again) => {}
                        () = arrived => {}
                    }
                    metrics.throttle_wait(deciding(before, *turn), began.elapsed());
                }
            }
        }
    }

    /// The next message if its limits let it pass at once and no other connection waits for one.
    pub fn at_once(&self, throttle: &Throttle) -> Option<Job> {
        let _turn = self.turn.try_lock().ok()?;
        self.try_next(throttle).ok()
    }

    /// The next message, or when to ask again; `None` when nothing is in line.
    fn try_next(&self, throttle: &Throttle) -> Result<Job, Option<Instant>> {
        let mut queue = self.lock();
        let now = Instant::now();
        let mut earliest: Option<Instant> = None;
        for _ in 0..ASKED {
            let Some((&(at, number), _)) = queue.order.first_key_value() else { break };
            if at > now {
                break;
            }
            let Some(id) = queue.order.remove(&(at, number)) else { break };
            let Some(job) = queue.flows.get(&id).and_then(VecDeque::front) else { continue };
            let passage =
                Passage { relay: &self.relay.config().name, domain: &id.1, campaign: Some(&job.context.campaign) };
            if let Err(again) = throttle.try_admit(passage) {
                earliest = Some(earliest.map_or(again, |e| e.min(again)));
                queue.line_up(again, id);
                continue;
            }
            let flow = queue.flows.get_mut(&id);
            let job = flow.and_then(VecDeque::pop_front);
            if queue.flows.get(&id).is_some_and(|flow| !flow.is_empty()) {
                queue.line_up(now, id);
            } else {
                queue.flows.remove(&id);
            }
            if let Some(job) = job {
                queue.waiting -= 1;
                return Ok(job);
            }
        }
        let first = queue.order.first_key_value().map(|((at, _), _)| *at);
        Err(match (earliest, first) {
            (Some(earliest), Some(first)) if first > now => Some(earliest.min(first)),
            (Some(earliest), _) => Some(earliest),
            (None, first) => first,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing under the lock can panic half-way through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection of a lane.
pub struct Open(Arc<Lane>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The limit that made the most messages wait between two counts.
fn deciding(before: Waits, now: Waits) -> &'static str {
    let counts = [
        (now.relay - before.relay, "relay"),
        (now.domain - before.domain, "domain"),
        (now.campaign - before.campaign, "campaign"),
    ];
    counts.into_iter().max_by_key(|(count, _)| *count).map_or("relay", |(_, limit)| limit)
}

fn slowest(rates: [Option<Rate>; 2]) -> Option<Rate> {
    rates.into_iter().flatten().min_by(|a, b| a.per_second().total_cmp(&b.per_second()))
}
