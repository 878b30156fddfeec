//! Statement texts: fixed ones, and the few pieces that are put together.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

use super::{EngineKind, Error, Result, Value};

/// A statement's text. What is put together at run time holds placeholders, never data.
#[derive(Clone, Debug)]
pub struct Sql(pub(super) Cow<'static, str>);

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// A statement's texts for up to `MOST` rows, each put together once.
pub(super) struct Texts<const MOST: usize>([[OnceLock<String>; MOST]; 2]);

impl<const MOST: usize> Texts<MOST> {
    pub(super) const fn new() -> Self {
        Self([const { [const { OnceLock::new() }; MOST] }; 2])
    }

    /// The text for `rows` rows with so many placeholders in all, in order and once each.
    pub(super) fn text(
        &'static self,
        kind: EngineKind,
        rows: usize,
        arguments: usize,
        make: impl Fn(usize) -> String,
    ) -> Sql {
        let text = self.0[usize::from(kind == EngineKind::Sqlite)][rows - 1].get_or_init(|| {
            let numbered = Sql::from(make(rows));
            match kind {
                EngineKind::Sqlite => numbered.unnumbered(arguments).unwrap_or_else(|numbered| numbered).0.into_owned(),
                EngineKind::Postgres => numbered.0.into_owned(),
            }
        });
        text.as_str().into()
    }
}

/// From so many arguments on it matters how SQLite finds a placeholder's number.
const MANY: usize = 32;

impl Sql {
    /// The text for SQLite. It finds the name of a placeholder by walking over all names, so that binding n numbered ones
    /// takes n² steps: of many, the first that come once each and in order become `?`. These are given the first
    /// arguments, wherever others stand between them.
    pub(super) fn for_sqlite(self, arguments: usize) -> Self {
        if arguments < MANY || !self.0.contains('$') {
            return self;
        }
        unnumbered(&self.0, arguments).map_or(self, |(text, _)| text.into())
    }

    /// The text with `?` for its placeholders; as it was unless there are so many, in order and once each.
    pub(super) fn unnumbered(self, arguments: usize) -> std::result::Result<Self, Self> {
        if self.0.contains('$') {
            let all = unnumbered(&self.0, arguments).filter(|(_, plain)| *plain == arguments);
            return all.map(|(text, _)| text.into()).ok_or(self);
        }
        let places = self.0.bytes().filter(|byte| *byte == b'?').count();
        if places == arguments { Ok(self) } else { Err(self) }
    }
}

/// The text with `?` for the first placeholders, as long as they come once each and in order, and how many these are;
/// `None` where there are not so many arguments.
fn unnumbered(text: &str, arguments: usize) -> Option<(String, usize)> {
    let mut pieces = text.split('$');
    let first = pieces.next()?;
    let pieces: Vec<(usize, &str)> = pieces.map(numbered).collect::<Option<_>>()?;
    let mut times = vec![0; arguments + 1];
    for (number, _) in &pieces {
        *times.get_mut(*number)? += 1;
    }
    let in_order =
        |plain, (number, _): &(usize, &str)| plain + usize::from(*number == plain + 1 && times[*number] == 1);
    let plain = pieces.iter().fold(0, in_order);
    let mut result = String::with_capacity(text.len());
    result.push_str(first);
    for (number, rest) in pieces {
        if number > plain {
            let _ = write!(result, "${number}{rest}");
        } else {
            result.push('?');
            result.push_str(rest);
        }
    }
    Some((result, plain))
}

/// A placeholder's number and what follows it.
fn numbered(piece: &str) -> Option<(usize, &str)> {
    let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = piece.split_at(digits);
    Some((number.parse().ok()?, rest))
}

/// A statement that finds messages by who holds them. On SQLite the plus of `+run_id` keeps it from walking the run;
/// PostgreSQL would look into every partition for it.
pub(super) fn by_holder(kind: EngineKind, sql: &'static str) -> Sql {
    match kind {
        EngineKind::Sqlite => sql.into(),
        EngineKind::Postgres => sql.replace("+run_id", "run_id").into(),
    }
}

/// Placeholders `$first, $first+1, …` for a list of `len` values, and how many there are: the next
/// power of two, so that few different texts arise. Fill the rest with the last value again.
#[must_use]
pub fn list(first: usize, len: usize) -> (String, usize) {
    let padded = len.next_power_of_two();
    let mut text = String::with_capacity(padded * 6);
    for n in first..first + padded {
        let _ = write!(text, "{}${n}", if n == first { "" } else { ", " });
    }
    (text, padded)
}

/// The items, the last one repeated up to `len`: few different texts arise.
pub(super) fn padded<T>(items: &[T], len: usize) -> impl Iterator<Item = &T> {
    items.iter().chain(items.last().into_iter().cycle()).take(len)
}

/// Placeholders from `$first` on for a list of keys, which must not be empty, and what to bind to them.
pub(super) fn keys<T: Clone + Into<Value>>(first: usize, keys: &[T]) -> (String, Vec<Value>) {
    let (text, len) = list(first, keys.len());
    (text, padded(keys, len).map(|key| key.clone().into()).collect())
}

/// Fills a statement's arguments up to so many rows with rows of nothing.
pub(super) fn fill(args: &mut Vec<Value>, columns: usize, rows: usize) {
    for n in args.len()..rows * columns {
        args.push(args[n % columns].nothing());
    }
}

/// A number out of a list that the database wrote as text.
pub(super) fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| Error::Corrupt(format!("'{text}' is no number")))
}

