//! Finds and numbers the links of a mail.
//!
//! Counted are `<a href>` and `<area href>` that lead to http(s) or to what a variable holds, in the
//! order of the document. `data-track="off"` keeps a link from being counted, `data-utm="off"` from getting
//! the campaign's parameters, `data-category` names its category.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::html::{Event, Start};
use super::problem::{TemplateProblem, problem, unknown_category};
use super::tag::Tag;
use super::target::{Target, end_of_url};
use super::traced::Traced;
use super::utm::Tagger;
use crate::domain::campaign::LinkRule;

/// A link of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Where it leads, when that is the same for everyone.
    pub url: Option<String>,
    /// Its own category. Without one an offer's category counts.
    pub category: Option<String>,
    /// For a fixed URL: what the campaign's rules say.
    pub by_rule: Option<String>,
    /// Whether the campaign's parameters are appended. A fixed URL has them already.
    pub utm: bool,
}

/// The links of a mail, shared by its parts.
#[derive(Default)]
pub(super) struct Links {
    /// By number, from 1.
    pub list: Vec<Link>,
    /// What stands for a target in the output, by the target as written.
    by_target: HashMap<String, String>,
}

/// HTML with its links numbered.
pub(super) struct Numbered {
    /// What to cut and put in, in order.
    pub edits: Vec<(Range<usize>, String)>,
    /// What the links lead to in the output, by the start tag's event.
    pub targets: BTreeMap<usize, String>,
}

/// What the links are judged by.
pub(super) struct Rules<'a> {
    /// Titles by category name.
    pub categories: &'a BTreeMap<String, String>,
    /// The campaign's categories by URL.
    pub patterns: &'a [LinkRule],
    /// What appends the campaign's parameters.
    pub utm: Option<&'a Tagger>,
}

impl Links {
    /// Goes on with the numbers in the parts of another language.
    pub fn next_edition(&mut self) {
        self.by_target.clear();
    }

    /// Numbers the links of an HTML text.
    pub fn number_html(
        &mut self,
        source: &Traced,
        events: &[Event],
        rules: &Rules<'_>,
        problems: &mut Vec<TemplateProblem>,
    ) -> Numbered {
        let mut numbered = Numbered { edits: Vec::new(), targets: BTreeMap::new() };
        for (i, event) in events.iter().enumerate() {
            let Event::Start(start) = event else { continue };
            if start.name != "a" && start.name != "area" {
                continue;
            }
            let category = category(source, start, rules, problems);
            let off = |name| start.attribute(name).is_some_and(|a| &source.text()[a.value.clone()] == "off");
            let (untracked, utm) = (off("data-track"), !off("data-utm"));
            let mut edits: Vec<(Range<usize>, String)> = ["data-category", "data-track", "data-utm"]
                .iter()
                .filter_map(|name| start.attribute(name))
                .map(|a| (a.whole.clone(), String::new()))
                .collect();
            for href in start.attributes.iter().filter(|a| a.name == "href") {
                let target = &source.text()[href.value.clone()];
                let read = Target::read(target);
                if !untracked && read == Target::Relative {
                    let hint = "links in mails need the whole address, https://…".to_owned();
                    let message = format!("'{target}' leads nowhere outside a web page");
                    problems.push(problem(&source.place(href.value.start), message, Some(hint)));
                }
                let written = match untracked {
                    true => Some(uncounted(&read, target, utm && rules.utm.is_some())),
                    false => self.add(&read, category.clone(), utm, rules),
                };
                if let Some(written) = &written {
                    self.by_target.entry(target.trim().to_owned()).or_insert_with(|| written.clone());
                    edits.push((href.value.clone(), written.clone()));
                }
                numbered.targets.insert(i, written.unwrap_or_else(|| target.to_owned()));
            }
            edits.sort_by_key(|(range, _)| range.start);
            numbered.edits.extend(edits);
        }
        numbered
    }

    /// Numbers the links of a text part written by hand: whatever begins with http(s)://, and
    /// variables that are a link's whole target in the HTML part. A target that the HTML part has
    /// too shares its number.
    pub fn number_text(&mut self, source: &str, tags: &[Tag], rules: &Rules<'_>) -> Vec<(Range<usize>, String)> {
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        let mut starts: Vec<usize> = source.match_indices("http").map(|(i, _)| i).collect();
        starts.extend(
            tags.iter().filter(|t| self.by_target.contains_key(&source[t.range.clone()])).map(|t| t.range.start),
        );
        starts.sort_unstable();
        for start in starts {
            if edits.last().is_some_and(|(r, _)| r.end > start)
                || tags.iter().any(|t| t.range.start < start && start < t.range.end)
            {
                continue;
            }
            let range = start..end_of_url(source, tags, start);
            let target = &source[range.clone()];
            let known = self.by_target.get(target).cloned();
            let written = known.or_else(|| self.add(&Target::read_text(target), None, true, rules));
            if let Some(written) = written {
                self.by_target.insert(target.to_owned(), written.clone());
                edits.push((range, written));
            }
        }
        edits
    }

    /// Numbers a target; returns what stands for it in the output, nothing for one that is not
    /// counted.
    fn add(&mut self, target: &Target, category: Option<String>, utm: bool, rules: &Rules<'_>) -> Option<String> {
        let number = self.list.len() + 1;
        let (url, written) = match target {
            Target::Plain | Target::Relative => return None,
            Target::Fixed(url) => (Some(url.clone()), format!("{{{{__track {number}}}}}")),
            Target::Dynamic(inner) => (None, format!("{{{{#__track {number}}}}}{inner}{{{{/__track}}}}")),
        };
        let by_rule = url.as_deref().and_then(|url| rule_for(rules.patterns, url)).map(str::to_owned);
        let url = match rules.utm.filter(|_| utm) {
            Some(tagger) => url.map(|url| tagger.tagged(&url).into_owned()),
            None => url,
        };
        self.list.push(Link { url, category, by_rule, utm });
        Some(written)
    }
}

/// What stands for a target that is not counted.
fn uncounted(target: &Target, written: &str, utm: bool) -> String {
    match target {
        Target::Fixed(inner) | Target::Dynamic(inner) if utm => format!("{{{{#__utm}}}}{inner}{{{{/__utm}}}}"),
        _ => written.to_owned(),
    }
}

/// The category of the first pattern that matches.
pub(super) fn rule_for<'a>(patterns: &'a [LinkRule], url: &str) -> Option<&'a str> {
    patterns.iter().find(|rule| rule.matches(url)).map(|rule| rule.category.as_str())
}

fn category(source: &Traced, start: &Start, rules: &Rules<'_>, problems: &mut Vec<TemplateProblem>) -> Option<String> {
    let attribute = start.attribute("data-category")?;
    let name = source.text()[attribute.value.clone()].trim();
    if rules.categories.contains_key(name) {
        return Some(name.to_owned());
    }
    let place = source.place(attribute.value.start);
    let mut fault = unknown_category(&place, name, rules.categories.keys().map(String::as_str));
    if name.contains("{{") {
        fault.hint = Some("write a plain name; links of offers have the offer's category by themselves".into());
    }
    problems.push(fault);
    None
}
