//! `[preferences]`: what recipients can choose on their pages.

use super::check;
use super::problem::Complaint;
use super::reader::Section;
use super::value::Field;
use crate::domain::pace::{self, OwnLimit};
use crate::domain::project::Choices;

/// Most choices of one kind.
const MOST: usize = 8;

pub(super) fn read(section: &Section<'_>) -> Choices {
    let usual = Choices::default();
    let limits = section.field("frequency").map(|field| {
        choices(&field, |text| OwnLimit::parse(text).map_err(|fault| hinted(fault, "whole days, up to a year")))
    });
    let pauses = section.field("pause").map(|field| {
        choices(&field, |text| pace::parse_pause(text).map_err(|fault| hinted(fault, "up to a year, as in 30d or 4w")))
    });
    let reasons = section.field("reasons").map(|field| reasons(&field));
    Choices { limits: limits.unwrap_or(usual.limits), pauses: pauses.unwrap_or(usual.pauses), reasons }
}

/// Names and titles.
fn reasons(field: &Field<'_>) -> Vec<(String, String)> {
    let reason = |reason: Field<'_>| {
        check::name(reason.key).unwrap_or_else(|complaint| reason.key_error(complaint));
        let title =
            reason.parsed(|text| if text.trim().is_empty() { Err("this is empty") } else { Ok(text.to_owned()) });
        (reason.key.to_owned(), title.unwrap_or_default())
    };
    let reasons: Vec<_> = field.section(|section| section.fields().into_iter().map(reason).collect());
    if reasons.len() > MOST {
        field.key_error(Complaint::new(format!("there are more than {MOST} reasons")));
    }
    reasons
}

fn hinted(fault: String, hint: &str) -> Complaint {
    Complaint::new(fault).hint(hint)
}

/// The choices of a list, each once.
fn choices<T: PartialEq>(field: &Field<'_>, read: impl Fn(&str) -> Result<T, Complaint>) -> Vec<T> {
    let choices = field.list(read);
    if choices.len() > MOST {
        field.error(Complaint::new(format!("`{}` has more than {MOST} choices", field.key)));
    }
    if choices.iter().enumerate().any(|(n, choice)| choices[..n].contains(choice)) {
        field.error(Complaint::new(format!("`{}` has the same choice twice", field.key)));
    }
    choices
}