/// Whether a SELECT of ones finds a row. PostgreSQL turns EXISTS into a join with everything that there is, or looks all of
/// it up beforehand, when it takes it for little: what came since its statistics it takes for one row. A value is looked up
/// for each row that asks.
pub(super) fn any(select: &str) -> String {
    format!("({select} LIMIT 1) IS NOT NULL")
}

/// `rows` parenthesised rows of `columns` placeholders each, from `$first` on.
#[must_use]
pub fn values(first: usize, rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let _ = write!(text, "{}${}", if column == 0 { "" } else { ", " }, first + row * columns + column);
        }
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_placeholders_that_come_once_and_in_order_lose_their_numbers() {
        let bulk = format!("INSERT INTO t VALUES {} ON CONFLICT DO NOTHING", values(1, 12, 3));
        let plain = Sql::from(bulk.clone()).for_sqlite(36).0;
        assert_eq!(plain.matches('?').count(), 36);
        assert!(plain.ends_with("(?, ?, ?) ON CONFLICT DO NOTHING") && !plain.contains('$'));
        assert_eq!(Sql::from(bulk.clone()).for_sqlite(35).0, bulk, "an argument too few");
        let (places, _) = list(2, 64);
        let twice = format!("UPDATE t SET a = $1 WHERE a <> $1 AND b IN ({places})");
        assert_eq!(Sql::from(twice.clone()).for_sqlite(65).0, twice);
        let between = format!("SELECT $65 FROM t WHERE b IN ({}) AND a = $66 AND c < $65", list(1, 64).0);
        let plain = Sql::from(between.clone()).for_sqlite(66).0;
        assert_eq!(plain, format!("SELECT $65 FROM t WHERE b IN ({}?) AND a = $66 AND c < $65", "?, ".repeat(63)));
        assert_eq!(Sql::from(between.clone()).unnumbered(66).unwrap_err().0, between, "all or none");
        assert_eq!(Sql::from("SELECT $1").for_sqlite(1).0, "SELECT $1");
        let unnumbered = |text: &'static str, arguments| Sql::from(text).unnumbered(arguments).ok().map(|sql| sql.0);
        assert_eq!(unnumbered("SELECT ?, ?", 2).unwrap(), "SELECT ?, ?");
        assert_eq!(unnumbered("SELECT $1, $2", 2).unwrap(), "SELECT ?, ?");
        assert_eq!(
            [unnumbered("SELECT ?", 2), unnumbered("SELECT $2, $1", 2), unnumbered("SELECT 1", 1)],
            [None, None, None]
        );
    }

    #[tokio::test]
    async fn what_lost_its_number_gets_its_own_argument() {
        let dir = tempfile::tempdir().unwrap();
        let store = crate::store::Store::open("sqlite:t.db", dir.path()).await.unwrap();
        let sql = format!(
            "SELECT $65 + $66 + SUM(n) + $65 FROM (SELECT 3 AS n UNION ALL SELECT 64 UNION ALL SELECT 65) v WHERE n IN ({})",
            list(1, 64).0
        );
        let args = (1..=64).chain([1_000, 10_000]).map(|n: i64| n.into()).collect();
        let (sum,): (i64,) = store.read().await.unwrap().one(sql, args).await.unwrap();
        assert_eq!(sum, 12_067);
    }
}
