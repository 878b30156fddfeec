//! Some rows in a row: what one transaction moves.

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres};

use super::Result;
use super::catalog::Table;
use super::cell::{Cell, Kind};

const ROWS: usize = 5_000;
const OCTETS: usize = 8 << 20;

/// Rows behind a key.
pub(super) struct Chunk {
    after: Option<Vec<Cell>>,
    rows: Vec<Vec<Cell>>,
    octets: usize,
}

impl Chunk {
    pub fn first() -> Self {
        Self { after: None, rows: Vec::new(), octets: 0 }
    }

    /// The one behind this.
    pub fn next(self, table: &Table) -> Self {
        let after = self.rows.last().map(|row| table.key_of(row)).or(self.after);
        Self { after, rows: Vec::new(), octets: 0 }
    }

    pub fn push(&mut self, row: Vec<Cell>) {
        self.octets += row.iter().map(Cell::size).sum::<usize>();
        self.rows.push(row);
    }

    pub fn is_full(&self) -> bool {
        self.rows.len() >= ROWS || self.octets >= OCTETS
    }

    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Sees to it that the target holds these rows, and nothing else between them, or behind the `last`. `false` when
    /// it holds something else, which cannot be if it is not `resumed`.
    pub async fn place(&self, target: &mut PgConnection, table: &Table, resumed: bool, last: bool) -> Result<bool> {
        if resumed {
            match self.compare(target, table, last).await? {
                Found::Nothing => {}
                Found::Same => return Ok(true),
                Found::Other => return Ok(false),
            }
        }
        if !self.rows.is_empty() {
            self.insert(target, table).await?;
        }
        Ok(true)
    }

    async fn compare(&self, target: &mut PgConnection, table: &Table, last: bool) -> Result<Found> {
        let until = self.rows.last().filter(|_| !last).map(|row| table.key_of(row));
        let sql = AssertSqlSafe(table.select_range(self.after.is_some(), until.is_some()));
        let bounds = self.after.iter().chain(&until).flatten();
        let query = bounds.fold(sqlx::query(sql), bind);
        let (mut found, mut place) = (query.fetch(target), 0);
        while let Some(row) = found.try_next().await? {
            if self.rows.get(place) != Some(&table.read_postgres(&row)?) {
                return Ok(Found::Other);
            }
            place += 1;
        }
        Ok(match place {
            0 => Found::Nothing,
            count if count == self.rows.len() => Found::Same,
            _ => Found::Other,
        })
    }

    async fn insert(&self, target: &mut PgConnection, table: &Table) -> Result<()> {
        let query = sqlx::query(AssertSqlSafe(table.insert()));
        let query = table.kinds().enumerate().fold(query, |query, (place, kind)| match kind {
            Kind::Integer => {
                query.bind(self.list(place, |cell| if let Cell::Integer(of) = cell { Some(of) } else { None }))
            }
            Kind::Real => query.bind(self.list(place, |cell| if let Cell::Real(of) = cell { Some(of) } else { None })),
            Kind::Text | Kind::Json => {
                query.bind(self.list(place, |cell| if let Cell::Text(of) = cell { Some(of) } else { None }))
            }
            Kind::Bytes => {
                query.bind(self.list(place, |cell| if let Cell::Bytes(of) = cell { Some(of) } else { None }))
            }
            Kind::Boolean => {
                query.bind(self.list(place, |cell| if let Cell::Boolean(of) = cell { Some(of) } else { None }))
            }
        });
        query.execute(target).await?;
        Ok(())
    }

    /// A column of the rows.
    fn list<T: Clone>(&self, place: usize, of: impl Fn(&Cell) -> Option<&T>) -> Vec<Option<T>> {
        self.rows.iter().map(|row| of(&row[place]).cloned()).collect()
    }
}

enum Found {
    Nothing,
    Same,
    Other,
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

fn bind<'q>(query: Bound<'q>, cell: &Cell) -> Bound<'q> {
    match cell {
        Cell::Integer(of) => query.bind(*of),
        Cell::Real(of) => query.bind(*of),
        Cell::Text(of) => query.bind(of.clone()),
        Cell::Bytes(of) => query.bind(of.clone()),
        Cell::Boolean(of) => query.bind(*of),
        // No key holds it.
        Cell::Null => query.bind(None::<i64>),
    }
}
