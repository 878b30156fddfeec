//! `[join]`: what strangers are asked, and in which words they agree.

use std::time::Duration;

use super::check;
use super::problem::{Complaint, name_hint};
use super::reader::Section;
use super::value::Field;
use crate::domain::join::{CHALLENGE_ABOVE, CONFIRM_WITHIN, Joining, PER_NETWORK, Words};
use crate::domain::project::{AttributeType, Project};
use crate::domain::rate::Rate;

/// The version of the built-in words.
const BUILT_IN: &str = "built-in 1";
/// Attributes that one form asks for at most.
const MOST_ATTRIBUTES: usize = 20;

/// Reads the section, if the file has it.
pub(super) fn read(root: &Section<'_>, project: &Project) -> Option<Joining> {
    root.field("join").map(|field| field.section(|section| joining(section, project)))
}

fn joining(section: &Section<'_>, project: &Project) -> Joining {
    let topics = section.required("topics", "topics = [\"news\"]").map(|field| topics(&field, project));
    let attributes = section.field("attributes").map(|field| attributes(&field, project)).unwrap_or_default();
    let wording = section.section("wording", words);
    let tracking = section.section("tracking_wording", words);
    let ask_tracking = section.field("ask_tracking").and_then(|field| field.boolean()).unwrap_or(false);
    if let Some(field) = section.field("tracking_wording").filter(|_| !ask_tracking) {
        field.key_error(Complaint::new("nobody reads these words").hint("set ask_tracking = true, or take them out"));
    }
    let version = section.field("wording_version");
    let own = !wording.is_empty() || !tracking.is_empty();
    match &version {
        None if own => {
            let example = "wording_version = \"2026-12\", and another one whenever you change a word";
            section.missing("wording_version", example);
        }
        Some(field) if !own => {
            let complaint = Complaint::new("there are no words of your own that this could name");
            field.key_error(complaint.hint("write them under [join.wording], by language"));
        }
        _ => {}
    }
    Joining {
        topics: topics.unwrap_or_default(),
        attributes,
        ask_tracking,
        wording,
        tracking,
        version: version.and_then(|field| field.parsed(line)).unwrap_or_else(|| BUILT_IN.to_owned()),
        confirm_within: section.parsed("confirm_within", within).unwrap_or(CONFIRM_WITHIN),
        per_network: section.parsed("per_network", Rate::parse).unwrap_or(PER_NETWORK),
        challenge_above: section.parsed("challenge_above", Rate::parse).unwrap_or(CHALLENGE_ABOVE),
    }
}

fn topics(field: &Field<'_>, project: &Project) -> Vec<String> {
    let topic = |text: &str| match project.topics.contains_key(text) {
        true => Ok(text.to_owned()),
        false => {
            let hint = name_hint(text, project.topics.keys().map(String::as_str));
            Err(Complaint { message: format!("there is no topic `{text}`"), hint })
        }
    };
    let mut topics = field.list(topic);
    if field.texts().is_some_and(|texts| texts.is_empty()) {
        field.error(Complaint::new("nothing can be joined").hint("name at least one topic"));
    }
    let mut seen = std::collections::BTreeSet::new();
    topics.retain(|topic| seen.insert(topic.clone()));
    topics
}

fn attributes(field: &Field<'_>, project: &Project) -> Vec<String> {
    let attribute = |text: &str| {
        super::project::attribute_name(text)?;
        match project.attributes.get(text).map(|attribute| attribute.kind) {
            None | Some(AttributeType::Text) => Ok(text.to_owned()),
            Some(_) => Err(Complaint::new(format!("`{text}` is no text")).hint("a form asks for texts alone")),
        }
    };
    let attributes = field.list(attribute);
    if attributes.len() > MOST_ATTRIBUTES {
        field.error(format!("a form asks for {MOST_ATTRIBUTES} attributes at most"));
    }
    attributes
}

fn words(section: &Section<'_>) -> Words {
    let read = |field: Field<'_>| {
        let tag = check::language(field.key).unwrap_or_else(|complaint| {
            field.key_error(complaint);
            String::new()
        });
        (tag, field.parsed(line).unwrap_or_default())
    };
    section.fields().into_iter().map(read).collect()
}

fn line(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("this is empty"),
        text if text.len() > 2_000 => Err("this is longer than 2000 octets"),
        text => Ok(text.to_owned()),
    }
}

fn within(text: &str) -> Result<Duration, Complaint> {
    let span = check::span(text)?;
    let hours = span.as_secs() / 3_600;
    let complaint =
        || Complaint::new("this is between 1h and 30d").hint("people look into their mail within a day or two");
    (1..=30 * 24).contains(&hours).then_some(span).ok_or_else(complaint)
}
