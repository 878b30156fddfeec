//! Which tables there are, and how their statements read.

use std::collections::HashMap;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::cell::{Cell, Kind};
use super::{MOVED, MOVING, Result, Trouble};

const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
    AND name NOT LIKE '!_sqlx!_%' ESCAPE '!' ORDER BY name";
const COLUMNS: &str = "SELECT name, pk FROM pragma_table_info($1) ORDER BY cid";
const REFERENCES: &str = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)";
const TYPES: &str = "SELECT column_name::text, data_type::text FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = $1";
const SEQUENCES: &str = "SELECT name, seq FROM sqlite_sequence";
const SET_SEQUENCE: &str = "SELECT setval(pg_get_serial_sequence($1, 'id'), GREATEST($2, 1))";

/// A table that both sides have.
#[derive(Debug)]
pub(super) struct Table {
    pub name: String,
    columns: Vec<(String, Kind)>,
    /// The places of the columns of its primary key, in the key's order.
    key: Vec<usize>,
    references: Vec<String>,
}

/// All tables, each behind those to which it refers.
pub(super) async fn tables(source: &mut SqliteConnection, target: &mut PgConnection) -> Result<Vec<Table>> {
    let names: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *source).await?;
    let mut left = Vec::with_capacity(names.len());
    for name in names {
        left.push(table(source, target, name).await?);
    }
    let mut sorted: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_next = |table: &Table| {
            table.references.iter().all(|of| *of == table.name || sorted.iter().any(|done| done.name == *of))
        };
        let Some(next) = left.iter().position(is_next) else {
            return Err(Trouble::Refused("tables refer to each other in a circle".to_owned()));
        };
        sorted.push(left.remove(next));
    }
    Ok(sorted)
}

async fn table(source: &mut SqliteConnection, target: &mut PgConnection, name: String) -> Result<Table> {
    let columns: Vec<(String, i64)> = sqlx::query_as(COLUMNS).bind(&name).fetch_all(&mut *source).await?;
    let references = sqlx::query_scalar(REFERENCES).bind(&name).fetch_all(source).await?;
    let types: Vec<(String, String)> = sqlx::query_as(TYPES).bind(&name).fetch_all(target).await?;
    let types: HashMap<_, _> = types.into_iter().collect();
    let mut key: Vec<_> = columns.iter().enumerate().filter(|(_, (_, pk))| *pk > 0).collect();
    key.sort_unstable_by_key(|(_, (_, pk))| *pk);
    let key: Vec<_> = key.into_iter().map(|(place, _)| place).collect();
    let kind = |(column, _): (String, i64)| {
        let kind = types.get(&column).and_then(|of| Kind::of(of));
        let unknown = || Trouble::Refused(format!("PostgreSQL has no column {name}.{column} that could take it"));
        Ok((column.clone(), kind.ok_or_else(unknown)?))
    };
    let columns = columns.into_iter().map(kind).collect::<Result<_>>()?;
    if key.is_empty() {
        return Err(Trouble::Refused(format!("the table {name} has no primary key")));
    }
    Ok(Table { name, columns, key, references })
}

