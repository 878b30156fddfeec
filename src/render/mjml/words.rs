//! The words that stand for tags and places while mrml works.

use crate::render::traced::{Place, Traced};

/// An attribute that a link has in the HTML: name, value, place of the value.
type Carried = (String, String, Place);

enum Word {
    /// A Handlebars tag.
    Tag(String),
    /// What follows was written here.
    Mark,
    /// An attribute's value; what else its element has in the HTML.
    Attribute(Vec<Carried>),
    /// Style rules that are to be inlined.
    Inlined,
}

struct Entry {
    word: Word,
    place: Place,
    seen: bool,
}

/// The words by number.
pub(super) struct Words {
    /// Letters that stand nowhere in the template.
    head: String,
    list: Vec<Entry>,
}

impl Words {
    /// Words for a template.
    pub fn new(text: &str) -> Self {
        let mut head = "hb".to_owned();
        while text.contains(&head) {
            head.push('q');
        }
        Self { head, list: Vec::new() }
    }

    /// A tag, between elements as a comment.
    pub fn tag(&mut self, tag: &str, comment: bool, place: Place) -> String {
        let word = self.add(Word::Tag(tag.to_owned()), place);
        if comment { format!("<!--{word}-->") } else { word }
    }

    /// A text's beginning.
    pub fn mark(&mut self, place: Place) -> String {
        self.add(Word::Mark, place)
    }

    /// The beginning of an attribute's value.
    pub fn attribute(&mut self, carried: Vec<Carried>, place: Place) -> String {
        self.add(Word::Attribute(carried), place)
    }

    /// The beginning of style rules that are to be inlined.
    pub fn inlined(&mut self, place: Place) -> String {
        self.add(Word::Inlined, place)
    }

    /// Where tags were written that have not come back.
    pub fn lost(&self) -> impl Iterator<Item = &Place> {
        self.list.iter().filter(|e| !e.seen && matches!(e.word, Word::Tag(_))).map(|e| &e.place)
    }

    fn add(&mut self, word: Word, place: Place) -> String {
        self.list.push(Entry { word, place, seen: false });
        format!("{}{}z", self.head, self.list.len() - 1)
    }

    /// The HTML with its words replaced; what stands before the first belongs to `start`.
    pub fn put_back(&mut self, html: &str, start: Place) -> Traced {
        let mut out = Traced::default();
        let mut rest = html;
        let mut writing = Writing { place: start, verbatim: false };
        while let Some((found, number, behind)) = self.next(rest) {
            let entry = &mut self.list[number];
            entry.seen = true;
            let (mut before, mut after) = (&rest[..found], &rest[behind..]);
            if let (Some(b), Some(a)) = (before.strip_suffix("<!--"), after.strip_prefix("-->")) {
                (before, after) = (b, a);
            }
            match &entry.word {
                Word::Inlined => before = before.strip_suffix('>').unwrap_or(before),
                Word::Attribute(carried) if !carried.is_empty() => {
                    let name = before.rfind(" href=\"").unwrap_or(before.len());
                    writing.write(&before[..name], &mut out);
                    before = &before[name..];
                    for (name, value, place) in carried {
                        out.put(&format!(" {name}=\""), place.clone());
                        out.push(value, place.clone());
                        out.put("\"", place.clone());
                    }
                }
                _ => {}
            }
            writing.write(before, &mut out);
            writing = Writing { place: entry.place.clone(), verbatim: true };
            match &entry.word {
                Word::Tag(tag) => {
                    out.push(tag, entry.place.clone());
                    writing.place = entry.place.after(tag);
                }
                Word::Inlined => out.put(" data-css-inline=\"inline\">", entry.place.clone()),
                Word::Mark | Word::Attribute(_) => {}
            }
            rest = after;
        }
        writing.write(rest, &mut out);
        out
    }

    /// The next word: where it begins, its number, where it ends.
    fn next(&self, html: &str) -> Option<(usize, usize, usize)> {
        let found = html.find(&self.head)?;
        let digits = &html[found + self.head.len()..];
        let (number, _) = digits.split_once('z')?;
        let behind = found + self.head.len() + number.len() + 1;
        Some((found, number.parse().ok().filter(|n| *n < self.list.len())?, behind))
    }
}

/// Where the HTML behind a word was written.
struct Writing {
    place: Place,
    /// Whether the template's own text follows, up to the next markup.
    verbatim: bool,
}

impl Writing {
    fn write(&mut self, html: &str, out: &mut Traced) {
        let own = if self.verbatim { html.find(['<', '"']).unwrap_or(html.len()) } else { 0 };
        out.push(&html[..own], self.place.clone());
        out.put(&html[own..], self.place.clone());
        self.verbatim &= own == html.len();
    }
}
