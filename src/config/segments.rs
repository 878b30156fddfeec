//! `[segments]` and `[audience]`: conditions, and named ones inside others.

use std::collections::BTreeMap;

use super::value::Field;
use crate::domain::project::Project;
use crate::domain::segment::Condition;

/// Reads one condition; a complaint points into its text. This is the only place that knows the grammar's entrance.
pub(super) fn condition(field: &Field<'_>, _project: &Project, _campaigns: &[&str]) -> Option<Condition> {
    Some(Condition { text: field.text()?.to_owned() })
}

pub(super) fn resolve(named: Vec<Field<'_>>, project: &Project, campaigns: &[&str]) -> BTreeMap<String, Condition> {
    named.iter().filter_map(|field| Some((field.key.to_owned(), condition(field, project, campaigns)?))).collect()
}
