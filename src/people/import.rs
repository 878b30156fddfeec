//! `colloquy import`: people from a file, with the consent that they gave.
//!
//! One thread reads, checks and hashes; another writes. Between them are a few batches, so that
//! memory does not grow with the file. A batch is a transaction: a killed import leaves whole batches
//! behind, and running it again finds them unchanged.
//!
//! A row speaks for one address in its normal form. The later of two rows wins, cell by cell; an empty
//! cell says nothing, and leaves what is stored.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::hmac;
use serde::Serialize;
use tokio::sync::mpsc;

use super::columns::Columns;
use super::table::{Rejects, Table};
use super::{Error, Result};
use crate::clock::{self, Clock};
use crate::domain::address::Address;
use crate::domain::consent::{self, Digest, Salts};
use crate::domain::id::RecipientId;
use crate::domain::project::Project;
use crate::store::Store;
use crate::store::imports::{self, GRANTS, ImportRow, Proof, Tally, Terms};
use crate::store::recipients::Attributes;

/// Rows of a batch, which is one transaction.
const BATCH_ROWS: usize = 4_096;
/// Octets after which a batch is full, however few its rows.
const BATCH_OCTETS: u64 = 2 * 1_024 * 1_024;
/// Batches that wait for the writer.
const AHEAD: usize = 2;

/// What to import.
#[derive(Clone, Debug)]
pub struct Options {
    /// A CSV file.
    pub file: PathBuf,
    /// What is subscribed to; one of the project's topics.
    pub topic: String,
    /// Where the consent comes from, in the marketer's words.
    pub source: String,
    /// Whether the consent covers keeping hits with the person.
    pub tracking: bool,
    /// Whether to leave the database as it is.
    pub dry_run: bool,
}

/// What became of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows that were taken, by what they changed.
    pub tally: Tally,
    /// Rows that were not.
    pub rejects: Rejects,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Octets of the file that are dealt with.
    pub octets: u64,
    /// Rows that are dealt with.
    pub rows: u64,
}

/// A batch on its way from the reader to the writer.
#[derive(Default)]
struct Batch {
    rows: Vec<ImportRow>,
    duplicates: u64,
    octets: u64,
}

/// Imports a file.
///
/// # Errors
/// When the topic is not known, the file is refused or cannot be read, or the database refuses. Batches
/// that were written before stay.
pub async fn run(
    store: &Store,
    project: &Project,
    suppression_key: &hmac::Key,
    clock: &Clock,
    options: &Options,
    mut progress: impl FnMut(Progress),
) -> Result<Summary> {
    let table = Table::open(&options.file)?;
    let columns = Columns::read(&table, project)?;
    let after = imports::last_recipient(&mut store.read().await?).await?;
    let (topic, tracking) = (options.topic.as_str().into(), options.tracking);
    let terms = Terms { topic, tracking, at: clock.now(), after, dry_run: options.dry_run };
    let reader = Reader {
        columns,
        key: suppression_key.clone(),
        evidence: Evidence::new(options, &table, terms.clone()),
        salts: Salts::new(&clock::secret()),
        json: Vec::new(),
        table,
    };
    let (sender, mut batches) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || reader.read(&sender));
    store.expect_bulk().await?;
    let (mut tally, mut done) = (Tally::default(), Progress { octets: 0, rows: 0 });
    let mut strangers = after == RecipientId(0);
    while let Some(batch) = batches.recv().await {
        let Batch { rows, duplicates, octets } = batch;
        let written = imports::apply(store, &terms, || clock.now(), &rows, strangers).await?;
        strangers = written.all_new();
        tally += written;
        tally.duplicates += duplicates;
        done.octets = octets;
        done.rows += rows.len() as u64 + duplicates;
        progress(done);
        // Thousands of small pieces; the next batch need not wait for them to go.
        tokio::task::spawn_blocking(|| drop(rows));
    }
    let rejects = reading.await.map_err(|_| Error::Reader)??;
    Ok(Summary { tally, rejects })
}

/// The reading side.
struct Reader {
    table: Table,
    columns: Columns,
    key: hmac::Key,
    evidence: Evidence,
    salts: Salts,
    /// The attributes of the row in hand.
    json: Vec<u8>,
}

