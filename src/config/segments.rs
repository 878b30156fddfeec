//! `[segments]` and `[audience]`: conditions, and named ones inside others.

use std::collections::BTreeMap;

use super::problem::Complaint;
use super::value::Field;
use crate::domain::project::Project;
use crate::domain::segment::{Catalog, Condition};

/// Reads one condition; a complaint points into its text.
pub(super) fn condition(field: &Field<'_>, project: &Project, campaigns: &[&str]) -> Option<Condition> {
    let catalog = Catalog {
        categories: Some(project.categories.keys().cloned().collect()),
        topics: Some(project.topics.keys().cloned().collect()),
        campaigns: Some(campaigns.iter().map(|name| (*name).to_owned()).collect()),
        attributes: project.attributes.clone(),
        segments: project.segments.clone(),
        warm: project.score.warm,
    };
    Condition::parse(field.text()?, &catalog)
        .map_err(|error| field.error_within(&error.span, Complaint { message: error.message, hint: error.hint }))
        .ok()
}

pub(super) fn resolve(named: Vec<Field<'_>>, project: &Project, campaigns: &[&str]) -> BTreeMap<String, Condition> {
    named.iter().filter_map(|field| Some((field.key.to_owned(), condition(field, project, campaigns)?))).collect()
}
