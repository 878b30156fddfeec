//! What the services count, in Prometheus' text form.
//!
//! One [`Metrics`] per process, passed to each service. Labels never hold addresses; recipient
//! domains are kept to a bounded number, so that memory does not grow with the audience.

mod labels;

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use self::labels::{
    ByCampaign, ByCheck, ByDomain, ByFate, ByLimit, ByMailbox, ByRelay, ByRoute, ByState, ByVerdict, ByWhat, Inbound,
    Outcome, Returned, Slowed, Taken,
};
use crate::domain::hit::{HitKind, Verdict};
use crate::domain::message::MessageState;
use crate::domain::run::RunState;
use crate::domain::time::Micros;

/// Domains with a label of their own; later ones are counted as `other`. Recipients arrive mixed,
/// so the large providers are among the first.
const DOMAINS: usize = 50;
const OTHER: &str = "other";

/// The process's counters, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    domains: RwLock<HashSet<String>>,
    outcomes: Family<Outcome, Counter>,
    by_domain: Family<ByDomain, Counter>,
    claims: Counter,
    queue: Family<ByState, Gauge>,
    notices: Family<ByState, Gauge>,
    runs: Family<ByState, Gauge>,
    ready: Family<ByCheck, Gauge>,
    handover: Family<ByRelay, Histogram, fn() -> Histogram>,
    slowed: Family<Slowed, Gauge<f64, std::sync::atomic::AtomicU64>>,
    slow_downs: Family<Slowed, Counter>,
    warm_ups: Family<Slowed, Gauge>,
    share: Gauge<f64, std::sync::atomic::AtomicU64>,
    clock_ahead: Gauge<f64, std::sync::atomic::AtomicU64>,
    throttle_waits: Family<ByLimit, Counter<f64, std::sync::atomic::AtomicU64>>,
    hits: Family<ByFate, Counter>,
    verdicts: Family<ByVerdict, Counter>,
    spool_depth: Gauge,
    removed: Family<ByWhat, Counter>,
    inbound: Family<Inbound, Counter>,
    returned: Family<Returned, Counter>,
    by_campaign: Family<ByCampaign, Counter>,
    scored: Counter,
    scorer_lag: Gauge<f64, std::sync::atomic::AtomicU64>,
    scorer_backlog: Gauge,
    requests: Family<ByRoute, Counter>,
    inbox_taken: Family<Taken, Counter>,
    inbox_refused: Counter,
    mailboxes: Family<ByMailbox, Gauge>,
    mailbox_reads: Family<ByMailbox, Gauge>,
    mailbox_unreadable: Family<ByMailbox, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("colloquy"),
            domains: RwLock::default(),
            outcomes: Family::default(),
            by_domain: Family::default(),
            claims: Counter::default(),
            queue: Family::default(),
            notices: Family::default(),
            runs: Family::default(),
            ready: Family::default(),
            handover: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 4.0, 10))),
            slowed: Family::default(),
            slow_downs: Family::default(),
            warm_ups: Family::default(),
            share: Gauge::default(),
            clock_ahead: Gauge::default(),
            throttle_waits: Family::default(),
            hits: Family::default(),
            verdicts: Family::default(),
            spool_depth: Gauge::default(),
            removed: Family::default(),
            inbound: Family::default(),
            returned: Family::default(),
            by_campaign: Family::default(),
            scored: Counter::default(),
            scorer_lag: Gauge::default(),
            scorer_backlog: Gauge::default(),
            requests: Family::default(),
            inbox_taken: Family::default(),
            inbox_refused: Counter::default(),
            mailboxes: Family::default(),
            mailbox_reads: Family::default(),
            mailbox_unreadable: Family::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// An attempt of a message ended: with a state, at a relay, for a recipient's domain.
    pub fn outcome(&self, (campaign, relay, domain): (&str, &str, &str), state: MessageState) {
        let outcome = state.as_str();
        self.0.by_campaign.get_or_create(&ByCampaign { campaign: campaign.to_owned(), outcome }).inc();
        self.0.outcomes.get_or_create(&Outcome { relay: relay.to_owned(), outcome }).inc();
        self.0.by_domain.get_or_create(&ByDomain { domain: self.0.domain(domain), outcome }).inc();
    }

    /// How long a relay took for one message, from MAIL to the answer to the final dot.
    pub fn handover(&self, relay: &str, took: Duration) {
        self.0.handover.get_or_create(&ByRelay { relay: relay.to_owned() }).observe(took.as_secs_f64());
    }

    /// So many messages were claimed.
    pub fn claimed(&self, messages: u64) {
        self.0.claims.inc_by(messages);
    }

    /// So many messages of open runs stand in this state now.
    pub fn set_queue(&self, state: MessageState, messages: i64) {
        self.0.queue.get_or_create(&ByState { state: state.as_str() }).set(messages);
    }

    /// So many notices stand in this state now.
    pub fn set_notices(&self, state: MessageState, notices: i64) {
        self.0.notices.get_or_create(&ByState { state: state.as_str() }).set(notices);
    }

    /// So many runs stand in this state now.
    pub fn set_runs(&self, state: RunState, runs: i64) {
        self.0.runs.get_or_create(&ByState { state: state.as_str() }).set(runs);
    }

    /// Whether something that the service needs is there.
    pub fn set_ready(&self, check: &'static str, ready: bool) {
        self.0.ready.get_or_create(&ByCheck { check }).set(ready.into());
    }

    /// A message waited for a limit: `relay`, `domain` or `campaign`.
    pub fn throttle_wait(&self, limit: &'static str, waited: Duration) {
        self.0.throttle_waits.get_or_create(&ByLimit { limit }).inc_by(waited.as_secs_f64());
    }

    /// A relay, or a domain at it, goes at so many messages per second by itself; `None`: no more.
    pub fn slowed(&self, relay: &str, domain: Option<&str>, per_second: Option<f64>) {
        let domain = domain.map_or_else(String::new, |domain| self.0.domain(domain));
        let labels = Slowed { relay: relay.to_owned(), domain };
        match per_second {
            Some(per_second) => {
                self.0.slowed.get_or_create(&labels).set(per_second);
            }
            None => drop(self.0.slowed.remove(&labels)),
        }
    }

    /// A relay, or a domain at it, has slowed down further.
    pub fn slowed_down(&self, relay: &str, domain: Option<&str>) {
        let domain = domain.map_or_else(String::new, |domain| self.0.domain(domain));
        self.0.slow_downs.get_or_create(&Slowed { relay: relay.to_owned(), domain }).inc();
    }

    /// This node has so large a part of all limits, from 0 to 1.
    pub fn set_share(&self, part: f64) {
        self.0.share.set(part);
    }

    /// The database's clock is so many seconds ahead of this machine's.
    pub fn set_clock_ahead(&self, seconds: f64) {
        self.0.clock_ahead.set(seconds);
    }

    /// So many messages may still be drawn today from what a relay, or a domain at it, is allowed while
    /// it warms up.
    pub fn set_warm_up_left(&self, relay: &str, domain: Option<&str>, messages: i64) {
        let domain = domain.map_or_else(String::new, |domain| self.0.domain(domain));
        self.0.warm_ups.get_or_create(&Slowed { relay: relay.to_owned(), domain }).set(messages);
    }

    /// So many hits were written to the spool, and so many were not because their recipients have
    /// withdrawn tracking.
    pub fn hits_spooled(&self, stored: u64, silenced: u64) {
        self.0.count_hits("stored", stored);
        self.0.count_hits("silenced", silenced);
    }

    /// So many hits could not be written to the spool; their clients were told to come again.
    pub fn hits_lost(&self, hits: u64) {
        self.0.count_hits("lost", hits);
    }

    /// So many hits reached the main database, and so many were dropped on the way because tracking
    /// was withdrawn in between.
    pub fn hits_forwarded(&self, kept: u64, dropped: u64) {
        self.0.count_hits("forwarded", kept);
        self.0.count_hits("dropped", dropped);
    }

    /// So many hits of a kind got a verdict.
    pub fn judged(&self, kind: HitKind, verdict: Verdict, hits: u64) {
        self.0.verdicts.get_or_create(&ByVerdict { kind: kind.as_str(), verdict: verdict.as_str() }).inc_by(hits);
    }

    /// So many hits wait in the spool.
    pub fn set_spool_depth(&self, hits: i64) {
        self.0.spool_depth.set(hits);
    }

    /// So many actions were taken into the scores.
    pub fn scored(&self, actions: u64) {
        self.0.scored.inc_by(actions);
    }

    /// How many actions wait for the scorer, and how long the oldest has waited.
    pub fn set_scorer_lag(&self, backlog: i64, oldest: Duration) {
        self.0.scorer_backlog.set(backlog);
        self.0.scorer_lag.set(oldest.as_secs_f64());
    }

    /// So much was removed because its time was over.
    pub fn removed(&self, what: &'static str, rows: u64) {
        self.0.removed.get_or_create(&ByWhat { what }).inc_by(rows);
    }

    /// Mail that came back was handled.
    pub fn inbound(&self, way: &str, kind: &'static str, effect: &'static str) {
        self.0.inbound.get_or_create(&Inbound { way: way.to_owned(), kind, effect }).inc();
    }

    /// The same, of a message that is known.
    pub fn returned(&self, (campaign, relay, domain): (&str, &str, &str), effect: &'static str) {
        let (campaign, relay, domain) = (campaign.to_owned(), relay.to_owned(), self.0.domain(domain));
        self.0.returned.get_or_create(&Returned { campaign, relay, domain, effect }).inc();
    }

    /// A request was answered. `route` is the route's name, never the path with its token.
    pub fn request(&self, route: &'static str, status: u16) {
        self.0.requests.get_or_create(&ByRoute { route, status }).inc();
    }

    /// A mail that came back was taken in by a way, or was brought there once more.
    pub fn inbox_taken(&self, way: &str, is_new: bool) {
        let fate = if is_new { "new" } else { "known" };
        self.0.inbox_taken.get_or_create(&Taken { way: way.to_owned(), fate }).inc();
    }

    /// A recipient on the listener was none of ours.
    pub fn inbox_refused(&self) {
        self.0.inbox_refused.inc();
    }

    /// A mailbox was read to its end; so many mails in it could not be read.
    pub fn mailbox_read(&self, mailbox: &str, at: Micros, unreadable: u64) {
        let labels = ByMailbox { mailbox: mailbox.to_owned() };
        self.0.mailboxes.get_or_create(&labels).set(1);
        self.0.mailbox_reads.get_or_create(&labels).set(at.0 / 1_000_000);
        self.0.mailbox_unreadable.get_or_create(&labels).set(i64::try_from(unreadable).unwrap_or(i64::MAX));
    }

    /// A mailbox could not be read.
    pub fn mailbox_failed(&self, mailbox: &str) {
        self.0.mailboxes.get_or_create(&ByMailbox { mailbox: mailbox.to_owned() }).set(0);
    }

    /// The text that `/metrics` answers with (OpenMetrics 1.0).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(4_096);
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

