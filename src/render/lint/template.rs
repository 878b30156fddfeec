//! What in a template should be repaired, with its place.

use std::collections::BTreeSet;
use std::ops::Range;

use super::is_broken;
use super::look::{self, Look};
use crate::render::html::{self, Event, Start, decode};
use crate::render::mailing::Mailing;
use crate::render::problem::{TemplateProblem, problem};
use crate::render::tag::{Kind, Tag, scan, within};
use crate::render::traced::Traced;

/// A template's HTML, its styles inlined and its links numbered.
struct Page<'a> {
    mailing: &'a Mailing,
    source: &'a Traced,
    tags: Vec<Tag>,
    events: Vec<Event>,
}

/// What is found: where, what, what to do.
type Found = (usize, String, String);

const CHECKS: [fn(&Page<'_>, &mut Vec<Found>); 4] = [language, pictures, links, contrast];

/// Judges the templates of the HTML parts, of every language.
pub(in crate::render) fn lint(mailing: &Mailing) -> Vec<TemplateProblem> {
    let mut problems: Vec<_> =
        mailing.editions.iter().flat_map(|edition| judge(mailing, &edition.html.source)).collect();
    problems.sort();
    problems.dedup();
    problems
}

fn judge(mailing: &Mailing, source: &Traced) -> Vec<TemplateProblem> {
    let tags = scan(source.text()).unwrap_or_default();
    let Ok(events) = html::read(source.text(), &tags) else { return Vec::new() };
    let page = Page { mailing, source, tags, events };
    let mut found = Vec::new();
    for check in CHECKS {
        check(&page, &mut found);
    }
    found.into_iter().map(|(at, message, hint)| problem(&source.place(at), message, Some(hint))).collect()
}

/// Programs that read aloud choose the voice by the language, which `<html>` is given where it has none.
fn language(page: &Page<'_>, found: &mut Vec<Found>) {
    if !page.starts().any(|(_, start)| start.name == "html") {
        let hint = "write the whole page, from <html lang=\"…\"> to </html>";
        found.push((0, "without <html> the mail does not say its language".into(), hint.into()));
    }
}

fn pictures(page: &Page<'_>, found: &mut Vec<Found>) {
    for (_, picture) in page.starts().filter(|(_, start)| start.name == "img") {
        if page.value(picture, "alt").is_none() {
            let hint = "add alt=\"…\" that tells what it shows, or alt=\"\" for decoration";
            found.push((page.place_in(picture), "a picture has no alternative text".into(), hint.into()));
        }
    }
}

fn links(page: &Page<'_>, found: &mut Vec<Found>) {
    let text = page.source.text();
    let anchors: BTreeSet<&str> =
        page.starts().flat_map(|(_, s)| ["id", "name"].map(|name| page.value(s, name))).flatten().collect();
    for (i, link) in page.starts().filter(|(_, start)| start.name == "a") {
        let mut report = |message: String, hint: &str| found.push((page.place_in(link), message, hint.to_owned()));
        let Some(written) = page.value(link, "href") else {
            if ["id", "name"].iter().all(|name| page.value(link, name).is_none()) {
                report("a link leads nowhere".into(), "add href=\"https://…\"");
            }
            continue;
        };
        let target = page.target(written);
        if let Some(anchor) = target.strip_prefix('#') {
            if !anchors.contains(anchor) {
                report(format!("'{target}' is nowhere in the mail"), "give its place id=\"…\", or link to a page");
            }
        } else if is_broken(&target) {
            report(format!("'{target}' is no address"), "as in https://example.org/page or mailto:service@example.org");
        }
        let end = page.events.iter().skip(i).position(|e| *e == Event::End(i)).map_or(i, |n| i + n);
        let says = page.events[i..end].iter().any(|event| match event {
            Event::Text(range) => !text[range.clone()].trim().is_empty(),
            Event::Start(start) => page.value(start, "alt").is_some_and(|alt| !alt.trim().is_empty()),
            Event::End(_) => false,
        });
        let label = ["aria-label", "title"].iter().any(|name| page.value(link, name).is_some());
        if !says && !label {
            report("a link has no text".into(), "write a text in it, or alt=\"…\" on its picture");
        }
    }
}

fn contrast(page: &Page<'_>, found: &mut Vec<Found>) {
    let mut pairs = BTreeSet::new();
    for (range, look) in look::texts(page.source.text(), &page.events) {
        let Look { color: Some(color), behind: Some(behind), hidden: false, .. } = look else { continue };
        let least = if look.is_large() { 3.0 } else { 4.5 };
        let contrast = color.contrast(behind);
        if contrast >= least {
            continue;
        }
        let Some(at) = page.first_visible(&range) else { continue };
        if pairs.insert((color, behind, look.is_large())) {
            let (color, behind) = (color.hex(), behind.hex());
            // Rounded down, so that what is too little never looks like enough.
            let contrast = (contrast * 10.0).floor() / 10.0;
            found.push((
                at,
                format!("text in {color} on {behind} is hard to read: contrast {contrast}"),
                format!("it takes {least} here (WCAG AA)"),
            ));
        }
    }
}

impl Page<'_> {
    fn starts(&self) -> impl Iterator<Item = (usize, &Start)> {
        self.events.iter().enumerate().filter_map(|(i, event)| match event {
            Event::Start(start) => Some((i, start)),
            _ => None,
        })
    }

    fn value(&self, start: &Start, name: &str) -> Option<&str> {
        start.attribute(name).map(|a| &self.source.text()[a.value.clone()])
    }

    /// An attribute's place says more than the element's where MJML made the element.
    fn place_in(&self, start: &Start) -> usize {
        let told = ["href", "src"].iter().find_map(|name| start.attribute(name)).filter(|a| !a.value.is_empty());
        told.map_or(start.at, |a| a.value.start)
    }

    /// Where a link leads: what it was before it was numbered.
    fn target(&self, written: &str) -> String {
        let number = written.strip_prefix("{{__track ").and_then(|rest| rest.strip_suffix("}}"));
        let link = number.and_then(|n| self.mailing.links.get(n.parse::<usize>().ok()?.checked_sub(1)?));
        link.and_then(|link| link.url.clone()).unwrap_or_else(|| decode(written.trim()))
    }

    /// Where something is written that a reader sees.
    fn first_visible(&self, range: &Range<usize>) -> Option<usize> {
        let mut at = range.start;
        for tag in within(&self.tags, range) {
            let before = letter(&self.source.text()[at..tag.range.start]);
            let value = (tag.kind == Kind::Value).then_some(tag.range.start);
            if let Some(found) = before.map(|offset| at + offset).or(value) {
                return Some(found);
            }
            at = tag.range.end;
        }
        letter(&self.source.text()[at.min(range.end)..range.end]).map(|offset| at + offset)
    }
}

/// Where the first letter or digit is, character references left aside.
fn letter(text: &str) -> Option<usize> {
    let mut in_reference = false;
    text.char_indices().find_map(|(i, c)| {
        in_reference = (in_reference && c != ';') || c == '&';
        (c.is_alphanumeric() && !in_reference).then_some(i)
    })
}
