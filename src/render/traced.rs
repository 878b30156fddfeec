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
            Some(mark) => mark.place.after(&self.text[mark.at..offset.min(self.text.len())]),
        }
    }

    /// The origin of a line and column of this text, both from 1.
    pub fn place_of(&self, line: usize, column: usize) -> Place {
        let start: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
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
}
