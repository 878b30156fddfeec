//! `colloquy actions import`: what happened elsewhere, in a shop or a call centre, for the same ledger.
//!
//! An action is known by its `id`: a second row with the same one is passed over, so that a file can
//! be imported again. Times are the file's own; late and out of order are fine.

use std::path::Path;
use std::time::Duration;

use super::columns::address_column;
use super::table::{Rejects, Table};
use super::{Error, Result};
use crate::clock::Clock;
use crate::domain::action::kind;
use crate::domain::address::Address;
use crate::domain::project::Project;
use crate::domain::time::Micros;
use crate::store::actions::{self, NewAction};
use crate::store::{Store, recipients};

/// Rows of a batch, which is one transaction.
const BATCH: usize = 1_000;
/// A clock elsewhere may be this much ahead.
const AHEAD: Duration = Duration::from_secs(86_400);
/// Longest id, in octets.
const LONGEST_ID: usize = 200;
/// Longest kind, in octets.
const LONGEST_KIND: usize = 64;

/// What became of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Actions that are in the ledger now.
    pub new: u64,
    /// Rows whose id was known.
    pub known: u64,
    /// Rows that were not taken.
    pub rejects: Rejects,
}

/// Imports a file. `progress` gets the octets that are dealt with.
///
/// # Errors
/// When the file is refused or cannot be read, or the database refuses. Batches that were written
/// before stay.
pub async fn import(
    store: &Store,
    project: &Project,
    clock: &Clock,
    file: &Path,
    mut progress: impl FnMut(u64),
) -> Result<Summary> {
    let table = Table::open(file)?;
    let columns = Columns::find(&table)?;
    let rules = Rules { categories: project.categories.keys().cloned().collect(), latest: clock.now().plus(AHEAD) };
    let mut reader = Reader { table, columns, rules };
    let mut summary = Summary::default();
    loop {
        let (returned, rows) = tokio::task::spawn_blocking(|| reader.batch()).await.map_err(|_| Error::Reader)??;
        reader = returned;
        if rows.is_empty() {
            summary.rejects = reader.table.finish()?;
            return Ok(summary);
        }
        let (taken, new) = reader.write(store, rows).await?;
        summary.new += new;
        summary.known += taken - new;
        progress(reader.table.position());
    }
}

/// Which columns hold what; others are passed over.
struct Columns {
    id: usize,
    address: usize,
    kind: usize,
    category: Option<usize>,
    at: usize,
}

impl Columns {
    fn find(table: &Table) -> Result<Self> {
        let place = |name: &str| table.header().iter().position(|column| name.eq_ignore_ascii_case(column));
        let address = address_column(table.header().iter().map(String::as_str))
            .map_err(|(message, hint)| table.refuse(message, hint))?;
        let needed = |name: &str, place: Option<usize>| {
            place.ok_or_else(|| {
                table.refuse(
                    format!("there is no column `{name}`"),
                    "the columns are id, address, kind, category, at".to_owned(),
                )
            })
        };
        Ok(Self {
            id: needed("id", place("id"))?,
            address: needed("address", address)?,
            kind: needed("kind", place("kind"))?,
            category: place("category"),
            at: needed("at", place("at"))?,
        })
    }
}

/// What a row must obey.
struct Rules {
    categories: Vec<String>,
    latest: Micros,
}

/// A row that may become an action once its recipient is found.
struct Row {
    line: u64,
    raw: Vec<u8>,
    address: Address,
    id: String,
    kind: String,
    category: Option<String>,
    at: Micros,
}

struct Reader {
    table: Table,
    columns: Columns,
    rules: Rules,
}

impl Reader {
    /// Reads until a batch is full. An empty one is the end.
    fn batch(mut self) -> Result<(Self, Vec<Row>)> {
        let mut rows = Vec::with_capacity(BATCH);
        while rows.len() < BATCH {
            match self.row()? {
                None => break,
                Some(Ok(row)) => rows.push(row),
                Some(Err(reason)) => self.table.reject(&reason)?,
            }
        }
        Ok((self, rows))
    }

    fn row(&mut self) -> Result<Option<std::result::Result<Row, String>>> {
        let Some(record) = self.table.read()? else { return Ok(None) };
        let cell = |column: usize| record.field(column).trim();
        let (columns, rules) = (&self.columns, &self.rules);
        let read = || {
            let named = |name: &str, text: &str, longest: usize| match text.len() {
                0 => Err(format!("the {name} is empty")),
                n if n > longest => Err(format!("the {name} is longer than {longest} octets")),
                _ => Ok(text.to_owned()),
            };
            let at = Micros::parse_rfc3339(cell(columns.at))?;
            if at > rules.latest {
                return Err(format!("{at} lies in the future"));
            }
            Ok(Row {
                line: record.line,
                raw: record.raw.clone(),
                address: Address::parse(cell(columns.address))?,
                id: named("id", cell(columns.id), LONGEST_ID)?,
                kind: own_kind(named("kind", cell(columns.kind), LONGEST_KIND)?)?,
                category: rules.category(columns.category.map_or("", cell))?,
                at,
            })
        };
        Ok(Some(read()))
    }

    /// Writes a batch: how many rows have a recipient, and how many of these were new.
    async fn write(&mut self, store: &Store, rows: Vec<Row>) -> Result<(u64, u64)> {
        let mut session = store.write().await?;
        let addresses: Vec<&Address> = rows.iter().map(|row| &row.address).collect();
        let found = recipients::resolve(&mut session, &addresses).await?;
        let mut new = Vec::with_capacity(rows.len());
        for row in rows {
            let reason = match found.get(&row.address.folded()) {
                Some(&(recipient, true)) => {
                    new.push(NewAction {
                        key: format!("i:{}", row.id),
                        recipient,
                        kind: row.kind,
                        category: row.category,
                        at: row.at,
                        run: None,
                        url: None,
                        words: None,
                    });
                    continue;
                }
                Some((_, false)) => "the recipient has not agreed to tracking",
                None => "no recipient has this address; import people first",
            };
            self.table.reject_row(row.line, &row.raw, reason)?;
        }
        let inserted = actions::insert(&mut session, &new).await?;
        session.commit().await?;
        Ok((new.len() as u64, inserted))
    }
}

/// A kind that actions from elsewhere may have.
fn own_kind(kind: String) -> std::result::Result<String, String> {
    match kind.as_str() {
        kind::VOID => {
            Err("the kind `void` is ours and marks what turned out to be no action; give it another".to_owned())
        }
        _ => Ok(kind),
    }
}

impl Rules {
    fn category(&self, name: &str) -> std::result::Result<Option<String>, String> {
        if name.is_empty() {
            return Ok(None);
        }
        if self.categories.iter().any(|known| known == name) {
            return Ok(Some(name.to_owned()));
        }
        Err(format!("there is no category '{name}'; colloquy.toml has {}", self.categories.join(", ")))
    }
}
