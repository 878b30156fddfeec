//! `colloquy export`: people as a CSV file that `import` reads.
//!
//! Cells are written as they are stored. A spreadsheet takes a cell that begins with `=`, `+`, `-` or
//! `@` for a formula; open exports there as text.

use std::io::Write;

use serde_json::Value;

use super::{Error, Result};
use crate::domain::id::RecipientId;
use crate::store::{Store, people};

const PAGE: i64 = 1_000;

/// Writes all people, or the subscribers of a topic, page by page; how many.
///
/// # Errors
/// When the output cannot be written or the database refuses.
pub async fn export(store: &Store, topic: Option<&str>, out: impl Write) -> Result<u64> {
    let mut session = store.read().await?;
    let names = people::attribute_names(&mut session).await?;
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(std::iter::once("address").chain(names.iter().map(String::as_str)))?;
    let (mut after, mut count) = (RecipientId(0), 0);
    loop {
        let page = people::page(&mut session, after, topic, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        count += page.len() as u64;
        for person in &page {
            writer.write_field(&person.address)?;
            for name in &names {
                writer.write_field(cell(person.attributes.get(name)))?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
    }
    writer.flush().map_err(Error::Output)?;
    Ok(count)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
