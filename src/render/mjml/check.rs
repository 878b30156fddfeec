//! Finds what mrml would pass over without a word: misspelt elements and attributes, elements left
//! open, text where only elements stand.

use super::known::{ATTRIBUTES, ELEMENTS, WITHOUT_TEXT, parents};
use super::{end_of, runs};
use crate::render::html::{Event, Start};
use crate::render::problem::{TemplateProblem, nearest, problem};
use crate::render::tag::{Kind, Tag, within};
use crate::render::traced::Traced;

/// Adds what is wrong to `problems`.
pub(super) fn check(source: &Traced, tags: &[Tag], events: &[Event], problems: &mut Vec<TemplateProblem>) {
    let text = source.text();
    let mut report = |at: usize, message: String, hint: Option<String>| {
        problems.push(problem(&source.place(at), message, hint));
    };
    for needed in ["mjml", "mj-body"] {
        if !events.iter().any(|e| matches!(e, Event::Start(start) if start.name == needed)) {
            report(0, format!("there is no <{needed}> in this template"), None);
            return;
        }
    }
    let mut open: Vec<usize> = Vec::new();
    for (i, event) in events.iter().enumerate() {
        match event {
            Event::Start(start) => {
                if start.name.starts_with("mj") {
                    let parent = open.iter().rev().find_map(|i| match &events[*i] {
                        Event::Start(parent) if parent.name.starts_with("mj") => Some(parent.name.as_str()),
                        _ => None,
                    });
                    let parents = parents(&start.name);
                    if let Some(parent) =
                        parent.filter(|p| *p != "mj-attributes" && !parents.is_empty() && !parents.contains(p))
                    {
                        let hint = format!("it stands in <{}>", parents.join("> or <"));
                        report(start.at, format!("<{}> cannot stand in <{parent}>", start.name), Some(hint));
                    }
                    element(source, start, &mut report);
                    let empty = text[..start.end].ends_with("/>");
                    if !empty && !start.closed {
                        report(start.at, format!("<{}> is never closed", start.name), None);
                    }
                    if !empty {
                        open.push(i);
                    }
                } else if end_of(events, i).is_some() {
                    open.push(i);
                }
            }
            Event::End(of) => open.truncate(open.iter().position(|i| i == of).unwrap_or(open.len())),
            Event::Text(range) => {
                let Some(Event::Start(parent)) = open.last().map(|i| &events[*i]) else { continue };
                if !WITHOUT_TEXT.contains(&parent.name.as_str()) {
                    continue;
                }
                let value = within(tags, range).iter().find(|t| t.kind == Kind::Value);
                let first =
                    runs(text, range, tags).first().copied().into_iter().chain(value.map(|t| t.range.start)).min();
                if let Some(at) = first {
                    let hint = "write it in <mj-text>, or markup of your own in <mj-raw>".to_owned();
                    report(at, format!("no text can stand in <{}>", parent.name), Some(hint));
                }
            }
        }
    }
}

fn element(source: &Traced, start: &Start, report: &mut impl FnMut(usize, String, Option<String>)) {
    let name = start.name.as_str();
    if !ELEMENTS.contains(&name) {
        let hint = nearest(name, ELEMENTS).map(|near| format!("did you mean <{near}>?"));
        report(start.at, format!("there is no element <{name}> in MJML"), hint);
        return;
    }
    if name == "mj-include" {
        let hint = "take a partial: {{> partials/NAME}}".to_owned();
        report(start.at, "<mj-include> is not read".into(), Some(hint));
        return;
    }
    for attribute in &start.attributes {
        let at = attribute.whole.end - source.text()[attribute.whole.clone()].trim_start().len();
        if source.text()[at..].starts_with("{{") {
            let hint = "put the condition into an attribute's value, or around the element".to_owned();
            report(at, "a tag can stand in an attribute's value, not between attributes".into(), Some(hint));
            return;
        } else if !ATTRIBUTES.split_whitespace().any(|known| known == attribute.name) {
            let hint = nearest(&attribute.name, ATTRIBUTES.split_whitespace());
            let hint = hint.map(|near| format!("did you mean '{near}'?"));
            report(at, format!("<{name}> has no attribute '{}'", attribute.name), hint);
        } else if attribute.name.starts_with("data-") && start.attribute("href").is_none() {
            report(at, format!("'{}' belongs to a link", attribute.name), Some("add href=\"https://…\"".into()));
        }
    }
}
