//! What pages say: the sentences of each language, and who reads which.

use std::collections::BTreeMap;

use super::language::{nearest, wishes};

/// The sentences of one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// BCP 47.
    pub tag: String,
    /// Whether it is written from right to left.
    pub right_to_left: bool,
    /// By name. `{…}` in a sentence stands for what is filled in.
    pub sentences: BTreeMap<String, String>,
}

impl Wording {
    /// A sentence; nothing when there is none of this name, which a test rules out for the names in the code.
    #[must_use]
    pub fn say(&self, name: &str) -> &str {
        self.sentences.get(name).map_or("", String::as_str)
    }

    /// A sentence with a value in each `{name}`.
    #[must_use]
    pub fn fill(&self, name: &str, values: &[(&str, &str)]) -> String {
        let mut rest = self.say(name);
        let mut out = String::with_capacity(rest.len());
        // In one pass, so that what was filled in is never taken for a place.
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let value = rest.find('}').and_then(|close| {
                let (_, value) = values.iter().find(|(name, _)| *name == &rest[1..close])?;
                Some((close + 1, *value))
            });
            let (length, text) = value.unwrap_or((1, "{"));
            out.push_str(text);
            rest = &rest[length..];
        }
        out.push_str(rest);
        out
    }
}

/// The names in braces, in their order.
#[must_use]
pub fn places(sentence: &str) -> Vec<&str> {
    let inside = sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    inside.map(|(name, _)| name).collect()
}

/// The wording for a reader: in the person's own language, else in the one that the browser likes best
/// (`accepted`, an Accept-Language header), else in that of `locale`, else the first.
#[must_use]
pub fn choose<'a>(wordings: &'a [Wording], person: Option<&str>, accepted: &str, locale: &str) -> &'a Wording {
    let tags: Vec<&str> = wordings.iter().map(|wording| wording.tag.as_str()).collect();
    let mut ranges = person.into_iter().chain(wishes(accepted)).chain([locale]);
    &wordings[ranges.find_map(|range| nearest(range, &tags)).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(tag: &str) -> Wording {
        let sentences = [("left".to_owned(), "No more “{topic}” {from us} by {sender}{".to_owned())].into();
        Wording { tag: tag.to_owned(), right_to_left: false, sentences }
    }

    #[test]
    fn the_person_s_language_comes_before_the_browser_s_and_that_before_the_sender_s() {
        let wordings = ["en", "de", "fr"].map(wording);
        for (person, accepted, locale, tag) in [
            (None, "de-AT,de;q=0.9,en;q=0.8", "en-GB", "de"),
            (None, "it, en;q=0.5, de;q=0.7", "fr", "de"),
            (None, "it", "de-DE", "de"),
            (None, "", "de_CH", "de"),
            (None, "it;q=x, de;q=0", "it-IT", "en"),
            (Some("fr-CA"), "de", "de", "fr"),
            (Some("klingon"), "de", "fr", "de"),
        ] {
            assert_eq!(choose(&wordings, person, accepted, locale).tag, tag, "{person:?} {accepted} {locale}");
        }
    }

    #[test]
    fn what_is_filled_in_is_never_taken_for_a_place() {
        let wording = wording("en");
        let filled = wording.fill("left", &[("topic", "{sender} <b>"), ("sender", "us")]);
        assert_eq!(filled, "No more “{sender} <b>” {from us} by us{");
        assert_eq!(wording.fill("missing", &[]), "");
        assert_eq!(places(wording.say("left")), ["topic", "from us", "sender"]);
    }
}
