//! Joining as configured: what the form asks, and in which words somebody agrees.

use std::collections::BTreeMap;
use std::time::Duration;

use super::language::nearest;
use super::rate::Rate;

/// How long a confirmation is waited for, unless the project says otherwise.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(48 * 3_600);
/// Requests that one network may make, unless the project says otherwise.
pub const PER_NETWORK: Rate = Rate { count: 60, per: Duration::from_secs(3_600) };
/// Requests of everybody from which on browsers have to work, unless the project says otherwise.
pub const CHALLENGE_ABOVE: Rate = Rate { count: 30, per: Duration::from_secs(60) };

/// `[join]` of a project.
#[derive(Clone, Debug, PartialEq)]
pub struct Joining {
    /// What one can join, in the file's order; at least one.
    pub topics: Vec<String>,
    /// Which attributes the form asks for; all are text.
    pub attributes: Vec<String>,
    /// Whether a box of its own asks for consent to tracking.
    pub ask_tracking: bool,
    /// What one agrees to by joining.
    pub wording: Words,
    /// What one agrees to by ticking the box about tracking.
    pub tracking: Words,
    /// Names the words, whatever the language.
    pub version: String,
    /// What is not confirmed by then is forgotten.
    pub confirm_within: Duration,
    /// Requests from one client network.
    pub per_network: Rate,
    /// Requests of all from which on browsers have to work.
    pub challenge_above: Rate,
}

/// Words by language tag (BCP 47). Empty: the built-in ones.
pub type Words = BTreeMap<String, String>;

/// The words for a reader of a language, and their own language: the nearest to it, else to that of `locale`, else
/// the first. `None` where there are none.
#[must_use]
pub fn words_for<'a>(words: &'a Words, language: &str, locale: &str) -> Option<(&'a str, &'a str)> {
    let tags: Vec<&str> = words.keys().map(String::as_str).collect();
    let found = nearest(language, &tags).or_else(|| nearest(locale, &tags)).or((!tags.is_empty()).then_some(0))?;
    words.get_key_value(tags[found]).map(|(tag, text)| (tag.as_str(), text.as_str()))
}
