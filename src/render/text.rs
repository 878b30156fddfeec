//! Derives the text part from the HTML template, so that per message it is one more template.
//!
//! The HTML is read as a stream, not as a tree: a parser that builds a tree moves `{{#each}}` out of
//! tables. Runs of blank lines that remain around blocks are squeezed after rendering.

use std::collections::BTreeMap;
use std::ops::Range;

use super::html::{Event, Start, decode};
use super::tag::{Kind, Tag, within};
use super::traced::Traced;

/// What stands between two visible things.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Line,
    Blank,
}

struct Writer<'a> {
    source: &'a Traced,
    tags: &'a [Tag],
    out: Traced,
    gap: Gap,
    /// The line, or the cell, begins with spaces that stand for themselves, and has nothing else so far.
    filled: bool,
    rows: Vec<Row>,
}

/// A row of a table that is not over.
struct Row {
    /// What was written before it.
    start: usize,
    /// A cell of it is filled with spaces.
    filled: bool,
}

/// The text template of an HTML template; `targets` says where the links lead, by their event.
pub(super) fn derive(source: &Traced, tags: &[Tag], events: &[Event], targets: &BTreeMap<usize, String>) -> Traced {
    let mut writer = Writer { source, tags, out: Traced::default(), gap: Gap::None, filled: false, rows: vec![] };
    let mut hidden_until = None;
    let mut link_starts: BTreeMap<usize, usize> = BTreeMap::new();
    for (i, event) in events.iter().enumerate() {
        if let Some(end) = hidden_until {
            if i >= end {
                hidden_until = None;
            }
            continue;
        }
        match event {
            Event::Text(range) => writer.text(range.clone()),
            Event::Start(start) => {
                if is_hidden(source, start) {
                    hidden_until = (i..events.len()).find(|end| events[*end] == Event::End(i));
                    continue;
                }
                writer.begin(&start.name);
                match start.name.as_str() {
                    "li" => writer.write("* ", start.at),
                    "hr" => writer.write("----------------------------------------", start.at),
                    "img" => writer.alternative(start),
                    "a" => {
                        link_starts.insert(i, writer.out.text().len());
                    }
                    _ => {}
                }
                if start.name == "hr" {
                    writer.widen(Gap::Blank);
                }
            }
            Event::End(of) => {
                let Event::Start(start) = &events[*of] else { continue };
                if let (Some(target), Some(from)) = (targets.get(of), link_starts.remove(of)) {
                    writer.link(target, from, start.at);
                }
                writer.end(&start.name);
            }
        }
    }
    writer.out.push("\n", source.place(source.text().len()));
    writer.out
}

fn gap_around(name: &str) -> Gap {
    match name {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "table" | "blockquote" | "hr" | "pre" => {
            Gap::Blank
        }
        "br" | "div" | "tr" | "li" | "center" | "section" | "header" | "footer" | "article" | "main" | "dt" | "dd" => {
            Gap::Line
        }
        "td" | "th" => Gap::Space,
        _ => Gap::None,
    }
}

fn is_hidden(source: &Traced, start: &Start) -> bool {
    let style = start.attribute("style").map(|a| source.text()[a.value.clone()].to_ascii_lowercase());
    style.is_some_and(|s| s.replace(' ', "").contains("display:none"))
}

