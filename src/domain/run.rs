//! The states of a run.

/// Where a run stands: `scheduled → running ⇄ paused → done | cancelled | expired`. What expired by a clock that was ahead
/// runs again once the clock is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Its time has not come.
    Scheduled,
    /// Nodes claim from it.
    Running,
    /// Nobody claims; what is in flight ends.
    Paused,
    /// Every message has its final state.
    Done,
    /// Ended by hand; what was not sent is skipped.
    Cancelled,
    /// Its time passed before anything was claimed.
    Expired,
}

impl RunState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Scheduled, Self::Running, Self::Paused, Self::Done, Self::Cancelled, Self::Expired];

    /// The word in the database and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// Whether the run is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Expired)
    }
}
