//! `[utm]`: where visits come from, told to the web sites that links lead to. A campaign's section goes before the
//! project's, key by key.

use super::check;
use super::problem::Complaint;
use super::reader::Section;
use super::value::Field;
use crate::domain::campaign::Utm;

/// The keys, each a parameter `utm_KEY`, in the order in which they are appended.
const KEYS: [&str; 5] = ["source", "medium", "campaign", "term", "content"];

/// What one section says.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    values: [Option<String>; KEYS.len()],
    only: Option<Vec<String>>,
}

/// Reads the section; none when the file has none.
pub(super) fn read(root: &Section<'_>) -> Option<Parameters> {
    root.field("utm")?.section(|section| {
        let values = KEYS.map(|key| section.parsed(key, value));
        let only = section.field("only").and_then(|field| hosts(&field));
        Some(Parameters { values, only })
    })
}

/// What counts for a campaign: none when neither file has the section.
pub(super) fn merged(project: Option<&Parameters>, campaign: Option<Parameters>, name: &str) -> Option<Utm> {
    if project.is_none() && campaign.is_none() {
        return None;
    }
    let (general, own) = (project.cloned().unwrap_or_default(), campaign.unwrap_or_default());
    let usual = [Some("newsletter"), Some("email"), Some(name), None, None];
    let values = own.values.into_iter().zip(general.values).zip(usual);
    let values = values.map(|((own, general), usual)| own.or(general).or(usual.map(str::to_owned)));
    let parameters = KEYS.iter().zip(values).filter_map(|(key, value)| Some((format!("utm_{key}"), value?)));
    Some(Utm { parameters: parameters.collect(), only: own.only.or(general.only) })
}

fn value(text: &str) -> Result<String, Complaint> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        return Err(Complaint::new("a parameter is one line with something on it"));
    }
    if text.contains("{{") {
        let complaint = Complaint::new("parameters are the same for everybody, so that they tell of nobody");
        return Err(complaint.hint("write a plain text"));
    }
    Ok(text.to_owned())
}

fn hosts(field: &Field<'_>) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    for text in field.texts()? {
        match check::domain(text.strip_prefix("*.").unwrap_or(text)) {
            Ok(host) if text.starts_with("*.") => hosts.push(format!("*.{host}")),
            Ok(host) => hosts.push(host),
            Err(complaint) => field.error(complaint.hint("as in shop.example.org, or *.example.org for all below it")),
        }
    }
    Some(hosts)
}
