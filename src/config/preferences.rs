//! `[preferences]`: what recipients can choose on their pages.

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
    Choices { limits: limits.unwrap_or(usual.limits), pauses: pauses.unwrap_or(usual.pauses) }
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
