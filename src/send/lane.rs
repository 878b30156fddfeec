//! The queue before one relay.
//!
//! Messages stand in flows, one per run and recipient domain (or what the domain shares its limits
//! with), so that a domain at its limit holds up nobody else. A connection takes the message that
//! came first among those that all limits let pass: rare domains do not overtake the frequent ones,
//! else the first outcomes of a run would tell of the rare ones only.

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
use crate::relay::throttle::{Freed, Hold, Passage, Throttle, Waits};
use crate::relay::{OpenError, Permanence, Relay};

/// No message is held longer than this for a limit: what would wait longer is given back.
pub const HOLD: Duration = Duration::from_secs(5);

/// What is given back for a limit comes again within this, since limits change.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A relay that does not answer is tried again after this, and its messages go elsewhere.
const DOWN: Duration = Duration::from_secs(15);

/// One that refuses for good is left alone for this long at most.
const LONGEST_DOWN: Duration = Duration::from_secs(15 * 60);

/// Flows that were put off are forgotten above this number, once their messages have come again.
const MOST_PUT_OFF: usize = 1_000;

/// Added to the number of a message's arrival, so that every notice that waits has a lower one.
const BEHIND_NOTICES: u64 = 1 << 63;

/// Flows that are asked in a row before it is taken that the relay or the campaign is the limit.
const ASKED: usize = 16;

/// A relay with the messages that wait for it.
pub struct Lane {
    /// The relay.
    pub relay: Relay,
    /// Its name, which all marks share.
    pub name: Arc<str>,
    queue: Mutex<Queue>,
    /// Rings for the connection that waits for the next message.
    arrived: Notify,
    /// Rings when something is freed that limits withheld.
    freed: Arc<Freed>,
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
    /// With the number of its arrival; those of messages are behind those of all notices.
    flows: HashMap<FlowId, VecDeque<(u64, Job)>>,
    /// Flows that may be asked, by the arrival of their first message.
    ready: BTreeMap<u64, FlowId>,
    /// Flows that a limit holds up, by when they are asked again.
    held: BTreeMap<(Instant, u64), FlowId>,
    /// Flows that wait until something is freed, and how much had been freed when that was looked at.
    parked: Vec<(u64, FlowId)>,
    freed: u64,
    /// When the last message of a flow comes again that was given back for a limit.
    put_off: HashMap<FlowId, Instant>,
    arrivals: u64,
    /// Messages in all flows.
    waiting: usize,
    down_until: Option<Instant>,
    refusals: Refusals,
}

/// What the relay said when no connection could be opened, since the last that could.
#[derive(Default)]
struct Refusals {
    /// Times in a row at which it refused for good; each doubles the pause.
    permanent: u32,
    last: Option<OpenError>,
}

impl Queue {
    /// How many notices are in line.
    fn notices(&self) -> usize {
        let flows = self.flows.iter().filter(|((run, _), _)| *run == RunId::NOTICES);
        flows.map(|(_, flow)| flow.len()).sum()
    }

    /// Lets flows be asked again whose time has come, or for which something may have been freed.
    fn release(&mut self, now: Instant, freed: u64) {
        while let Some(first) = self.held.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, number), flow) = first.remove_entry();
            self.ready.insert(number, flow);
        }
        if self.freed != freed {
            self.freed = freed;
            self.ready.extend(self.parked.drain(..));
        }
    }

    /// How long a message of a flow is to stay away: those that were put off come one after the other,
    /// at the flow's rate, and not all at once.
    fn put_off(&mut self, id: FlowId, wait: Duration, rate: f64) -> Duration {
        let now = Instant::now();
        if self.put_off.len() > MOST_PUT_OFF {
            self.put_off.retain(|_, until| *until > now);
        }
        let after = self.put_off.get(&id).map_or(now, |last| *last + Duration::from_secs_f64(rate.recip()));
        let until = after.max(now + wait).min(now + LONGEST_PAUSE);
        self.put_off.insert(id, until);
        until - now
    }

    /// Takes the first message of a flow, which stands in neither order, and puts the flow in line
    /// again.
    fn take(&mut self, id: FlowId) -> Option<Job> {
        let flow = self.flows.get_mut(&id)?;
        let (_, job) = flow.pop_front()?;
        self.waiting -= 1;
        match flow.front() {
            Some(&(next, _)) => drop(self.ready.insert(next, id)),
            None => drop(self.flows.remove(&id)),
        }
        Some(job)
    }
}

