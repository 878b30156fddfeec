//! Text put together from several files that remembers where each part was written.

use std::ops::Range;
use std::sync::Arc;

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Place {
    /// The beginning of a file.
    pub fn start(file: &str) -> Self {
        Self { file: file.into(), line: 1, column: 1 }
    }

    /// The place after `text`, when `text` stands here.
    pub fn after(&self, text: &str) -> Self {
        let newlines = text.bytes().filter(|b| *b == b'\n').count();
        let tail = text.rsplit('\n').next().unwrap_or("").chars().count();
        let column = if newlines > 0 { tail + 1 } else { self.column + tail };
        Self { file: self.file.clone(), line: self.line + newlines, column }
    }
}

/// Octets between two counts of characters.
const STEP: usize = 256;

/// Where the lines of a text begin and how many characters come before an offset, so that no place has to be counted
/// from far away.
#[derive(Clone, Debug, Default)]
struct Ruler {
    /// Behind each line's end.
    lines: Vec<usize>,
    /// Characters before every [`STEP`]th octet.
    counts: Vec<usize>,
    octets: usize,
    characters: usize,
}

impl Ruler {
    fn extend(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.octets.is_multiple_of(STEP) {
                self.counts.push(self.characters);
            }
            self.octets += 1;
            self.characters += usize::from(begins_character(byte));
            if byte == b'\n' {
                self.lines.push(self.octets);
            }
        }
    }

    /// Characters before an offset of the text that was measured.
    fn before(&self, text: &str, offset: usize) -> usize {
        let step = (offset / STEP).min(self.counts.len().saturating_sub(1));
        let rest = &text.as_bytes()[step * STEP..offset];
        self.counts.get(step).copied().unwrap_or(0) + rest.iter().filter(|byte| begins_character(**byte)).count()
    }

    /// The place of an offset behind a mark.
    fn place(&self, text: &str, mark: &Mark, offset: usize) -> Place {
        let ended = |at: usize| self.lines.partition_point(|line| *line <= at);
        let (all, newlines) = (ended(offset), ended(offset) - ended(mark.at));
        let (from, column) = if newlines > 0 { (self.lines[all - 1], 1) } else { (mark.at, mark.place.column) };
        let column = column + self.before(text, offset) - self.before(text, from);
        Place { file: mark.place.file.clone(), line: mark.place.line + newlines, column }
    }
}

fn begins_character(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

#[derive(Clone, Debug)]
struct Mark {
    at: usize,
    place: Place,
    /// Whether all of the text up to the next mark stands at the place, since it was put in.
    fixed: bool,
}

/// The text and its origins.
#[derive(Clone, Debug, Default)]
pub(super) struct Traced {
    text: String,
    marks: Vec<Mark>,
    ruler: Ruler,
}

impl Traced {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds text that begins at a place.
    pub fn push(&mut self, text: &str, place: Place) {
        self.add(text, place, false);
    }

    /// Adds text that was not written by anybody, because of what is written at a place.
    pub fn put(&mut self, text: &str, place: Place) {
        self.add(text, place, true);
    }

    fn add(&mut self, text: &str, place: Place, fixed: bool) {
        if !text.is_empty() {
            self.marks.push(Mark { at: self.text.len(), place, fixed });
            self.text.push_str(text);
            self.ruler.extend(text);
        }
    }

    /// Adds a part of another text.
    pub fn push_part(&mut self, other: &Self, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let next = other.marks.partition_point(|m| m.at <= at);
            let end = other.marks.get(next).map_or(range.end, |m| m.at.min(range.end));
            let fixed = next.checked_sub(1).is_some_and(|i| other.marks[i].fixed);
            self.add(&other.text[at..end], other.place(at), fixed);
            at = end;
        }
    }

    /// The origin of an offset.
    pub fn place(&self, offset: usize) -> Place {
        let mark = self.marks.partition_point(|m| m.at <= offset).checked_sub(1).map(|i| &self.marks[i]);
        match mark {
            None => Place::start(""),
            Some(mark) if mark.fixed => mark.place.clone(),
            Some(mark) => self.ruler.place(&self.text, mark, offset.min(self.text.len())),
        }
    }

    /// The origin of a line and column of this text, both from 1.
    pub fn place_of(&self, line: usize, column: usize) -> Place {
        let start = match line {
            0 | 1 => 0,
            _ => self.ruler.lines.get(line - 2).copied().unwrap_or(self.text.len()),
        };
        let rest = &self.text[start..];
        let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(i, _)| i);
        self.place(start + within)
    }

    /// Replaces parts of the text. The edits are in order and do not overlap; what is put in is said
    /// to stand where the replaced part began.
    pub fn edited(&self, edits: &[(Range<usize>, String)]) -> Self {
        let mut out = Self::default();
        let mut at = 0;
        for (range, new) in edits {
            out.push_part(self, at..range.start);
            out.put(new, self.place(range.start));
            at = range.end;
        }
        out.push_part(self, at..self.text.len());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_traced_through_parts_and_edits() {
        let mut inner = Traced::default();
        inner.push("one\ntwo", Place::start("inner"));
        let mut outer = Traced::default();
        outer.push("äö ", Place::start("outer"));
        outer.push_part(&inner, 0..7);
        outer.push("!", Place { file: "outer".into(), line: 7, column: 2 });
        let edited = outer.edited(&[(5..8, "ONCE UPON".into())]);
        assert_eq!(edited.text(), "äö ONCE UPON\ntwo!");
        let two = edited.place(edited.text().find("wo").unwrap());
        assert_eq!((&*two.file, two.line, two.column), ("inner", 2, 2));
        assert_eq!(edited.place_of(2, 2), two);
        assert_eq!(edited.place_of(1, 4).column, 1);
        assert_eq!(edited.place_of(2, 4).line, 7);
    }

    #[test]
    fn a_place_is_what_counting_from_its_mark_gives() {
        let parts = ["a€\n😀 ü", "x", &"long äöü line ".repeat(90), "\n\n\r\n", &"line 😀\n".repeat(70), "the end"];
        let mut traced = Traced::default();
        let mut expected = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let place = Place { file: format!("file {i}").into(), line: 10 * i + 1, column: i + 1 };
            let at = traced.text().len();
            expected.extend(part.char_indices().map(|(offset, _)| (at + offset, place.after(&part[..offset]))));
            traced.push(part, place.clone());
            if i + 1 == parts.len() {
                expected.push((traced.text().len(), place.after(part)));
            }
        }
        for (offset, place) in expected {
            assert_eq!(traced.place(offset), place, "offset {offset}");
        }
    }

    #[test]
    fn a_line_and_column_are_found_and_those_beyond_the_end_are_the_end() {
        let mut traced = Traced::default();
        traced.push("ä\nbc\n", Place::start("x"));
        for ((line, column), expected) in
            [((1, 1), (1, 1)), ((1, 2), (1, 2)), ((2, 2), (2, 2)), ((3, 1), (3, 1)), ((9, 9), (3, 1)), ((0, 0), (1, 1))]
        {
            let place = traced.place_of(line, column);
            assert_eq!((place.line, place.column), expected, "{line}:{column}");
        }
    }
}
