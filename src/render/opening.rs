//! What stands at the start of an HTML part without being seen in it: the language, and the line that a
//! mailbox shows behind the subject.

use std::ops::Range;

use super::html::{Event, Start};
use super::tag::Tag;
use super::traced::Traced;

/// Hides the line in every mail program that is known to show one. `display:none` is also what keeps it
/// out of the text part. Tiny or transparent letters would hide it no better, and filters take them for a trick.
const OPEN: &str = "<div style=\"display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;mso-hide:all\">";
const CLOSE: &str = "</div>";
/// Takes room and shows nothing, so that no mailbox fills the line up with what the mail begins with.
const PAD: &str = "&#847;&zwnj;&nbsp;";
/// Mailboxes show up to about 140 characters, subject included.
const PADS: usize = 120;

/// The HTML with a preheader at the start of its body; `line` is a template of plain text.
pub(super) fn preheader(source: &Traced, events: &[Event], line: &Traced, tags: &[Tag]) -> Traced {
    let at = start_of_body(source.text(), events);
    let mut out = Traced::default();
    out.push_part(source, 0..at);
    out.put(OPEN, line.place(0));
    let mut from = 0;
    for tag in tags {
        plain(line, from..tag.range.start, &mut out);
        out.push_part(line, tag.range.clone());
        from = tag.range.end;
    }
    plain(line, from..line.text().len(), &mut out);
    out.put(&PAD.repeat(PADS), line.place(0));
    out.put(CLOSE, line.place(0));
    out.push_part(source, at..source.text().len());
    out
}

/// Where what is seen may begin, in a template without `<body>`, too: nothing may stand before the doctype.
fn start_of_body(source: &str, events: &[Event]) -> usize {
    let end = |name: &str| starts(events).find(|s| s.name == name).map(|start| start.end);
    let lower = source.to_ascii_lowercase();
    let head = || lower.find("</head>").map(|at| at + "</head>".len());
    let doctype = || lower.find("<!doctype").and_then(|at| Some(at + lower[at..].find('>')? + 1));
    end("body").or_else(head).or_else(|| end("html")).or_else(doctype).unwrap_or(0)
}

/// What makes `<html>` name the language, and the direction of a script from right to left. With `own` the
/// template's word counts where it says a language.
pub(super) fn language(
    source: &str,
    events: &[Event],
    tag: &str,
    right_to_left: bool,
    own: bool,
) -> Vec<(Range<usize>, String)> {
    let Some(html) = starts(events).find(|s| s.name == "html") else { return Vec::new() };
    let after_name = html.at + "<html".len();
    let mut edits = Vec::new();
    let mut missing = String::new();
    match html.attribute("lang") {
        None => missing.push_str(&format!(" lang=\"{tag}\"")),
        Some(lang) => {
            let written = source[lang.value.clone()].trim();
            let says_nothing = written.is_empty() || written == "und";
            if says_nothing || !own && !written.contains("{{") {
                edits.push((lang.whole.clone(), format!(" lang=\"{tag}\"")));
            }
        }
    }
    match html.attribute("dir") {
        None if right_to_left => missing.push_str(" dir=\"rtl\""),
        Some(dir) if right_to_left && &source[dir.value.clone()] == "auto" => {
            edits.push((dir.whole.clone(), " dir=\"rtl\"".to_owned()));
        }
        _ => {}
    }
    if !missing.is_empty() {
        edits.push((after_name..after_name, missing));
    }
    edits
}

fn starts(events: &[Event]) -> impl Iterator<Item = &Start> {
    events.iter().filter_map(|event| match event {
        Event::Start(start) => Some(start),
        _ => None,
    })
}

fn plain(line: &Traced, range: Range<usize>, out: &mut Traced) {
    let text = &line.text()[range.clone()];
    out.push(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"), line.place(range.start));
}