impl Lane {
    /// An empty lane.
    #[must_use]
    pub fn new(relay: Relay, throttle: &Throttle) -> Self {
        Self {
            freed: throttle.freed(&relay.config().name),
            name: relay.config().name.as_str().into(),
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

    /// The words of a relay that refuses for good: it is down, and trying again would not help.
    #[must_use]
    pub fn refusal(&self) -> Option<OpenError> {
        let queue = self.lock();
        queue.down_until.filter(|until| Instant::now() < *until)?;
        queue.refusals.last.clone().filter(|error| error.permanence == Permanence::Permanent)
    }

    /// Notes that a connection could not be opened; answers with how long not to try again. While
    /// others are open the relay is at its own limit, not down; else all that wait for it are taken
    /// out. A relay that refuses for good is asked less and less often, so that a wrong password does
    /// not lock the account.
    pub fn refused(&self, error: OpenError) -> (Vec<Job>, Duration) {
        if self.open.load(Ordering::Acquire) > 0 {
            return (Vec::new(), DOWN);
        }
        let mut queue = self.lock();
        let now = Instant::now();
        // Connections that are opened at the same time fail for the same reason, which counts once.
        if let Some(until) = queue.down_until.filter(|until| now < *until) {
            return (Vec::new(), until - now);
        }
        let Refusals { permanent, last } = &mut queue.refusals;
        *permanent = if error.permanence == Permanence::Permanent { *permanent + 1 } else { 0 };
        let pause = DOWN.saturating_mul(1 << permanent.saturating_sub(1).min(16)).min(LONGEST_DOWN);
        *last = Some(error);
        drop(queue);
        (self.take_down(pause), pause)
    }

    /// Notes that the relay does not answer, and takes out all that wait for it.
    pub fn take_down(&self, pause: Duration) -> Vec<Job> {
        let mut queue = self.lock();
        queue.down_until = Some(Instant::now() + pause);
        queue.ready.clear();
        queue.held.clear();
        queue.parked.clear();
        queue.waiting = 0;
        queue.flows.drain().flat_map(|(_, jobs)| jobs).map(|(_, job)| job).collect()
    }

    /// Notes that a connection was opened; it counts until the guard is dropped.
    pub fn opened(self: &Arc<Self>) -> Open {
        let mut queue = self.lock();
        (queue.down_until, queue.refusals) = (None, Refusals::default());
        drop(queue);
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(self))
    }

    /// Takes out all messages of a run.
    pub fn take_run(&self, run: RunId) -> Vec<Job> {
        let mut queue = self.lock();
        let (gone, kept) = std::mem::take(&mut queue.flows).into_iter().partition(|((of, _), _)| *of == run);
        queue.flows = kept;
        queue.ready.retain(|_, (of, _)| *of != run);
        queue.held.retain(|_, (of, _)| *of != run);
        queue.parked.retain(|(_, (of, _))| *of != run);
        let gone: HashMap<FlowId, VecDeque<(u64, Job)>> = gone;
        let gone: Vec<Job> = gone.into_values().flatten().map(|(_, job)| job).collect();
        queue.waiting -= gone.len();
        gone
    }

    /// Puts a message in line.
    ///
    /// # Errors
    /// The message and how long its limits will keep it, when that is longer than [`HOLD`].
    pub fn push(&self, job: Job, throttle: &Throttle) -> Result<(), (Box<Job>, Duration)> {
        let domain = job.profile.address.domain();
        let config = self.relay.config();
        let slowed = |domain| throttle.slowed_to(&config.name, domain);
        let places = config.limits_places();
        let limited = config.shares_limits() || config.domain_rate(domain).is_some();
        let domain_rate = limited.then(|| throttle.domain_rate(&config.name, domain)).flatten();
        let of_campaign = job.campaign().filter(|_| job.context.throttle.is_some());
        let of_flow = slowest([
            domain_rate.map(Rate::per_second),
            of_campaign.and_then(|campaign| throttle.campaign_rate(campaign)).map(Rate::per_second),
            slowed(Some(domain)),
            places.then(|| throttle.full(&config.name, domain)).flatten(),
        ]);
        let of_relay = config.rate.and_then(|_| throttle.relay_rate(&config.name)).map(Rate::per_second);
        let of_all = slowest([of_relay, slowed(None)]);
        // Where messages are so far apart, the next one's turn counts, too.
        let turn = if of_flow.min(of_all) * HOLD.as_secs_f64() < 1.0 {
            let passage = Passage { relay: &config.name, domain, campaign: job.campaign() };
            throttle.wait(passage)
        } else {
            Duration::ZERO
        };
        // Who shares a limit stands in one line for it.
        let key = if config.shares_limits() { throttle.key(&config.name, domain) } else { domain.to_owned() };
        let id = (job.context.run, key);
        let mut queue = self.lock();
        let ahead = queue.flows.get(&id).map_or(0, VecDeque::len);
        let (in_line, behind) = match job.is_notice() {
            true => (queue.notices(), 0),
            false => (queue.waiting, BEHIND_NOTICES),
        };
        // Nothing of this limit is this node's: another one may claim it.
        if of_flow.min(of_all) <= 0.0 {
            let of_nodes =
                slowest([config.domain_rate(domain), job.context.throttle].map(|rate| rate.map(Rate::per_second)));
            let wait = queue.put_off(id, HOLD, of_nodes);
            return Err((Box::new(job), wait));
        }
        let wait = (ahead as f64 / of_flow).max(in_line as f64 / of_all) + turn.as_secs_f64();
        if wait > HOLD.as_secs_f64() {
            let wait = queue.put_off(id, Duration::from_secs_f64(wait), of_flow.min(of_all));
            return Err((Box::new(job), wait));
        }
        let number = queue.arrivals + behind;
        let flow = queue.flows.entry(id.clone()).or_default();
        flow.push_back((number, job));
        let first = flow.len() == 1;
        queue.arrivals += 1;
        queue.waiting += 1;
        if first {
            queue.ready.insert(number, id);
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
    pub async fn next(&self, throttle: &Arc<Throttle>, metrics: &Metrics) -> Job {
        let mut turn = self.turn.lock().await;
        loop {
            let arrived = self.arrived.notified();
            match self.try_next(throttle) {
                Ok(job) => return job,
                Err(None) => tokio::select! {
                    () = arrived => {}
                    () = self.freed.ring() => {}
                },
                Err(Some(again)) => {
                    let (began, before) = (Instant::now(), std::mem::replace(&mut *turn, throttle.waits()));
                    tokio::select! {
                        () = tokio::time::sleep_until(again) => {}
                        () = arrived => {}
                        () = self.freed.ring() => {}
                    }
                    metrics.throttle_wait(deciding(before, *turn), began.elapsed());
                }
            }
        }
    }

    /// The next message if its limits let it pass at once and no other connection waits for one.
    pub fn at_once(&self, throttle: &Arc<Throttle>) -> Option<Job> {
        let _turn = self.turn.try_lock().ok()?;
        self.try_next(throttle).ok()
    }

    /// The next message, or when to ask again; `None` when nothing is in line, or nothing that may go
    /// before something is freed.
    fn try_next(&self, throttle: &Arc<Throttle>) -> Result<Job, Option<Instant>> {
        // Read before anything is asked, so that what is freed meanwhile is asked for again.
        let freed = self.freed.times();
        let mut queue = self.lock();
        let now = Instant::now();
        queue.release(now, freed);
        let mut asked = 0;
        while asked < ASKED {
            let Some((number, id)) = queue.ready.pop_first() else { break };
            let Some((_, job)) = queue.flows.get(&id).and_then(VecDeque::front) else { continue };
            // It goes back to be claimed again, and uses up nothing.
            if job.is_stale() {
                return queue.take(id).ok_or(None);
            }
            let (relay, domain) = (&self.relay.config().name, job.profile.address.domain());
            match throttle.try_admit(Passage { relay, domain, campaign: job.campaign() }) {
                Ok(pass) => {
                    let mut job = queue.take(id).ok_or(None)?;
                    job.pass = pass;
                    return Ok(job);
                }
                Err(Hold::Until(again)) => {
                    asked += 1;
                    queue.held.insert((again, number), id);
                }
                Err(Hold::Freed) => queue.parked.push((number, id)),
                // It goes back, to another relay or to another day.
                Err(Hold::Spent) => return queue.take(id).map(Job::turned_away).ok_or(None),
            }
        }
        Err(queue.held.first_key_value().map(|((again, _), _)| *again))
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

/// Messages per second that all of these allow; infinite where there is no limit.
pub fn slowest<const N: usize>(rates: [Option<f64>; N]) -> f64 {
    rates.into_iter().flatten().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests;
