//! For how long what was learnt about a person is kept as it came.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Periods after which details are removed. What follows from them stays: actions as long as they count, and totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Hits of a message, counted from its last one.
    pub hits: Duration,
    /// What servers said about the messages of a run, counted from its end.
    pub replies: Duration,
    /// Mail that came back, counted from its arrival.
    pub inbound: Duration,
    /// What attributes were, counted from their change.
    pub attributes: Duration,
    /// Consent to be mailed on a topic lapses when the person did nothing for so long.
    pub unused_consent: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days| DAY * days;
        Self { hits: days(180), replies: days(90), inbound: days(90), attributes: days(365), unused_consent: None }
    }
}
