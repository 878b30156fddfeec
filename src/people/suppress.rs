//! `colloquy suppress`: addresses that are never mailed, whatever else says yes.

use std::fs::File;
use std::path::Path;

use aws_lc_rs::hmac;

use super::columns::address_column;
use super::records::{Fault, Record, Records};
use super::table::{delimiter, records};
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
/// `email`. Lines before the header and in a list that begin with `#` are comments. `rejected` gets the line
/// of each row that has not exactly one valid address, and why. How many were taken, and how many of these
/// were not suppressed before.
///
/// # Errors
/// When the file cannot be read, is UTF-16, or has not one address column, or the database refuses.
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
    /// How many columns its header has, if it has one.
    columns: Option<usize>,
    /// A first row that is no header.
    first: Option<std::result::Result<(), Fault>>,
}

type Row = (u64, std::result::Result<Address, String>);

impl<'a> List<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let mut records = records(path)?;
        let delimiter = delimiter(after_comments(records.head()));
        records.delimit(delimiter);
        let mut list = Self { path, records, record: Record::default(), column: 0, columns: None, first: None };
        list.first = list.read()?;
        if matches!(list.first, Some(Ok(()))) && !list.record.field(0).contains('@') {
            list.column = list.header().map_err(|(message, hint)| Error::Refused {
                file: path.to_owned(),
                line: list.record.line,
                message,
                hint,
            })?;
            list.columns = Some(list.record.len());
            list.first = None;
        }
        Ok(list)
    }

    /// Where the row in hand, as a header, has the address; else what is wrong, and a hint.
    fn header(&self) -> std::result::Result<usize, (String, String)> {
        address_column(self.record.fields())?.ok_or_else(|| {
            (
                "this is neither an address nor a header with an address column".to_owned(),
                "one address a line, or a CSV file with a column `address` or `email`; `#` begins a comment".to_owned(),
            )
        })
    }

    /// Reads the next row that is no comment.
    fn read(&mut self) -> Result<Option<std::result::Result<(), Fault>>> {
        loop {
            let read = self.records.read(&mut self.record).map_err(Error::file(self.path))?;
            if read.is_none() || self.columns.is_some() || !self.is_comment() {
                return Ok(read);
            }
            self.keep_first_line()?;
        }
    }

    /// Whether the row in hand is none of a list: `#` may begin an address, too.
    fn is_comment(&self) -> bool {
        self.record.raw.trim_ascii_start().starts_with(b"#") && Address::parse(self.record.field(0)).is_err()
    }

    fn next(&mut self) -> Result<Option<Row>> {
        let read = match self.first.take() {
            Some(read) => read,
            None => match self.read()? {
                Some(read) => read,
                None => return Ok(None),
            },
        };
        let address = read.map_err(|fault| fault.to_string()).and_then(|()| self.address());
        if address.is_err() && self.columns != Some(self.record.len()) {
            self.keep_first_line()?;
        }
        Ok(Some((self.record.line, address)))
    }

    /// The address of the row in hand.
    fn address(&self) -> std::result::Result<Address, String> {
        let (row, cells) = (&self.record, self.record.len());
        match self.columns {
            // Rather a stray quote than a field of several lines.
            Some(columns) if cells != columns && row.lines > 1 => {
                return Err(format!("the row has {cells} fields, the header has {columns}"));
            }
            None if row.fields().skip(1).any(|cell| cell.contains('@')) => {
                return Err("more than one cell has an @; put each address on a line of its own".to_owned());
            }
            _ => {}
        }
        Address::parse(row.field(self.column)).map_err(str::to_owned)
    }

    /// Has what follows the first line of the row in hand read on its own: it may be other rows, behind a
    /// stray quote.
    fn keep_first_line(&mut self) -> Result<()> {
        if self.record.lines == 1 {
            return Ok(());
        }
        self.records.keep_first_line(&mut self.record).map_err(Error::file(self.path))
    }
}

/// From the first line on that is no comment.
fn after_comments(head: &[u8]) -> &[u8] {
    let mut rest = head.trim_ascii_start();
    while rest.starts_with(b"#") {
        let end = rest.iter().position(|octet| b"\r\n".contains(octet)).unwrap_or(rest.len());
        rest = rest[end..].trim_ascii_start();
    }
    rest
}
