//! Turns a MJML template into HTML that still knows where its parts were written.
//!
//! mrml knows neither Handlebars nor places. Tags are hidden from it: as comments where they stand
//! between elements, as words elsewhere. Links, pictures and texts get a word in front. In the HTML
//! each is put back or taken out, and says where what follows it was written.

mod check;
mod known;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashMap;
use std::ops::Range;

use mrml::prelude::parser::Error;
use mrml::prelude::render::RenderOptions;

use self::words::Words;
use super::html::{self, Event};
use super::problem::{TemplateProblem, problem};
use super::tag::{Kind, Tag, within};
use super::traced::{Place, Traced};

/// Elements whose text goes into the page's head as it is: no comment may stand there.
const PLAIN_TEXT: [&str; 3] = ["mj-title", "mj-preview", "mj-style"];

/// The HTML of a MJML template. Faults are added to `problems`.
pub(super) fn to_html(source: &Traced, tags: &[Tag], problems: &mut Vec<TemplateProblem>) -> Option<Traced> {
    let before = problems.len();
    let events = match html::read(source.text(), tags) {
        Ok(events) => events,
        Err(message) => {
            problems.push(problem(&source.place(0), format!("this is not readable as MJML: {message}"), None));
            return None;
        }
    };
    check::check(source, tags, &events, problems);
    if problems.len() > before {
        return None;
    }
    let mut words = Words::new(source.text());
    let hidden = source.edited(&hide(source, tags, &events, &mut words));
    match render(&hidden) {
        Ok(html) => {
            let html = words.put_back(&html, source.place(0));
            problems.extend(words.lost().map(|place| {
                problem(
                    place,
                    "MJML makes no HTML of this".into(),
                    Some("write it in a text, an attribute, or <mj-raw>".into()),
                )
            }));
            Some(html).filter(|_| problems.len() == before)
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn render(source: &Traced) -> Result<String, TemplateProblem> {
    let parsed = mrml::parse(source.text()).map_err(|error| explain(source, &error))?;
    // Fonts are fetched from elsewhere only when the template says so.
    let options = RenderOptions { fonts: HashMap::default(), ..RenderOptions::default() };
    let rendered = parsed.element.render(&options);
    rendered.map_err(|error| problem(&source.place(0), format!("this makes no HTML: {error}"), None))
}

/// What to cut and what to put in for mrml.
fn hide(source: &Traced, tags: &[Tag], events: &[Event], words: &mut Words) -> Vec<(Range<usize>, String)> {
    let text = source.text();
    let mut edits = Vec::new();
    let mut in_texts = Vec::new();
    let mut plain_until = 0;
    for (i, event) in events.iter().enumerate() {
        match event {
            Event::Start(start) => {
                if PLAIN_TEXT.contains(&start.name.as_str()) {
                    plain_until = end_of(events, i).unwrap_or(i);
                }
                if start.name == "mj-style" && start.attribute("inline").is_some() {
                    edits.push((start.end..start.end, words.inlined(source.place(start.end))));
                }
                let carried =
                    ["data-category", "data-track", "data-utm"].iter().filter_map(|name| start.attribute(name));
                let carried =
                    carried.map(|a| (a.name.clone(), text[a.value.clone()].to_owned(), source.place(a.value.start)));
                let mut carried = carried.filter(|_| start.name.starts_with("mj-")).collect();
                for attribute in start.attributes.iter().filter(|a| ["href", "src", "alt"].contains(&a.name.as_str())) {
                    let at = attribute.value.start;
                    let carried = if attribute.name == "href" { std::mem::take(&mut carried) } else { Vec::new() };
                    if start.name != "mj-font" && !attribute.value.is_empty() {
                        edits.push((at..at, words.attribute(carried, source.place(at))));
                    }
                }
            }
            Event::Text(range) => {
                in_texts.push((range.clone(), i < plain_until));
                for run in runs(text, range, tags) {
                    edits.push((run..run, words.mark(source.place(run))));
                }
            }
            Event::End(_) => {}
        }
    }
    for tag in tags {
        let before = &in_texts[..in_texts.partition_point(|(range, _)| range.start <= tag.range.start)];
        let around = before.last().filter(|(range, _)| range.contains(&tag.range.start));
        let comment = around.is_some_and(|(_, plain)| !plain) && !matches!(tag.kind, Kind::Value | Kind::Raw);
        edits.push((tag.range.clone(), words.tag(&text[tag.range.clone()], comment, source.place(tag.range.start))));
    }
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    edits
}

/// Where visible text begins within a piece of text, around its tags.
fn runs(text: &str, piece: &Range<usize>, tags: &[Tag]) -> Vec<usize> {
    let mut at = piece.start;
    let mut runs = Vec::new();
    let inside = within(tags, piece).iter().map(|t| t.range.clone());
    for stop in inside.chain(std::iter::once(piece.end..piece.end)) {
        let run = &text[at.min(stop.start)..stop.start];
        let blank = run.len() - run.trim_start().len();
        if blank < run.len() {
            runs.push(at + blank);
        }
        at = stop.end;
    }
    runs
}

/// The event that ends the element of an event.
fn end_of(events: &[Event], start: usize) -> Option<usize> {
    events.iter().skip(start).position(|e| *e == Event::End(start)).map(|i| start + i)
}

fn explain(source: &Traced, error: &Error) -> TemplateProblem {
    let at = |position: &mrml::prelude::parser::Span| source.place(position.start);
    let (place, message): (Place, String) = match error {
        Error::UnexpectedElement { position, .. } => (at(position), "this element cannot stand here".into()),
        Error::UnexpectedToken { position, .. } => (at(position), "MJML expects something else here".into()),
        Error::MissingAttribute { name, position, .. } => (at(position), format!("the attribute '{name}' is missing")),
        Error::InvalidAttribute { position, .. } => (at(position), "this attribute is not valid".into()),
        Error::InvalidFormat { position, .. } => (at(position), "this is not valid here".into()),
        Error::IncludeLoaderError { position, .. } => (at(position), "nothing can be included here".into()),
        Error::ParserError { source: error, .. } => {
            let pos = error.pos();
            let place = source.place_of(pos.row as usize, pos.col as usize);
            let hint = "in text write &lt; for < and &amp; for &; attributes need quotes".to_owned();
            return problem(&place, "this is not readable as MJML".into(), Some(hint));
        }
        Error::EndOfStream { .. } => (source.place(source.text().len()), "the template ends too early".into()),
        Error::NoRootNode => (source.place(0), "there is no element in this template".into()),
        Error::SizeLimit { .. } => (source.place(0), "this template is too large".into()),
    };
    problem(&place, message, None)
}
