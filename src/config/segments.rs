//! `[segments]` and `[audience]`: conditions, and named ones inside others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::problem::{Complaint, name_hint};
use super::value::Field;
use crate::domain::project::Project;
use crate::domain::segment::Condition;

/// The names that a condition may speak of, beside those of the project.
pub(super) struct Names<'a> {
    /// All campaigns.
    pub campaigns: &'a [&'a str],
    /// All named segments, whether they were found right or not.
    pub segments: &'a [String],
}

/// A `segment("…")` within a condition's text.
struct Reference<'t> {
    name: &'t str,
    /// Its name with the quotes.
    span: Range<usize>,
}

fn references(text: &str) -> Vec<Reference<'_>> {
    static CALL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"\bsegment\s*\(\s*("([^"]*)")"#).expect("the pattern is constant"));
    let calls = CALL.captures_iter(text).filter_map(|call| Some((call.get(1)?, call.get(2)?)));
    calls.map(|(quoted, name)| Reference { name: name.as_str(), span: quoted.range() }).collect()
}

/// Reads one condition; a complaint points into its text.
pub(super) fn condition(field: &Field<'_>, _project: &Project, names: &Names<'_>) -> Option<Condition> {
    let text = field.text()?;
    let mut complete = true;
    for reference in references(text) {
        if !names.segments.iter().any(|name| name == reference.name) {
            complete = false;
            let message = format!("there is no segment `{}`", reference.name);
            let hint = name_hint(reference.name, names.segments.iter().map(String::as_str));
            field.error_within(&reference.span, Complaint { message, hint });
        }
    }
    complete.then(|| Condition { text: text.to_owned() })
}

/// Reads all named conditions into the project, each after those that it uses.
pub(super) fn resolve(named: &[Field<'_>], project: &mut Project, names: &Names<'_>) {
    let mut waiting: Vec<_> = named
        .iter()
        .filter_map(|field| {
            let declared = |reference: &Reference<'_>| names.segments.iter().any(|name| name == reference.name);
            Some((field, references(field.text()?).into_iter().filter(declared).collect::<Vec<_>>()))
        })
        .collect();
    loop {
        let resolved = |reference: &Reference<'_>| project.segments.contains_key(reference.name);
        let (ready, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, uses)| uses.iter().all(resolved));
        waiting = others;
        if ready.is_empty() {
            break;
        }
        for (field, _) in ready {
            if let Some(condition) = condition(field, project, names) {
                project.segments.insert(field.key.to_owned(), condition);
            }
        }
    }
    report_cycles(&waiting);
}

/// What is left over uses itself, or something that does, or something that was refused; only the first is complained
/// about.
fn report_cycles(waiting: &[(&Field<'_>, Vec<Reference<'_>>)]) {
    let uses: BTreeMap<&str, &[Reference<'_>]> = waiting.iter().map(|(field, uses)| (field.key, &uses[..])).collect();
    for (field, references) in waiting {
        for reference in references {
            if let Some(path) = path(reference.name, field.key, &uses, &mut Vec::new()) {
                let path: Vec<_> = [field.key].into_iter().chain(path).map(|name| format!("`{name}`")).collect();
                let complaint = Complaint::new(format!("segment `{}` uses itself: {}", field.key, path.join(" → ")));
                field.error_within(&reference.span, complaint.hint("write one of them without the other"));
            }
        }
    }
}

/// The names from `from` to `to` along what each uses, both included.
fn path<'t>(
    from: &'t str,
    to: &str,
    uses: &BTreeMap<&str, &[Reference<'t>]>,
    seen: &mut Vec<&'t str>,
) -> Option<Vec<&'t str>> {
    if from == to {
        return Some(vec![from]);
    }
    if seen.contains(&from) {
        return None;
    }
    seen.push(from);
    let next = uses.get(from)?.iter().find_map(|reference| path(reference.name, to, uses, seen))?;
    Some([from].into_iter().chain(next).collect())
}
