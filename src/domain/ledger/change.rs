//! What happens to a person while a ledger is replayed.

use crate::domain::cluster::Membership;
use crate::domain::time::Micros;

/// Which threshold was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MomentKind {
    /// The score rose to the threshold.
    Rose,
    /// The score fell below it.
    Cooled,
    /// A cluster was entered.
    Cluster,
}

impl MomentKind {
    const ALL: [Self; 3] = [Self::Rose, Self::Cooled, Self::Cluster];

    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rose => "rose",
            Self::Cooled => "cooled",
            Self::Cluster => "cluster",
        }
    }

    /// The kind of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A threshold crossed. The n-th crossing of a kind is one moment: a late action may move its
/// instant, and never makes it happen twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Which threshold.
    pub kind: MomentKind,
    /// The how many-th of its kind, from 1 on.
    pub ordinal: i64,
    /// When.
    pub at: Micros,
    /// The threshold, or the cluster's name.
    pub subject: String,
}

/// A stay in a cluster, from `from` until before `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The how many-th of this person, from 1 on: that of the moment of entry.
    pub ordinal: i64,
    /// The category.
    pub cluster: String,
    /// When it was entered.
    pub from: Micros,
    /// When it was left, or will be if nothing happens.
    pub until: Micros,
}

/// All that happened, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Thresholds crossed.
    pub moments: Vec<Moment>,
    /// Stays that began, or whose end was moved: each once, as it stands last.
    pub spans: Vec<Span>,
}

impl Changes {
    pub(super) fn moment(&mut self, kind: MomentKind, ordinal: i64, at: Micros, subject: String) {
        self.moments.push(Moment { kind, ordinal, at, subject });
    }

    pub(super) fn span(&mut self, ordinal: i64, membership: &Membership) {
        let Membership { cluster, since, until } = membership;
        match self.spans.last_mut().filter(|span| span.ordinal == ordinal) {
            Some(span) => span.until = *until,
            None => self.spans.push(Span { ordinal, cluster: cluster.clone(), from: *since, until: *until }),
        }
    }
}
