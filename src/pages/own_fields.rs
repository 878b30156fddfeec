//! The attributes that people may change themselves, as fields of a form.

use serde_json::Value;

use super::Inner;
use super::form::Form;
use super::html::{OwnField, Pick};
use crate::config::Loaded;
use crate::domain::attribute::{Mistyped, typed};
use crate::domain::language::{self, own_name};
use crate::domain::project::{AttributeType, Project};
use crate::domain::wording::Wording;
use crate::store::recipients::{Attributes, Recipient};

/// Most characters of a value.
const MOST: usize = 200;

/// An attribute that the person may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editable {
    /// Its name.
    pub name: String,
    /// What the page calls it.
    pub title: String,
    /// What it holds.
    pub kind: AttributeType,
}

/// What was typed into a field.
pub(super) struct Typed {
    name: String,
    text: String,
    /// As it is stored; null where there is none any more.
    value: Value,
    /// What is wrong with it, in the reader's language.
    pub(super) fault: Option<String>,
}

/// Those of a project. The language has a field of its own.
pub(super) fn editable(project: &Project) -> Vec<Editable> {
    let attributes = project.attributes.iter().filter(|(name, it)| it.editable && *name != language::ATTRIBUTE);
    let editable = attributes.map(|(name, attribute)| Editable {
        name: name.clone(),
        title: attribute.title.clone().unwrap_or_else(|| name.clone()),
        kind: attribute.kind,
    });
    editable.collect()
}

/// In which languages a project's mails are: that of the sender, and those of campaigns.
pub(super) fn languages(loaded: &Loaded) -> Vec<String> {
    let mut tags = vec![loaded.project.sender.locale.clone()];
    for tag in loaded.campaigns.values().flat_map(|campaign| campaign.languages.keys()) {
        if !tags.iter().any(|known| known.eq_ignore_ascii_case(tag)) {
            tags.push(tag.clone());
        }
    }
    tags
}

impl Inner {
    /// The fields, with what is stored, or what was typed where that could not be stored.
    pub(super) fn own_fields(&self, person: &Recipient, typed: &[Typed]) -> Vec<OwnField> {
        let field = |(number, editable): (usize, &Editable)| {
            let typed = typed.iter().find(|typed| typed.name == editable.name);
            let stored = person.attributes.get(&editable.name);
            OwnField {
                id: format!("f{number}"),
                name: field_name(&editable.name),
                label: editable.title.clone(),
                ticked: typed.map_or(stored == Some(&Value::Bool(true)), |typed| typed.value == Value::Bool(true)),
                value: typed.map_or_else(|| shown(stored), |typed| typed.text.clone()),
                is_bool: editable.kind == AttributeType::Bool,
                is_date: editable.kind == AttributeType::Date,
                is_number: editable.kind == AttributeType::Number,
                fault: typed.and_then(|typed| typed.fault.clone()),
                most: MOST,
            }
        };
        self.options.editable.iter().enumerate().map(field).collect()
    }

    /// The languages of mails; none where there is but one.
    pub(super) fn languages(&self, person: &Recipient, t: &Wording, typed: &[Typed]) -> Vec<Pick> {
        if self.options.languages.len() < 2 {
            return Vec::new();
        }
        let stored = shown(person.attributes.get(language::ATTRIBUTE));
        let chosen = typed.iter().find(|typed| typed.name == language::ATTRIBUTE).map_or(&stored, |typed| &typed.text);
        let none = Pick::new("", t.say("language_any"), chosen.is_empty());
        let known = self.options.languages.iter().any(|tag| tag == chosen);
        let own = (!chosen.is_empty() && !known).then_some(chosen).into_iter();
        let tags = self.options.languages.iter().chain(own);
        let pick = |tag: &String| Pick::new(tag, &own_name(tag), tag == chosen);
        std::iter::once(none).chain(tags.map(pick)).collect()
    }

    /// What a form says; fields that it does not have stay as they are.
    pub(super) fn typed(&self, person: &Recipient, form: &Form, t: &Wording) -> Vec<Typed> {
        let mut all: Vec<Typed> = self.options.editable.iter().filter_map(|editable| read(editable, form, t)).collect();
        let wished = form.all(language::ATTRIBUTE).next().filter(|_| self.options.languages.len() > 1);
        all.extend(wished.map(|tag| {
            let kept = shown(person.attributes.get(language::ATTRIBUTE)) == tag;
            let known = tag.is_empty() || kept || self.options.languages.iter().any(|offered| offered == tag);
            Typed {
                name: language::ATTRIBUTE.to_owned(),
                text: if known { tag.to_owned() } else { String::new() },
                value: if tag.is_empty() { Value::Null } else { tag.into() },
                fault: (!known).then(|| t.say("unreadable").to_owned()),
            }
        }));
        all
    }
}

/// What is wrong with an attribute, if something is.
pub(super) fn fault_of(typed: &[Typed], name: &str) -> Option<String> {
    typed.iter().find(|typed| typed.name == name)?.fault.clone()
}

/// The attributes with what was typed. Nothing changes where nothing was there and nothing was typed.
pub(super) fn changed(known: &Attributes, typed: &[Typed]) -> Attributes {
    let mut attributes = known.clone();
    for Typed { name, value, .. } in typed {
        match value {
            Value::Null => drop(attributes.remove(name)),
            Value::Bool(false) if !known.contains_key(name) => {}
            value => drop(attributes.insert(name.clone(), value.clone())),
        }
    }
    attributes
}

fn field_name(attribute: &str) -> String {
    format!("attribute.{attribute}")
}

fn read(editable: &Editable, form: &Form, t: &Wording) -> Option<Typed> {
    let name = field_name(&editable.name);
    let mut sent = form.all(&name);
    if editable.kind == AttributeType::Bool {
        // A box that is not ticked is not sent.
        let value = Value::Bool(sent.next().is_some());
        return Some(Typed { name: editable.name.clone(), text: String::new(), value, fault: None });
    }
    let text: String = sent.next()?.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned();
    let (value, fault) = if text.is_empty() {
        (Value::Null, None)
    } else if text.chars().count() > MOST {
        (Value::Null, Some(t.fill("too_long", &[("count", &MOST.to_string())])))
    } else {
        match typed(&text, editable.kind) {
            Ok(value) => (value, None),
            Err(Mistyped::Number) => (Value::Null, Some(t.say("no_number").to_owned())),
            Err(Mistyped::Date) => (Value::Null, Some(t.say("no_date").to_owned())),
            Err(Mistyped::Bool) => (Value::Null, Some(t.say("unreadable").to_owned())),
        }
    };
    let text = text.chars().take(2 * MOST).collect();
    Some(Typed { name: editable.name.clone(), text, value, fault })
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn typed(name: &str, value: Value) -> Typed {
        Typed { name: name.to_owned(), text: String::new(), value, fault: None }
    }

    #[test]
    fn what_is_not_typed_stays_and_what_is_emptied_goes() {
        let Value::Object(known) = json!({"name": "Anna", "age": 3, "member": true, "kept": 1}) else { panic!() };
        let changes = [
            typed("name", "Ann".into()),
            typed("age", Value::Null),
            typed("member", false.into()),
            typed("absent", false.into()),
            typed("absent_too", Value::Null),
        ];
        let expected = json!({"name": "Ann", "member": false, "kept": 1});
        assert_eq!(Value::Object(changed(&known, &changes)), expected);
    }
}
