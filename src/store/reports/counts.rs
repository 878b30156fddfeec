//! The figures of a report, and how they stand in JSON.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::domain::hit::Verdict;
use crate::domain::message::MessageState;
use crate::domain::run::RunState;
use crate::domain::time::Micros;

/// Messages by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MessageCounts {
    /// Put back without an attempt, or due later.
    pub waiting: i64,
    /// Taken by a node.
    pub claimed: i64,
    /// At a relay.
    pub sending: i64,
    /// A relay has taken them.
    pub accepted: i64,
    /// Refused for now.
    pub deferred: i64,
    /// Refused for good.
    pub rejected: i64,
    /// Their fate was swallowed.
    pub unknown: i64,
    /// Not sent.
    pub skipped: i64,
}

impl MessageCounts {
    /// The messages in one state.
    #[must_use]
    pub fn get(&self, state: MessageState) -> i64 {
        match state {
            MessageState::Waiting => self.waiting,
            MessageState::Claimed => self.claimed,
            MessageState::Sending => self.sending,
            MessageState::Accepted => self.accepted,
            MessageState::Deferred => self.deferred,
            MessageState::Rejected => self.rejected,
            MessageState::Unknown => self.unknown,
            MessageState::Skipped => self.skipped,
        }
    }

    pub(super) fn add(&mut self, state: MessageState, messages: i64) {
        *match state {
            MessageState::Waiting => &mut self.waiting,
            MessageState::Claimed => &mut self.claimed,
            MessageState::Sending => &mut self.sending,
            MessageState::Accepted => &mut self.accepted,
            MessageState::Deferred => &mut self.deferred,
            MessageState::Rejected => &mut self.rejected,
            MessageState::Unknown => &mut self.unknown,
            MessageState::Skipped => &mut self.skipped,
        } += messages;
    }

    /// All messages of the run.
    #[must_use]
    pub fn total(&self) -> i64 {
        MessageState::ALL.into_iter().map(|state| self.get(state)).sum()
    }
}

/// Messages that a relay refused with the same code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CodeCount {
    /// `deferred` or `rejected`.
    #[serde(serialize_with = "message_state")]
    pub state: MessageState,
    /// The reply code of SMTP (RFC 5321); none where no answer came.
    pub code: Option<i64>,
    /// How many.
    pub messages: i64,
}

/// Hits of one verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HitCount {
    /// Messages with at least one such hit.
    pub messages: i64,
    /// All such hits.
    pub total: i64,
}

/// Hits by verdict. A message that was hit by people and by machines counts under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HitCounts {
    /// By people.
    pub human: HitCount,
    /// By mail providers that fetch for people.
    pub proxy: HitCount,
    /// By scanners, prefetchers, scripts.
    pub machine: HitCount,
    /// Nothing speaks for or against.
    pub unknown: HitCount,
    /// Not judged yet.
    pub unjudged: HitCount,
}

impl HitCounts {
    /// The count of a verdict, or of hits not judged yet.
    #[must_use]
    pub fn get(&self, verdict: Option<Verdict>) -> HitCount {
        match verdict {
            Some(Verdict::Human) => self.human,
            Some(Verdict::Proxy) => self.proxy,
            Some(Verdict::Machine) => self.machine,
            Some(Verdict::Unknown) => self.unknown,
            None => self.unjudged,
        }
    }

    pub(super) fn set(&mut self, verdict: Option<Verdict>, count: HitCount) {
        *match verdict {
            Some(Verdict::Human) => &mut self.human,
            Some(Verdict::Proxy) => &mut self.proxy,
            Some(Verdict::Machine) => &mut self.machine,
            Some(Verdict::Unknown) => &mut self.unknown,
            None => &mut self.unjudged,
        } = count;
    }
}

/// People who unsubscribed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unsubscribed {
    /// How many, from one topic or more.
    pub people: i64,
    /// How many of them chose which reason.
    pub why: BTreeMap<String, i64>,
}

/// Messages that came back, by what that means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bounces {
    /// The address is dead.
    pub dead: i64,
    /// It may work later.
    pub soft: i64,
    /// The sender is at fault or distrusted.
    pub blocked: i64,
}

/// One link and who followed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkFigures {
    /// Where it leads.
    pub url: String,
    /// Its category.
    pub category: Option<String>,
    /// Requests for it.
    pub clicks: HitCounts,
}

/// The recipients who were in one cluster when the run's audience was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterFigures {
    /// The cluster; none for those who were in none.
    pub cluster: Option<String>,
    /// Their messages that a relay has taken.
    pub accepted: i64,
    /// Of their messages, those with a human click, by the link's category; a link without one
    /// stands under the empty name.
    pub clicked: BTreeMap<String, i64>,
}

pub(super) fn state<S: Serializer>(state: &RunState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.as_str())
}

fn message_state<S: Serializer>(state: &MessageState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.as_str())
}

pub(super) fn time<S: Serializer>(at: &Micros, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

pub(super) fn maybe_time<S: Serializer>(at: &Option<Micros>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, to),
        None => to.serialize_none(),
    }
}
