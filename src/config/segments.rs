//! `[segments]` and `[audience]`: conditions, and named ones inside others.

use std::collections::BTreeMap;
use std::ops::Range;

use super::problem::{Complaint, name_hint};
use super::value::Field;
use crate::domain::project::Project;
use crate::domain::segment::{Catalog, Condition, SegmentError, references};

/// What a condition may speak of.
pub(super) struct Names {
    /// What was checked; its segments are those that were found right.
    catalog: Catalog,
    /// All named segments, those that were refused included.
    declared: Vec<String>,
}

impl Names {
    /// Reads all named conditions, each after those that it uses.
    pub fn resolve(named: &[Field<'_>], project: &Project, campaigns: &[&str]) -> Self {
        let catalog = Catalog {
            categories: Some(project.categories.keys().cloned().collect()),
            topics: Some(project.topics.keys().cloned().collect()),
            campaigns: Some(campaigns.iter().map(|name| (*name).to_owned()).collect()),
            attributes: project.attributes.clone(),
            segments: BTreeMap::new(),
            warm: project.score.warm,
            lapses_after: project.retention.unused_consent,
        };
        let mut names = Self { catalog, declared: named.iter().map(|field| field.key.to_owned()).collect() };
        let mut waiting: Vec<Waiting<'_>> = named
            .iter()
            .filter_map(|field| {
                let mut uses = references(field.text()?);
                uses.retain(|(name, _)| names.declared.contains(name));
                Some((field, uses))
            })
            .collect();
        loop {
            let known = |(name, _): &Reference| names.catalog.segments.contains_key(name);
            let (ready, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, uses)| uses.iter().all(known));
            waiting = others;
            if ready.is_empty() {
                break;
            }
            for (field, _) in ready {
                if let Some(condition) = names.condition(field) {
                    names.catalog.segments.insert(field.key.to_owned(), condition);
                }
            }
        }
        report_cycles(&waiting);
        names
    }

    /// The named conditions.
    pub fn segments(&self) -> BTreeMap<String, Condition> {
        self.catalog.segments.clone()
    }

    /// Reads one condition; a complaint points into its text.
    pub fn condition(&self, field: &Field<'_>) -> Option<Condition> {
        let text = field.text()?;
        let mut complete = true;
        for (name, span) in references(text) {
            complete &= self.catalog.segments.contains_key(&name);
            if !self.declared.contains(&name) {
                let message = format!("unknown segment `{name}`");
                let hint = name_hint(&name, self.declared.iter().map(String::as_str));
                field.error_within(&span, Complaint { message, hint });
            }
        }
        // A segment that was refused has been complained about where it stands.
        if complete { self.parse(field, text) } else { None }
    }

    /// A campaign that has no file any more still has its history, so that its name is only warned about.
    fn parse(&self, field: &Field<'_>, text: &str) -> Option<Condition> {
        let complaint = |SegmentError { span, message, hint }| (span, Complaint { message, hint });
        let strict = match Condition::parse(text, &self.catalog) {
            Ok(condition) => return Some(condition),
            Err(error) => error,
        };
        let any_campaign = Catalog { campaigns: None, ..self.catalog.clone() };
        match Condition::parse(text, &any_campaign) {
            Ok(condition) => {
                let (span, complaint) = complaint(strict);
                field.warn_within(&span, complaint);
                Some(condition)
            }
            Err(error) => {
                let (span, complaint) = complaint(error);
                field.error_within(&span, complaint);
                None
            }
        }
    }
}

/// The name in a `segment("…")`, and where it stands in the condition.
type Reference = (String, Range<usize>);
/// A segment that is not read yet, and those that it uses.
type Waiting<'a> = (&'a Field<'a>, Vec<Reference>);

/// What is left over uses itself, or something that does, or something that was refused; only the first is complained
/// about.
fn report_cycles(waiting: &[Waiting<'_>]) {
    let uses: BTreeMap<&str, &[Reference]> = waiting.iter().map(|(field, uses)| (field.key, &uses[..])).collect();
    for (field, references) in waiting {
        for (name, span) in references {
            if let Some(path) = path(name, field.key, &uses, &mut Vec::new()) {
                let path: Vec<_> = [field.key].into_iter().chain(path).map(|name| format!("`{name}`")).collect();
                let complaint = Complaint::new(format!("segment `{}` uses itself: {}", field.key, path.join(" → ")));
                field.error_within(span, complaint.hint("write one of them without the other"));
            }
        }
    }
}

/// The names from `from` to `to` along what each uses, both included.
fn path<'t>(
    from: &'t str,
    to: &str,
    uses: &BTreeMap<&str, &'t [Reference]>,
    seen: &mut Vec<&'t str>,
) -> Option<Vec<&'t str>> {
    if from == to {
        return Some(vec![from]);
    }
    if seen.contains(&from) {
        return None;
    }
    seen.push(from);
    let next = uses.get(from)?.iter().find_map(|(name, _)| path(name, to, uses, seen))?;
    Some([from].into_iter().chain(next).collect())
}
