//! Reads a template as HTML: start tags, end tags and text with their offsets.
//!
//! Handlebars tags are overwritten by letters of the same length first, so that every offset holds
//! and nothing is moved, whatever stands inside tables.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use lol_html::html_content::{Element, TextType};
use lol_html::{RewriteStrSettings, doc_text, element, rewrite_str};

use super::tag::Tag;

/// A piece of HTML, in the order of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// `<name …>`
    Start(Start),
    /// `</name>`; the event that it ends.
    End(usize),
    /// Text that a reader sees.
    Text(Range<usize>),
}

/// A start tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// In lower case.
    pub name: String,
    /// Where it begins.
    pub at: usize,
    /// Behind its `>`.
    pub end: usize,
    /// Whether an end tag of its own ends it.
    pub closed: bool,
    pub attributes: Vec<Attribute>,
}

/// An attribute of a start tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    /// In lower case.
    pub name: String,
    /// From the space before the name to the closing quote.
    pub whole: Range<usize>,
    /// What stands between the quotes.
    pub value: Range<usize>,
}

impl Start {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name == name)
    }
}

/// Reads HTML; `tags` are its Handlebars tags.
pub(super) fn read(source: &str, tags: &[Tag]) -> Result<Vec<Event>, String> {
    let hidden = hide(source, tags);
    let events = Rc::new(RefCell::new(Vec::new()));
    let (starts, texts) = (events.clone(), events.clone());
    let settings = RewriteStrSettings::new()
        .append_element_content_handler(element!("*", move |el| {
            let at = starts.borrow().len();
            starts.borrow_mut().push(Event::Start(start(source, el)));
            if el.can_have_content() {
                let ends = starts.clone();
                el.on_end_tag(Box::new(move |end| {
                    if let Event::Start(start) = &mut ends.borrow_mut()[at] {
                        start.closed = start.name == end.name();
                    }
                    ends.borrow_mut().push(Event::End(at));
                    Ok(())
                }))?;
            }
            Ok(())
        }))
        .append_document_content_handler(doc_text!(move |chunk| {
            let range = chunk.source_location().bytes();
            if chunk.text_type() == TextType::Data && !range.is_empty() {
                texts.borrow_mut().push(Event::Text(range));
            }
            Ok(())
        }))
        .with_strict(false);
    rewrite_str(&hidden, settings).map_err(|e| e.to_string())?;
    Ok(events.take())
}

fn hide(source: &str, tags: &[Tag]) -> String {
    let mut hidden = String::with_capacity(source.len());
    for tag in tags {
        hidden.push_str(&source[hidden.len()..tag.range.start]);
        hidden.extend(std::iter::repeat_n('h', tag.range.len()));
    }
    hidden.push_str(&source[hidden.len()..]);
    hidden
}

fn start(source: &str, el: &Element<'_, '_>) -> Start {
    let attributes = el.attributes().iter().filter_map(|a| {
        let name = a.name_source_location()?.bytes();
        let value = a.value_source_location().map_or(name.end..name.end, |v| v.bytes());
        let quoted = source[..value.start].ends_with(['"', '\'']) && value.start > name.end;
        let head = source[..name.start].trim_end().len();
        Some(Attribute { name: a.name(), whole: head..value.end + usize::from(quoted), value })
    });
    let place = el.source_location().bytes();
    Start { name: el.tag_name(), at: place.start, end: place.end, closed: false, attributes: attributes.collect() }
}

/// A character reference's text; references that are not known stay as they are.
pub(super) fn decode(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = rest[1..].split_once(';').map(|(name, _)| name).filter(|n| n.len() <= 32);
        match name.and_then(reference) {
            Some(c) => {
                out.push_str(&c);
                rest = &rest[name.map_or(0, str::len) + 2..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The parser behind html2text knows all the names.
fn reference(name: &str) -> Option<String> {
    if name == "nbsp" {
        return Some('\u{a0}'.to_string());
    }
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#') {
        return None;
    }
    let reference = format!("&{name};");
    let html = format!("<p>|{reference}|</p>");
    let text = html2text::config::plain_no_decorate().string_from_read(html.as_bytes(), 80).ok()?;
    let text = text.trim().strip_prefix('|')?.strip_suffix('|')?;
    (text != reference).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tag::scan;

    #[test]
    fn tags_inside_tables_and_attributes_keep_their_offsets() {
        let source = "<table>{{#each (offers)}}<tr><td {{#if x}}class=a{{/if}}><A HREF='{{url}}' data-track=off>x</a></td></tr>{{/each}}</table>";
        let events = read(source, &scan(source).unwrap()).unwrap();
        let link = events
            .iter()
            .find_map(|e| match e {
                Event::Start(s) if s.name == "a" => Some(s),
                _ => None,
            })
            .unwrap();
        assert_eq!(&source[link.attribute("href").unwrap().value.clone()], "{{url}}");
        assert_eq!(&source[link.attribute("data-track").unwrap().whole.clone()], " data-track=off");
        assert_eq!(&source[link.attribute("href").unwrap().whole.clone()], " HREF='{{url}}'");
        assert!(matches!(&events[1], Event::Text(r) if &source[r.clone()] == "{{#each (offers)}}"));
    }

    #[test]
    fn character_references_are_decoded_once() {
        assert_eq!(decode("a&amp;amp;b &uuml;&#x41;&#66;&nbsp;&nope; &"), "a&amp;b üAB\u{a0}&nope; &");
        assert_eq!(decode("a &#124; b&vert;|"), "a | b||");
    }
}
