//! Hits as they came, and the verdict over them.

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HitKind {
    /// The pixel.
    Open,
    /// A tracked link.
    Click,
}

impl HitKind {
    /// The word in the database and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Click => "click",
        }
    }
}

/// Who made the request, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// A person with a browser or a mail program.
    Human,
    /// A mail provider that fetches for people (Apple Mail Privacy Protection, Gmail's proxy).
    Proxy,
    /// A scanner, a prefetcher, a script.
    Machine,
    /// Nothing speaks for or against.
    Unknown,
}

impl Verdict {
    /// All verdicts, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Human, Self::Proxy, Self::Machine, Self::Unknown];

    /// The word in the database and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Proxy => "proxy",
            Self::Machine => "machine",
            Self::Unknown => "unknown",
        }
    }

    /// The verdict of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}