impl Writer<'_> {
    /// A line that is filled with spaces is a blank one.
    fn widen(&mut self, gap: Gap) {
        let gap = if gap == Gap::Line && std::mem::take(&mut self.filled) { Gap::Blank } else { gap };
        self.gap = self.gap.max(gap);
    }

    fn begin(&mut self, name: &str) {
        match name {
            "td" | "th" => self.end_cell(),
            "br" if self.gap >= Gap::Line => self.widen(Gap::Blank),
            _ => {}
        }
        self.widen(gap_around(name));
        if name == "tr" {
            self.rows.push(Row { start: self.out.text().len(), filled: false });
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "td" | "th" => self.end_cell(),
            "tr" => {
                self.end_cell();
                let row = self.rows.pop();
                self.filled = row.is_some_and(|row| row.filled && row.start == self.out.text().len());
            }
            _ => {}
        }
        self.widen(gap_around(name));
    }

    /// What fills a cell fills no line beside others: the whole row has to be filled for that.
    fn end_cell(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.filled |= std::mem::take(&mut self.filled);
        }
    }

    fn write(&mut self, text: &str, at: usize) {
        let gap = match self.gap {
            _ if self.out.text().is_empty() => "",
            Gap::None => "",
            Gap::Space => " ",
            Gap::Line => "\n",
            Gap::Blank => "\n\n",
        };
        let place = self.source.place(at);
        self.out.push(gap, place.clone());
        self.out.push(text, place);
        (self.gap, self.filled) = (Gap::None, false);
    }

    fn text(&mut self, range: Range<usize>) {
        let mut at = range.start;
        for tag in within(self.tags, &range) {
            self.words(at..tag.range.start);
            let text = &self.source.text()[tag.range.clone()];
            let block = matches!(tag.kind, Kind::Open | Kind::Close | Kind::Else);
            let alone = block && self.gap >= Gap::Line;
            let blank_follows = self.source.text()[tag.range.end..].starts_with(char::is_whitespace);
            if block && self.gap == Gap::Space && blank_follows {
                self.out.push(text, self.source.place(tag.range.start));
            } else {
                self.write(text, tag.range.start);
            }
            if alone {
                self.widen(Gap::Line);
            }
            at = tag.range.end;
        }
        self.words(at..range.end);
    }

    fn words(&mut self, range: Range<usize>) {
        let source = self.source;
        let text = &source.text()[range.clone()];
        if text.starts_with(char::is_whitespace) {
            self.widen(Gap::Space);
        }
        let mut words = text.split_ascii_whitespace().map(|w| decode(w).replace('\u{a0}', " ")).peekable();
        let any = words.peek().is_some();
        while let Some(word) = words.next() {
            let fills = word.trim().is_empty();
            if fills {
                self.filled = self.gap >= Gap::Line;
            } else {
                self.write(&word, range.start);
            }
            if fills || words.peek().is_some() {
                self.widen(Gap::Space);
            }
        }
        if any && text.ends_with(char::is_whitespace) {
            self.widen(Gap::Space);
        }
    }

    fn alternative(&mut self, image: &Start) {
        if let Some(alt) = image.attribute("alt") {
            self.text(alt.value.clone());
        }
    }

    /// Writes a link's target after its text, unless they are the same.
    fn link(&mut self, target: &str, from: usize, at: usize) {
        let label = self.out.text()[from..].trim().to_owned();
        let address = target.strip_prefix("mailto:").or_else(|| target.strip_prefix("tel:")).unwrap_or(target);
        if target.starts_with('#') || label == address || target.is_empty() {
            return;
        }
        if !label.is_empty() {
            self.widen(Gap::Space);
        }
        self.write(&format!("<{}>", decode(address)), at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::draft::Draft;
    use crate::render::html::read;
    use crate::render::tag::scan;
    use crate::render::traced::Place;

    fn text_of(html: &str) -> String {
        let mut source = Traced::default();
        source.push(html, Place::start("x"));
        let tags = scan(html).unwrap();
        let events = read(html, &tags).unwrap();
        let targets = events
            .iter()
            .enumerate()
            .filter_map(|(i, e)| match e {
                Event::Start(s) => Some((i, html[s.attribute("href")?.value.clone()].to_owned())),
                _ => None,
            })
            .collect();
        let mut squeezed = Draft::default();
        squeezed.squeeze(&Draft::of(derive(&source, &tags, &events, &targets).text()));
        squeezed.text().replace("\r\n", "\n")
    }

    #[test]
    fn a_page_becomes_what_one_would_write_by_hand() {
        let html = "<html><head><title>T</title><style>p{}</style></head><body><div style='display: none'>pre</div>\
            <h1>Hello,\n {{first_name}}!</h1><p>Two&nbsp;words<br>and <b>more</b>, <a href='{{url}}'>here</a>.</p>\
            <ul><li>one<li>two</ul><a href='mailto:a@b.example'>a@b.example</a> <a href='x'><img alt='Shoe'></a><hr>end</body></html>";
        assert_eq!(
            text_of(html),
            "Hello, {{first_name}}!\n\nTwo words\nand more, here <{{url}}>.\n\n* one\n* two\n\na@b.example Shoe <x>\n\n\
             ----------------------------------------\n\nend\n"
        );
    }

    #[test]
    fn blocks_stay_around_the_rows_of_a_table() {
        let html = "<table>\n{{#each (offers)}}\n<tr><td>{{title}}</td><td>now</td></tr>\n{{/each}}\n</table>";
        assert_eq!(text_of(html), "{{#each (offers)}}\n{{title}} now\n{{/each}}\n");
    }

    #[test]
    fn spaces_that_fill_a_cell_are_a_space_between_words() {
        let html = "<table><tr><td>&nbsp;</td><td>one&nbsp;<b>big</b>&nbsp; &nbsp;<b>shoe</b></td><td>&nbsp;</td></tr>\
            <tr><td>&nbsp;</td><td>two</td></tr></table>";
        assert_eq!(text_of(html), "one big shoe\ntwo\n");
        let blocks = "<table><tr><td><div>one</div></td><td>&nbsp;</td></tr><tr><td>two<br></td><td>&nbsp;</td></tr>\
            <tr><td>&nbsp;</td><td><div>three</div></td></tr></table>";
        assert_eq!(text_of(blocks), "one\ntwo\nthree\n");
        assert_eq!(text_of("<div>&nbsp;<b>one</b></div><div>two</div>"), "one\ntwo\n");
    }

    #[test]
    fn a_line_of_spaces_is_a_blank_line() {
        for spacer in [
            "<div>&nbsp;</div>",
            "<br>&nbsp;<br>",
            "<table><tr><td> &#8202; </td></tr></table>",
            "<p>&nbsp; &nbsp;</p>",
            "<br><br>",
            "<div><br></div>",
        ] {
            assert_eq!(text_of(&format!("<div>Dear Anna,</div>{spacer}<div>Text</div>")), "Dear Anna,\n\nText\n");
        }
        let rows = "<table><tr><td>one</td></tr><tr><td>&nbsp;</td><td>&nbsp;</td></tr><tr><td>two</td></tr></table>";
        assert_eq!(text_of(rows), "one\n\ntwo\n");
        assert_eq!(text_of("<p>one<br>two</p><br><div>three<br></div>four"), "one\ntwo\n\nthree\nfour\n");
    }

    #[test]
    fn a_block_within_a_sentence_leaves_one_space() {
        let html = "<p>Hello,\n{{#if a}}\nyou\n{{else}}\nall\n{{/if}}\nthere {{#if b}}b{{/if}}.</p>";
        assert_eq!(text_of(html), "Hello,{{#if a}} you{{else}} all{{/if}} there {{#if b}}b{{/if}}.\n");
    }
}