impl Table {
    /// Its name as statements have it.
    pub fn quoted(&self) -> String {
        quoted(&self.name)
    }

    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.columns.iter().map(|(_, kind)| *kind)
    }

    /// The key of a row.
    pub fn key_of(&self, row: &[Cell]) -> Vec<Cell> {
        self.key.iter().map(|place| row[*place].clone()).collect()
    }

    /// What a move notes for itself is no part of what is moved.
    fn filter(&self) -> String {
        if self.name == "facts" { format!("name NOT IN ('{MOVING}', '{MOVED}')") } else { "1 = 1".to_owned() }
    }

    fn names(&self, form: impl Fn(&str, Kind) -> String) -> String {
        self.columns.iter().map(|(name, kind)| form(&quoted(name), *kind)).collect::<Vec<_>>().join(", ")
    }

    fn key_names(&self) -> String {
        self.key.iter().map(|place| quoted(&self.columns[*place].0)).collect::<Vec<_>>().join(", ")
    }

    pub fn select_all(&self) -> String {
        let (columns, table) = (self.names(|name, _| name.to_owned()), self.quoted());
        format!("SELECT {columns} FROM {table} WHERE {} ORDER BY {}", self.filter(), self.key_names())
    }

    pub fn select_all_of_target(&self) -> String {
        self.select_of_target("")
    }

    /// The rows behind one key, up to another: those that are given.
    pub fn select_range(&self, after: bool, last: bool) -> String {
        let mut range = String::new();
        let mut first = 1;
        for sign in [after.then_some(">"), last.then_some("<=")].into_iter().flatten() {
            let places: Vec<_> = (first..first + self.key.len()).map(|place| format!("${place}")).collect();
            range += &format!(" AND ({}) {sign} ({})", self.key_names(), places.join(", "));
            first += self.key.len();
        }
        self.select_of_target(&range)
    }

    fn select_of_target(&self, range: &str) -> String {
        let columns =
            self.names(|name, kind| if kind == Kind::Json { format!("{name}::text") } else { name.to_owned() });
        let (table, filter, key) = (self.quoted(), self.filter(), self.key_names());
        format!("SELECT {columns} FROM {table} WHERE {filter}{range} ORDER BY {key}")
    }

    /// Takes a list for each column.
    pub fn insert(&self) -> String {
        let columns = self.names(|name, _| name.to_owned());
        let number = |place: usize| format!("${}::{}[]", place + 1, self.columns[place].1.list());
        let lists: Vec<_> = (0..self.columns.len()).map(number).collect();
        let names: Vec<_> = (0..self.columns.len()).map(|place| format!("c{place}")).collect();
        let cast = |place: usize| match self.columns[place].1 {
            Kind::Json => format!("c{place}::jsonb"),
            _ => format!("c{place}"),
        };
        let values: Vec<_> = (0..self.columns.len()).map(cast).collect();
        format!(
            "INSERT INTO {} ({columns}) SELECT {} FROM UNNEST({}) AS u ({})",
            self.quoted(),
            values.join(", "),
            lists.join(", "),
            names.join(", ")
        )
    }

    /// What lets nobody write to it.
    pub fn refusals(&self) -> impl Iterator<Item = String> {
        ["INSERT", "UPDATE", "DELETE"].into_iter().map(|what| {
            let trigger = quoted(&format!("moved_{}_{}", self.name, what.to_lowercase()));
            let words = "this database was moved: [database] in config/colloquy.toml must name the new one";
            format!(
                "CREATE TRIGGER {trigger} BEFORE {what} ON {} BEGIN SELECT RAISE(ABORT, '{words}'); END",
                self.quoted()
            )
        })
    }

    pub async fn rows(&self, source: &mut SqliteConnection) -> Result<u64> {
        let sql = format!("SELECT COUNT(*) FROM {} WHERE {}", self.quoted(), self.filter());
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(source).await?;
        Ok(rows.unsigned_abs())
    }

    /// Whether it holds more than what looking at a database leaves.
    pub async fn is_filled(&self, target: &mut PgConnection) -> Result<bool> {
        let key = if self.name == "facts" { " AND name <> 'suppression_key'" } else { "" };
        let sql = format!("SELECT 1 FROM {} WHERE {}{key} LIMIT 1", self.quoted(), self.filter());
        Ok(sqlx::query(AssertSqlSafe(sql)).fetch_optional(target).await?.is_some())
    }

    /// A row of the source; counts the texts in which something had to be replaced.
    pub fn read_sqlite(&self, row: &SqliteRow, replaced: &mut u64) -> Result<Vec<Cell>> {
        let cell = |(place, (name, kind)): (usize, &(String, Kind))| {
            let cell = Cell::from_sqlite(row, place, *kind, replaced);
            cell.map_err(|error| Trouble::Refused(format!("{}.{name} holds what it should not: {error}", self.name)))
        };
        self.columns.iter().enumerate().map(cell).collect()
    }

    pub fn read_postgres(&self, row: &PgRow) -> Result<Vec<Cell>> {
        let cell = |(place, kind)| Ok(Cell::from_postgres(row, place, kind)?);
        self.kinds().enumerate().map(cell).collect()
    }
}

/// Lets numbers go on where they are in the source: one that was given once is never given again.
pub(super) async fn set_sequences(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    tables: &[Table],
) -> Result<()> {
    for row in sqlx::query(SEQUENCES).fetch_all(source).await? {
        let (name, last): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if tables.iter().any(|table| table.name == name) {
            sqlx::query(SET_SEQUENCE).bind(quoted(&name)).bind(last).execute(&mut *target).await?;
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
