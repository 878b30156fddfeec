//! A part of a mail while it is written: its lines end as a mail's do, and it knows whether 7 bits hold it.
//!
//! A template's own words, most of a mail, are looked at when it is compiled, so that a message costs what is put between
//! them.

use handlebars::Output;

/// A text whose lines end with CRLF, whatever ended them where they come from.
#[derive(Default)]
pub(super) struct Draft {
    text: String,
    /// Something in it is neither printable ASCII nor a tab nor a line's end.
    odd: bool,
}

impl Draft {
    /// A draft of these words.
    pub fn of(words: &str) -> Self {
        let mut draft = Self::default();
        draft.push(words);
        draft
    }

    /// What was written so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it consists of printable ASCII, tabs and line ends.
    pub fn is_seven_bit(&self) -> bool {
        !self.odd
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.text.clear();
        self.odd = false;
    }

    /// Appends words that are not known to be of a draft. A CR that ends them is none of a line: what follows may begin
    /// with the line's LF.
    pub fn push(&mut self, words: &str) {
        let words = words.strip_suffix('\r').unwrap_or(words);
        let mut rest = words;
        // Most are short, and no whole line.
        if !is_plain(words) {
            while let Some(end) = memchr::memchr2(b'\r', b'\n', rest.as_bytes()) {
                let (line, after) = rest.split_at(end);
                self.odd |= !is_plain(line);
                self.text.push_str(line);
                self.text.push_str("\r\n");
                rest = after.strip_prefix("\r\n").unwrap_or(&after[1..]);
            }
            self.odd |= !is_plain(rest);
        }
        self.text.push_str(rest);
    }

    /// Appends what another holds.
    pub fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.odd |= other.odd;
    }

    /// Becomes what `other` holds with at most one blank line anywhere and none at either end, and no space before a
    /// line's end.
    pub fn squeeze(&mut self, other: &Self) {
        self.clear();
        let mut blank = false;
        for line in other.text.lines().map(str::trim_end) {
            if line.is_empty() {
                blank = true;
                continue;
            }
            if blank && !self.text.is_empty() {
                self.text.push_str("\r\n");
            }
            blank = false;
            self.odd |= other.odd && !is_plain(line);
            self.text.push_str(line);
            self.text.push_str("\r\n");
        }
    }
}

/// Whether words consist of printable ASCII and tabs.
fn is_plain(words: &str) -> bool {
    words.bytes().fold(true, |plain, byte| plain & ((b' '..127).contains(&byte) | (byte == b'\t')))
}

/// What Handlebars writes.
impl Output for Draft {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_end_with_crlf_whatever_ended_them() {
        assert_eq!(Draft::of("a\nb\r\nc\rd\n\r\r\n\r").text(), "a\r\nb\r\nc\r\nd\r\n\r\n\r\n");
        assert!(Draft::of("a\n\tb\r~ ").is_seven_bit());
        for odd in ["ü", "\u{7f}", "\u{b}", "\u{0}"] {
            let mut draft = Draft::of("a\n");
            draft.append(&Draft::of(odd));
            assert!(!draft.is_seven_bit(), "{odd:?}");
            draft.clear();
            assert!(draft.is_seven_bit());
        }
    }

    #[test]
    fn blank_lines_are_squeezed() {
        let mut squeezed = Draft::of("before");
        squeezed.squeeze(&Draft::of(" \n\na \n \n\n\tb\nc\n\n"));
        assert_eq!(squeezed.text(), "a\r\n\r\n\tb\r\nc\r\n");
        squeezed.squeeze(&Draft::of("\n \n"));
        assert_eq!(squeezed.text(), "");
        squeezed.squeeze(&Draft::of("Dear Anna\u{a0}\n"));
        assert_eq!((squeezed.text(), squeezed.is_seven_bit()), ("Dear Anna\r\n", true));
        squeezed.squeeze(&Draft::of("Dear\u{a0}Anna\n"));
        assert!(!squeezed.is_seven_bit());
    }

    #[test]
    fn a_line_ends_once_where_its_end_comes_in_two_pieces() {
        let mut draft = Draft::default();
        for piece in ["City: ", "Graz\r", "\nBye\r", "\r\n", "\r"] {
            draft.push(piece);
        }
        assert_eq!(draft.text(), "City: Graz\r\nBye\r\n");
    }

    proptest! {
        #[test]
        fn words_are_seen_as_they_are(text in "[\\PC\\r\\n\\t\u{0}\u{7f}]{0,60}") {
            let draft = Draft::of(&text);
            let plain = |c: char| matches!(c, ' '..='~' | '\t' | '\r' | '\n');
            prop_assert_eq!(draft.is_seven_bit(), text.chars().all(plain));
            let whole = text.strip_suffix('\r').unwrap_or(&text);
            prop_assert_eq!(draft.text().replace("\r\n", "\n"), whole.replace("\r\n", "\n").replace('\r', "\n"));
            prop_assert!(!draft.text().replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}