impl Reader {
    /// Sends batches until the file ends or the writer has gone.
    fn read(mut self, sender: &mpsc::Sender<Batch>) -> Result<Rejects> {
        loop {
            let (mut batch, more) = self.batch()?;
            // In the index's order: fewer pages to touch, and two imports cannot lock each other out.
            batch.rows.sort_unstable_by(|a, b| a.person.cmp(&b.person));
            if (!batch.rows.is_empty() && sender.blocking_send(batch).is_err()) || !more {
                return self.table.finish();
            }
        }
    }

    fn batch(&mut self) -> Result<(Batch, bool)> {
        let from = self.table.position();
        let mut batch = Batch { rows: Vec::with_capacity(BATCH_ROWS), ..Batch::default() };
        let mut places: HashMap<Arc<str>, usize> = HashMap::with_capacity(BATCH_ROWS);
        while batch.rows.len() < BATCH_ROWS && self.table.position() - from < BATCH_OCTETS {
            let Some(record) = self.table.read()? else { return Ok((batch, false)) };
            let checked = Address::parse(self.columns.address(record))
                .map_err(str::to_owned)
                .and_then(|address| self.columns.attributes(record, &mut self.json).map(|()| address));
            let address = match checked {
                Ok(address) => address,
                Err(reason) => {
                    self.table.reject(&reason)?;
                    continue;
                }
            };
            let person: Arc<str> = address.folded().into();
            if let Some(&place) = places.get(&person) {
                let earlier: &mut ImportRow = &mut batch.rows[place];
                earlier.attributes = over(&earlier.attributes, &self.json);
                batch.duplicates += 1;
            } else {
                places.insert(person.clone(), batch.rows.len());
                let (proof, links) = self.evidence.proof(&self.salts, self.columns.address(record), record.line);
                let hash = address.hash(&self.key);
                let attributes = String::from_utf8_lossy(&self.json).into();
                batch.rows.push(ImportRow { person, address, hash, attributes, proof, links });
            }
            batch.octets = self.table.position();
        }
        Ok((batch, true))
    }
}

/// The attributes of two rows for one person: the later ones on top.
fn over(earlier: &str, later: &[u8]) -> Arc<str> {
    // Both were written as JSON objects.
    let mut all: Attributes = serde_json::from_str(earlier).unwrap_or_default();
    all.extend(serde_json::from_slice::<Attributes>(later).unwrap_or_default());
    serde_json::to_string(&all).unwrap_or_default().into()
}

/// What proves a row's consent, as far as all rows share it.
struct Evidence {
    terms: Terms,
    source: String,
    file: String,
    at: String,
}

#[derive(Serialize)]
struct Payload<'a> {
    /// As typed.
    address: &'a str,
    topic: &'a str,
    /// Whether the consent covers keeping hits, too.
    tracking: bool,
    source: &'a str,
    channel: &'a str,
    file: &'a str,
    line: u64,
    at: &'a str,
}

impl Evidence {
    fn new(options: &Options, table: &Table, terms: Terms) -> Self {
        Self { source: options.source.clone(), file: table.name(), at: terms.at.to_string(), terms }
    }

    /// The proof of a row, and the links that it makes in the chain of somebody new. It covers all
    /// permissions of the row; which of them an entry is for stands in its link.
    fn proof(&self, salts: &Salts, typed: &str, line: u64) -> (Proof, [Digest; GRANTS]) {
        let payload = Payload {
            address: typed,
            topic: &self.terms.topic,
            tracking: self.terms.tracking,
            source: &self.source,
            channel: "import",
            file: &self.file,
            line,
            at: &self.at,
        };
        // A struct of texts and numbers always has a JSON form.
        let payload = serde_json::to_string(&payload).unwrap_or_default();
        let salt = salts.salt(line.cast_signed(), 0);
        let commitment = consent::commitment(&salt, &payload);
        let mut links = [Digest::default(); GRANTS];
        let mut previous = Digest::default();
        for (terms, link) in self.terms.grants().zip(&mut links) {
            *link = consent::link(&previous, &commitment, &terms);
            previous = *link;
        }
        (Proof { payload: payload.into(), salt, commitment }, links)
    }
}