impl Inner {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("messages", "Attempts by relay and outcome", self.outcomes.clone());
        r.register("messages_by_domain", "Attempts by recipient domain and outcome", self.by_domain.clone());
        r.register("claims", "Messages claimed", self.claims.clone());
        r.register("queue", "Messages of open runs by state", self.queue.clone());
        r.register("notices", "Transactional mails that are not settled by state", self.notices.clone());
        r.register("runs", "Open runs by state", self.runs.clone());
        r.register("ready", "1 for what the service needs and has", self.ready.clone());
        r.register_with_unit("handover", "Time from MAIL to the last answer", Unit::Seconds, self.handover.clone());
        r.register_with_unit("throttle_wait", "Time waited for limits", Unit::Seconds, self.throttle_waits.clone());
        r.register("slowed_per_second", "Messages per second of what has slowed itself down", self.slowed.clone());
        r.register("slow_downs", "Times that a relay or domain slowed itself down", self.slow_downs.clone());
        r.register("limits_share", "The part of all limits of a rate that is this node's", self.share.clone());
        let ahead = self.clock_ahead.clone();
        r.register_with_unit("database_clock_ahead", "Its clock against this machine's", Unit::Seconds, ahead);
        r.register("warm_up_left", "What may be drawn today while relays warm up", self.warm_ups.clone());
        r.register("hits", "Hits by what became of them on their way to the database", self.hits.clone());
        r.register("verdicts", "Judged hits by verdict", self.verdicts.clone());
        r.register("spool_depth", "Hits waiting in the spool", self.spool_depth.clone());
        r.register("messages_by_campaign", "Attempts by campaign and outcome", self.by_campaign.clone());
        r.register("inbound", "Mails that came back by what was done", self.inbound.clone());
        r.register("returned", "Mails that came back by their message and what was done", self.returned.clone());
        r.register("removed", "What was removed because its time was over", self.removed.clone());
        r.register("scored_actions", "Actions taken into the scores", self.scored.clone());
        r.register_with_unit("scorer_lag", "Age of the oldest unscored action", Unit::Seconds, self.scorer_lag.clone());
        r.register("scorer_backlog", "Actions waiting for the scorer", self.scorer_backlog.clone());
        r.register("http_requests", "Requests by route and status", self.requests.clone());
        r.register("inbox_taken", "Mails that came back by way, new or known", self.inbox_taken.clone());
        r.register("inbox_refused", "Recipients on the listener that are none of ours", self.inbox_refused.clone());
        r.register("inbox_mailbox_up", "1 for mailboxes that could be read last time", self.mailboxes.clone());
        let reads = self.mailbox_reads.clone();
        r.register_with_unit("inbox_mailbox_read", "When mailboxes were read, since 1970", Unit::Seconds, reads);
        r.register("inbox_mailbox_unreadable", "Mails that cannot be read", self.mailbox_unreadable.clone());
    }

    fn count_hits(&self, fate: &'static str, hits: u64) {
        if hits > 0 {
            self.hits.get_or_create(&ByFate { fate }).inc_by(hits);
        }
    }

    fn domain(&self, domain: &str) -> String {
        let known = self.domains.read().unwrap_or_else(PoisonError::into_inner);
        if known.contains(domain) {
            return domain.to_owned();
        }
        if known.len() >= DOMAINS {
            return OTHER.to_owned();
        }
        drop(known);
        let mut known = self.domains.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DOMAINS && !known.contains(domain) {
            return OTHER.to_owned();
        }
        known.insert(domain.to_owned());
        domain.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_stands_in_the_text() {
        let metrics = Metrics::new();
        metrics.outcome(("spring", "main", "example.org"), MessageState::Accepted);
        metrics.judged(HitKind::Click, Verdict::Human, 3);
        metrics.set_spool_depth(7);
        metrics.throttle_wait("domain", Duration::from_millis(1_500));
        metrics.request("click", 302);
        let text = metrics.encode();
        for line in [
            r#"colloquy_messages_total{relay="main",outcome="accepted"} 1"#,
            r#"colloquy_messages_by_domain_total{domain="example.org",outcome="accepted"} 1"#,
            r#"colloquy_verdicts_total{kind="click",verdict="human"} 3"#,
            "colloquy_spool_depth 7",
            r#"colloquy_throttle_wait_seconds_total{limit="domain"} 1.5"#,
            r#"colloquy_http_requests_total{route="click",status="302"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn labels_do_not_grow_with_the_domains_mailed() {
        let metrics = Metrics::new();
        for n in 0..1_000 {
            metrics.outcome(("spring", "main", &format!("d{n}.example")), MessageState::Accepted);
        }
        let text = metrics.encode();
        assert_eq!(text.matches("messages_by_domain_total{").count(), DOMAINS + 1);
        assert!(text.contains(r#"domain="other",outcome="accepted"} 950"#), "{text}");
    }
}
