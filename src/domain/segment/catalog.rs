//! The names that a condition may use.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::{Condition, Result, SegmentError};
use crate::domain::project::Attribute;

/// The names that a condition may use. `None` leaves names of that sort unchecked.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Category names; clusters have the same.
    pub categories: Option<BTreeSet<String>>,
    /// Topic names.
    pub topics: Option<BTreeSet<String>>,
    /// Campaign names.
    pub campaigns: Option<BTreeSet<String>>,
    /// Declared attributes; any other is text.
    pub attributes: BTreeMap<String, Attribute>,
    /// Segments that are checked already.
    pub segments: BTreeMap<String, Condition>,
    /// `[score] warm`, the threshold of `cools()` without `below`.
    pub warm: f64,
    /// `[retention] unused_consent`, what `consent_lapses()` looks ahead to.
    pub lapses_after: Option<Duration>,
}

impl Catalog {
    pub(super) fn category(&self, name: &str, span: &Range<usize>) -> Result<()> {
        check("category", self.categories.as_ref(), name, span)
    }

    pub(super) fn topic(&self, name: &str, span: &Range<usize>) -> Result<()> {
        check("topic", self.topics.as_ref(), name, span)
    }

    pub(super) fn campaign(&self, name: &str, span: &Range<usize>) -> Result<()> {
        check("campaign", self.campaigns.as_ref(), name, span)
    }
}

fn check(sort: &str, names: Option<&BTreeSet<String>>, name: &str, span: &Range<usize>) -> Result<()> {
    match names {
        Some(names) if !names.contains(name) => {
            Err(unknown(sort, name, span.clone(), names.iter().map(String::as_str)))
        }
        _ => Ok(()),
    }
}

/// The complaint about a name that is not known, with the nearest that is.
pub(super) fn unknown<'a>(
    sort: &str,
    name: &str,
    span: Range<usize>,
    known: impl Iterator<Item = &'a str> + Clone,
) -> SegmentError {
    let error = SegmentError::new(span, format!("unknown {sort} `{name}`"));
    if let Some(near) = nearest(name, known.clone()) {
        return error.hint(format!("did you mean `{near}`?"));
    }
    let few: Vec<&str> = known.take(12).collect();
    if few.is_empty() { error } else { error.hint(format!("known: {}", few.join(", "))) }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}
