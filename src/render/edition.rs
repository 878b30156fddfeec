//! What the readers of one language get: the campaign's own content, or that of a `[language.…]`.

use handlebars::{Handlebars, Template};

use super::mime::Enclosure;
use super::traced::Traced;
use crate::domain::profile::Profile;

/// The recipient's attribute that names their language (BCP 47).
const LANGUAGE: &str = "language";

/// One language's compiled content.
pub(super) struct Edition {
    /// Its language (BCP 47).
    pub tag: String,
    /// Whether blank lines are squeezed in the text part, since it is derived.
    pub squeezes: bool,
    pub html: Part,
    pub text: Part,
    pub subject: Part,
    /// What the HTML part shows.
    pub images: Vec<Enclosure>,
    pub attachments: Vec<Enclosure>,
    /// Helpers for the HTML part.
    pub escaping: Handlebars<'static>,
    /// Helpers for the text part and the subject.
    pub plain: Handlebars<'static>,
}

/// A part of the mail.
pub(super) struct Part {
    pub template: Template,
    /// What the template was compiled from.
    pub source: Traced,
}

/// The edition in the recipient's language, or in the nearest above it (RFC 4647 §3.4), else the first,
/// which is the campaign's own.
pub(super) fn choose<'a>(editions: &'a [Edition], profile: &Profile) -> &'a Edition {
    let own = &editions[0];
    if editions.len() == 1 {
        return own;
    }
    let wished = profile.attributes.get(LANGUAGE).and_then(serde_json::Value::as_str).unwrap_or_default();
    let tags: Vec<&str> = editions.iter().map(|edition| edition.tag.as_str()).collect();
    lookup(wished, &tags).map_or(own, |i| &editions[i])
}

/// The index of the tag that fits best: the wish itself, or what is left of it after its last parts were
/// taken off one by one.
fn lookup(wished: &str, tags: &[&str]) -> Option<usize> {
    let mut range = wished.trim().replace('_', "-");
    while !range.is_empty() {
        if let Some(found) = tags.iter().position(|tag| tag.eq_ignore_ascii_case(&range)) {
            return Some(found);
        }
        let end = range.rfind('-')?;
        range.truncate(end);
        // A single letter or digit says something about what followed it.
        if range.len() >= 2 && range.as_bytes()[range.len() - 2] == b'-' {
            range.truncate(range.len() - 2);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_above_the_wished_one_is_found() {
        let tags = ["en-GB", "de", "de-CH", "zh-Hant"];
        for (wished, found) in [
            ("de-AT", Some("de")),
            ("de-ch", Some("de-CH")),
            ("DE_ch_1996", Some("de-CH")),
            ("de", Some("de")),
            ("en-GB-x-mine", Some("en-GB")),
            ("zh-Hant-TW", Some("zh-Hant")),
            ("en", None),
            ("zh", None),
            ("fr", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(lookup(wished, &tags).map(|i| tags[i]), found, "{wished}");
        }
    }
}
