//! Texts: capitals by the rules of a language, and the beginning of a long one.

use icu_casemap::{CaseMapper, TitlecaseMapper};
use icu_segmenter::GraphemeClusterSegmenter;

use super::Formats;

impl Formats {
    /// In capitals.
    pub fn upper(&self, text: &str) -> String {
        CaseMapper::new().uppercase_to_string(text, self.language()).into_owned()
    }

    /// In small letters.
    pub fn lower(&self, text: &str) -> String {
        CaseMapper::new().lowercase_to_string(text, self.language()).into_owned()
    }

    /// With its first letter in capitals, the rest as it is.
    pub fn capitalized(&self, text: &str) -> String {
        let first = text.chars().next().map_or(0, char::len_utf8);
        let mapper = TitlecaseMapper::new();
        let head = mapper.titlecase_segment_to_string(&text[..first], self.language(), Default::default());
        [&head, &text[first..]].concat()
    }
}

/// At most `limit` characters as readers count them (grapheme clusters), the last of them an ellipsis when
/// something was cut off. It is cut between words where one ends in the second half.
pub(in super::super) fn truncated(text: &str, limit: usize) -> String {
    let text = text.trim();
    let ends: Vec<usize> = GraphemeClusterSegmenter::new().segment_str(text).skip(1).take(limit + 1).collect();
    if ends.len() <= limit {
        return text.to_owned();
    }
    let cut = limit.checked_sub(2).map_or(0, |last| ends[last]);
    let half = limit.checked_sub(2).map_or(0, |last| ends[last / 2]);
    let in_word = !text[cut..].starts_with(char::is_whitespace);
    let word = text[..cut].rfind(char::is_whitespace).filter(|at| in_word && *at >= half);
    [text[..word.unwrap_or(cut)].trim_end(), "…"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_follow_the_language() {
        let (english, turkish) = (Formats::new("en", "UTC"), Formats::new("tr", "UTC"));
        assert_eq!((english.upper("izmir ß"), turkish.upper("izmir")), ("IZMIR SS".into(), "İZMİR".into()));
        assert_eq!((english.lower("IZ"), turkish.lower("IZ")), ("iz".into(), "ız".into()));
        assert_eq!(english.capitalized("élan VITAL"), "Élan VITAL");
        assert_eq!(turkish.capitalized("izmir"), "İzmir");
        assert_eq!(english.capitalized(""), "");
    }

    #[test]
    fn a_long_text_is_cut_between_words_and_never_inside_a_character() {
        assert_eq!(truncated("short", 5), "short");
        assert_eq!(truncated("Trail shoes for winter", 15), "Trail shoes…");
        assert_eq!(truncated("Trail shoes for winter", 12), "Trail shoes…");
        assert_eq!(truncated("Donaudampfschifffahrt", 8), "Donauda…");
        assert_eq!(truncated("👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 2), "👩‍👩‍👧‍👦…");
        assert_eq!(truncated("ab", 1), "…");
        assert_eq!(truncated("", 1), "");
    }
}
