//! What the readers of one language get: the campaign's own content, or that of a `[language.…]`.

use handlebars::Handlebars;

use super::mime::Enclosure;
use super::program::Program;
use super::traced::Traced;
use crate::domain::language::{self, lookup};
use crate::domain::profile::Profile;

/// One language's compiled content.
pub(super) struct Edition {
    /// Its language (BCP 47).
    pub tag: String,
    /// Whether blank lines are squeezed in the text part, since it is derived.
    pub squeezes: bool,
    pub html: Part,
    pub text: Part,
    pub subject: Part,
    /// What the HTML part shows of the mail itself.
    pub images: Vec<Enclosure>,
    /// What it shows from our address, which is the picture's id.
    pub linked: Vec<Enclosure>,
    pub attachments: Vec<Enclosure>,
    /// Helpers for the HTML part.
    pub escaping: Handlebars<'static>,
    /// Helpers for the text part and the subject.
    pub plain: Handlebars<'static>,
}

/// A part of the mail.
pub(super) struct Part {
    pub program: Program,
    /// What it was compiled from.
    pub source: Traced,
}

/// The edition in the recipient's language, or in the nearest above it (RFC 4647 §3.4), else the first,
/// which is the campaign's own.
pub(super) fn choose<'a>(editions: &'a [Edition], profile: &Profile) -> &'a Edition {
    if editions.len() == 1 {
        return &editions[0];
    }
    find(editions, profile.attributes.get(language::ATTRIBUTE).and_then(serde_json::Value::as_str).unwrap_or_default())
}

/// The same for a language that is asked for.
pub(super) fn find<'a>(editions: &'a [Edition], wished: &str) -> &'a Edition {
    let tags: Vec<&str> = editions.iter().map(|edition| edition.tag.as_str()).collect();
    lookup(wished, &tags).map_or(&editions[0], |i| &editions[i])
}
