//! From a header to attributes: which column is the address, and what the others hold.

use serde_json::Value;

use super::records::Record;
use super::table::{Table, is_of_rejects};
use super::{Error, Result};
use crate::config::BUILT_IN;
use crate::domain::attribute;
use crate::domain::project::{AttributeType, Project};

/// Names that an address column may have, in any case.
const ADDRESS: [&str; 2] = ["address", "email"];
/// Longest name of an attribute, in octets.
const LONGEST_NAME: usize = 64;

/// What the columns of a file of people hold.
#[derive(Debug)]
pub struct Columns {
    address: usize,
    attributes: Vec<Attribute>,
}

/// A column that holds an attribute.
#[derive(Debug)]
struct Attribute {
    column: usize,
    name: String,
    kind: AttributeType,
    /// The name as a JSON object says it, colon included.
    key: String,
}

impl Columns {
    /// Reads a header. A column whose name differs from a declared attribute's in case only is meant
    /// to be that attribute.
    ///
    /// # Errors
    /// When there is not exactly one address column, or a name cannot be an attribute's.
    pub fn read(table: &Table, project: &Project) -> Result<Self> {
        let address = address_column(table.header().iter().map(String::as_str))
            .map_err(|(message, hint)| table.refuse(message, hint))?
            .ok_or_else(|| no_address(table))?;
        let mut attributes = Vec::new();
        for (n, name) in table.header().iter().enumerate() {
            if n == address || is_of_rejects(name) {
                continue;
            }
            if BUILT_IN.contains(&name.as_str()) {
                return Err(table.refuse(
                    format!("column {}: `{name}` is built in and cannot be an attribute", n + 1),
                    format!("rename the column, as in `own_{name}`, or take it out"),
                ));
            }
            if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
                return Err(table.refuse(
                    format!("the name of column {} cannot be an attribute's", n + 1),
                    format!("at most {LONGEST_NAME} octets, in one line"),
                ));
            }
            let declared = project.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let (name, kind) = declared.map_or((name, AttributeType::Text), |(known, a)| (known, a.kind));
            let key = format!("{}:", Value::from(name.as_str()));
            attributes.push(Attribute { column: n, name: name.clone(), kind, key });
        }
        Ok(Self { address, attributes })
    }

    /// The address as typed.
    #[must_use]
    pub fn address<'a>(&self, row: &'a Record) -> &'a str {
        row.field(self.address).trim()
    }

    /// Writes the cells that hold something, typed, as a JSON object.
    ///
    /// # Errors
    /// A sentence about the first cell that does not hold what its attribute should.
    pub fn attributes(&self, row: &Record, json: &mut Vec<u8>) -> std::result::Result<(), String> {
        json.clear();
        json.push(b'{');
        for Attribute { column, name, kind, key } in &self.attributes {
            let cell = row.field(*column).trim();
            if cell.is_empty() {
                continue;
            }
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(key.as_bytes());
            let written = match kind {
                AttributeType::Text => serde_json::to_writer(&mut *json, cell),
                _ => {
                    let refused = |expected| format!("{name}: '{}' is not {expected}", cut(cell));
                    serde_json::to_writer(
                        &mut *json,
                        &attribute::typed(cell, *kind).map_err(|fault| refused(fault.expected()))?,
                    )
                }
            };
            written.map_err(|error| format!("{name}: {error}"))?;
        }
        json.push(b'}');
        Ok(())
    }
}

/// Where a header has the address, if anywhere.
///
/// # Errors
/// What is wrong and what to do, when two columns are the address.
pub(super) fn address_column<'a>(
    header: impl Iterator<Item = &'a str>,
) -> std::result::Result<Option<usize>, (String, String)> {
    let is_address = |name: &str| ADDRESS.iter().any(|known| known.eq_ignore_ascii_case(name.trim()));
    let mut places = header.enumerate().filter(|(_, name)| is_address(name)).map(|(n, _)| n);
    match (places.next(), places.next()) {
        (Some(first), Some(second)) => Err((
            format!("columns {} and {} both are the address", first + 1, second + 1),
            "leave one of `address` and `email`".to_owned(),
        )),
        (first, _) => Ok(first),
    }
}

fn no_address(table: &Table) -> Error {
    let names = table.header().iter().map(String::as_str).collect::<Vec<_>>().join("`, `");
    table.refuse(
        "there is no address column".to_owned(),
        format!("name it `address` or `email`; the columns are `{names}`"),
    )
}

fn cut(cell: &str) -> String {
    const SHOWN: usize = 40;
    match cell.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &cell[..at]),
        None => cell.to_owned(),
    }
}
