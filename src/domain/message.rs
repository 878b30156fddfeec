//! The states of a message and how they follow each other.

/// Where a message stands. Always, a run's messages are those that are waiting, claimed, sending,
/// accepted, rejected, deferred, unknown and skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// Put back without an attempt; claimed again later.
    Waiting,
    /// Taken by a node, permission checked.
    Claimed,
    /// Durable before the first byte of DATA leaves.
    Sending,
    /// A relay has taken it.
    Accepted,
    /// Refused for good, or given up.
    Rejected,
    /// Refused for now; tried again.
    Deferred,
    /// The final dot went out and no answer was stored. Never sent again by itself.
    Unknown,
    /// Not sent, for a reason that stands beside it.
    Skipped,
}

impl MessageState {
    /// All states, in the order in which reports list them.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Claimed,
        Self::Sending,
        Self::Accepted,
        Self::Deferred,
        Self::Rejected,
        Self::Unknown,
        Self::Skipped,
    ];

    /// The word in the database and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Deferred => "deferred",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }

    /// The state of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// Whether the state machine has an arrow from here to `next`. The arrows, and who draws them:
    ///
    /// - waiting or deferred → claimed: a claim, when due; → skipped: permission is gone, or the run is
    ///   over; → rejected: five days have passed since the first attempt.
    /// - claimed → sending: the holder's mark; → waiting: given back, or the holder died; → skipped:
    ///   nothing can be rendered, or the run was cancelled.
    /// - sending → accepted, rejected, deferred, unknown: the relay's answer, or its absence; → unknown:
    ///   the holder died; → waiting: nothing was handed over, which is no attempt.
    /// - unknown → accepted, rejected, deferred, waiting: the late answer of the one who was sending.
    ///
    /// A message begins as claimed, or as waiting. No arrow leaves accepted, rejected or skipped.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use MessageState::{Accepted, Claimed, Deferred, Rejected, Sending, Skipped, Unknown, Waiting};
        matches!(
            (self, next),
            (Waiting | Deferred, Claimed | Skipped | Rejected)
                | (Claimed, Sending | Waiting | Skipped)
                | (Sending, Accepted | Rejected | Deferred | Unknown | Waiting)
                | (Unknown, Accepted | Rejected | Deferred | Waiting)
        )
    }

    /// Whether nothing more happens to the message by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Accepted | Self::Rejected | Self::Unknown | Self::Skipped)
    }
}

/// Why a person in the audience gets no message. Each counts under the first that holds, in this
/// order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exclusion {
    /// The address is suppressed.
    Suppressed,
    /// No `contact` consent or no subscription for the topic.
    NoConsent,
    /// The recipient has paused mailings.
    Paused,
    /// This run has a message for the recipient already.
    AlreadyMessaged,
    /// As many messages as the cap allows.
    FrequencyCap,
    /// As many messages as the recipient wants.
    OwnLimit,
}

impl Exclusion {
    /// All reasons in the order in which they are checked.
    pub const ALL: [Self; 6] =
        [Self::Suppressed, Self::NoConsent, Self::Paused, Self::AlreadyMessaged, Self::FrequencyCap, Self::OwnLimit];

    /// The word in the database and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::NoConsent => "no_consent",
            Self::Paused => "paused",
            Self::AlreadyMessaged => "already_messaged",
            Self::FrequencyCap => "frequency_cap",
            Self::OwnLimit => "own_limit",
        }
    }

    /// The reason of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}
