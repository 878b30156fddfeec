//! `colloquy suppress`: addresses that are never mailed, whatever else says yes.

use std::fs::File;
use std::path::Path;

use aws_lc_rs::hmac;

use super::records::{Fault, Record, Records};
use super::table::delimiter;
use super::{Error, Result};
use crate::domain::address::{Address, AddressHash};
use crate::domain::time::Micros;
use crate::store::{Store, suppressions};

/// Addresses of a batch, which is one transaction.
const BATCH: usize = 1_024;

/// Why addresses are suppressed, and when.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// Kept with the suppression.
    pub reason: &'a str,
    /// When it begins.
    pub at: Micros,
    /// The project's suppression key.
    pub key: &'a hmac::Key,
}

/// Suppresses addresses; how many were not suppressed before.
///
/// # Errors
/// When the database refuses.
pub async fn addresses(store: &Store, order: &Order<'_>, who: &[Address]) -> Result<u64> {
    let who: Vec<(Address, AddressHash)> = who.iter().map(|a| (a.clone(), a.hash(order.key))).collect();
    let mut session = store.write().await?;
    let added = suppressions::add(&mut session, &who, order.at, order.reason).await?;
    session.commit().await?;
    Ok(added)
}

/// Suppresses the addresses of a file: a list, one a line, or a CSV file with a column `address` or
/// `email`. `rejected` gets the line of each row that has no valid address, and why. How many were
/// taken, and how many of these were not suppressed before.
///
/// # Errors
/// When the file cannot be read or has no address column, or the database refuses.
pub async fn file(
    store: &Store,
    order: &Order<'_>,
    path: &Path,
    mut rejected: impl FnMut(u64, &str),
) -> Result<(u64, u64)> {
    let mut list = List::open(path)?;
    let (mut taken, mut added) = (0, 0);
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH {
            match list.next()? {
                None => break,
                Some((_, Ok(address))) => batch.push(address),
                Some((line, Err(reason))) => rejected(line, &reason),
            }
        }
        if batch.is_empty() {
            return Ok((taken, added));
        }
        taken += batch.len() as u64;
        added += addresses(store, order, &batch).await?;
    }
}

/// Takes a suppression back. `false` when there was none.
///
/// # Errors
/// When the database refuses.
pub async fn remove(store: &Store, key: &hmac::Key, address: &Address) -> Result<bool> {
    let mut session = store.write().await?;
    let removed = suppressions::remove(&mut session, &address.hash(key)).await?;
    session.commit().await?;
    Ok(removed)
}

struct List<'a> {
    path: &'a Path,
    records: Records<File>,
    record: Record,
    column: usize,
    /// A first row that is no header.
    first: Option<std::result::Result<(), Fault>>,
}

type Row = (u64, std::result::Result<Address, String>);

impl<'a> List<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let mut records = File::open(path).and_then(Records::new).map_err(Error::file(path))?;
        let delimiter = delimiter(records.head());
        records.delimit(delimiter);
        let mut list = Self { path, records, record: Record::default(), column: 0, first: None };
        list.first = list.read()?;
        if matches!(list.first, Some(Ok(()))) && !list.record.field(0).contains('@') {
            let names = ["address", "email"];
            let found = list.record.fields().position(|f| names.iter().any(|n| n.eq_ignore_ascii_case(f.trim())));
            list.column = found.ok_or_else(|| Error::Refused {
                file: path.to_owned(),
                line: list.record.line,
                message: "this is neither an address nor a header with an address column".to_owned(),
                hint: "one address a line, or a CSV file with a column `address` or `email`".to_owned(),
            })?;
            list.first = None;
        }
        Ok(list)
    }

    fn read(&mut self) -> Result<Option<std::result::Result<(), Fault>>> {
        self.records.read(&mut self.record).map_err(Error::file(self.path))
    }

    fn next(&mut self) -> Result<Option<Row>> {
        let read = match self.first.take() {
            Some(read) => read,
            None => match self.read()? {
                Some(read) => read,
                None => return Ok(None),
            },
        };
        let address = read
            .map_err(|fault| fault.to_string())
            .and_then(|()| Address::parse(self.record.field(self.column)).map_err(str::to_owned));
        Ok(Some((self.record.line, address)))
    }
}
