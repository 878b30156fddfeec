//! Hits as they came, and the verdict over them.

use serde::{Deserialize, Serialize};

use super::id::{RecipientId, RunId};
use super::time::Micros;

/// Longest user agent that is kept, in octets; the rest is cut off.
pub const MAX_USER_AGENT: usize = 512;

/// A request for a pixel or a tracked link. Tests freeze how it is packed: see the tracker's spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// When it came.
    pub at: Micros,
    /// What was asked for.
    pub kind: HitKind,
    /// How it was asked for.
    pub method: HitMethod,
    /// The message's run.
    pub run: RunId,
    /// The message's recipient.
    pub recipient: RecipientId,
    /// The link's number within the template; 0 for the pixel.
    pub link: u16,
    /// The offer's number within the campaign; 0 for none.
    pub item: u16,
    /// The link's category; empty for none.
    pub category: String,
    /// Where the link leads; empty for the pixel.
    pub url: String,
    /// What the client calls itself, at most [`MAX_USER_AGENT`] octets; empty for nothing.
    pub user_agent: String,
    /// The client's network, truncated (see [`super::network::Network`]); empty for unknown.
    pub network: String,
}

/// How a hit asked. Packed by its place here: others may only follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HitMethod {
    /// As people's programs do.
    Get,
    /// As scanners do.
    Head,
    /// As scanners and scripts on foreign pages do.
    Options,
    /// A GET that says of itself (`Sec-Purpose`, `Purpose`) that nobody looks yet.
    Prefetch,
}

impl HitMethod {
    /// All methods.
    pub const ALL: [Self; 4] = [Self::Get, Self::Head, Self::Options, Self::Prefetch];

    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Prefetch => "PREFETCH",
        }
    }

    /// The method of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// What was asked for. Packed by its place here: others may only follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

    /// The kind of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Click].into_iter().find(|s| s.as_str() == word)
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
