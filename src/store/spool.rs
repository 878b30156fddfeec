//! The tracker's spool: a SQLite file of its own, so that answering a hit needs neither the main
//! database nor the network. What [`Spool::add`] returned from is on disk.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

use super::pool::Pool;
use super::sql::{Texts, fill};
use super::{EngineKind, Error, Result, Session, Value, embedded, keys, padded, values};
use crate::args;
use crate::domain::hit::Hit;
use crate::domain::id::RecipientId;

/// Most hits that one [`Spool::add`] takes; a power of two.
pub const MAX_GROUP: usize = 512;

const PATIENCE: Duration = Duration::from_secs(30);

/// How hits are packed: a program may find what an older one left behind.
const FORMAT: u8 = 1;
/// Octets that most hits fit in.
const ROOM: usize = 256;

// AUTOINCREMENT: numbers never come back, so that forgetting "up to N" cannot reach a later hit. A hit is one value: each
// value of a row costs its way through the threads.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS hits (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        hit BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS silenced (recipient_id INTEGER PRIMARY KEY);";
const READABLE: &str = "SELECT COUNT(*) FROM pragma_table_info('hits') WHERE name = 'hit'";
const BATCH: &str = "SELECT seq, hit FROM hits ORDER BY seq LIMIT $1";
/// Nobody reads it, but setting it commits a page.
pub(super) const PROBE: &str = "PRAGMA user_version = 1";
const FORGET: &str = "DELETE FROM hits WHERE seq <= $1";
// Numbers are given without gaps and hits are forgotten from the front. Both ends in one SELECT would walk all in between.
const DEPTH: &str = "SELECT COALESCE((SELECT MAX(seq) FROM hits) - (SELECT MIN(seq) FROM hits) + 1, 0)";
const SILENCED: &str = "SELECT recipient_id FROM silenced WHERE recipient_id > $1 ORDER BY recipient_id LIMIT $2";

/// A single statement is its own transaction.
fn add_rows(rows: usize) -> String {
    format!(
        "WITH v (recipient_id, hit) AS (VALUES {})
         INSERT INTO hits (hit)
         SELECT v.hit FROM v WHERE v.hit IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM silenced s WHERE s.recipient_id = v.recipient_id)",
        values(1, rows, 2)
    )
}

fn pack(id: Uuid, hit: &Hit) -> Result<Vec<u8>> {
    let packed = postcard::to_extend(&(FORMAT, id.into_bytes(), hit), Vec::with_capacity(ROOM));
    packed.map_err(|error| Error::Corrupt(format!("a hit that cannot be packed: {error}")))
}

fn unpack(packed: &[u8]) -> Result<(Uuid, Hit)> {
    let corrupt = || Error::Corrupt("a hit that this program did not write".to_owned());
    let Some(&FORMAT) = packed.first() else { return Err(corrupt()) };
    let (_, id, hit): (u8, _, _) = postcard::from_bytes(packed).map_err(|_| corrupt())?;
    Ok((Uuid::from_bytes(id), hit))
}

/// The spool, cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    writer: Pool<SqliteConnectOptions>,
    reader: Pool<SqliteConnectOptions>,
}

/// A hit with its place in the spool.
#[derive(Clone, Debug)]
pub struct Spooled {
    /// Its place: later hits have higher numbers.
    pub seq: i64,
    /// Its identity everywhere.
    pub id: Uuid,
    /// What came.
    pub hit: Hit,
}

impl Spool {
    /// Opens the file, created when absent.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub async fn open(path: &Path) -> Result<Self> {
        let writer = Pool::new(1, embedded::making(path), PATIENCE);
        sqlx::raw_sql(TABLES).execute(&mut *writer.acquire().await?).await?;
        let reader = Pool::new(1, embedded::options(path).pragma("query_only", "ON"), PATIENCE);
        let spool = Self { writer, reader };
        if spool.write().await?.one::<(i64,)>(READABLE, vec![]).await?.0 == 0 {
            let words = "the spool of an older program; let that one forward its hits, then remove the file";
            return Err(Error::Corrupt(words.to_owned()));
        }
        Ok(spool)
    }

    /// Writes at most [`MAX_GROUP`] hits, except those of silenced recipients; how many were kept.
    ///
    /// # Errors
    /// When the file cannot be written: then none was kept.
    pub async fn add(&self, hits: &[(Uuid, Hit)]) -> Result<u64> {
        static TEXTS: Texts<MAX_GROUP> = Texts::new();
        if hits.is_empty() {
            return Ok(0);
        }
        if hits.len() > MAX_GROUP {
            return Err(Error::Corrupt("too large a group of hits".to_owned()));
        }
        let rows = hits.len().next_power_of_two();
        let mut args = Vec::with_capacity(rows * 2);
        for (id, hit) in hits {
            args.extend([hit.recipient.into(), Value::Blob(Some(pack(*id, hit)?))]);
        }
        fill(&mut args, 2, rows);
        self.write().await?.execute(TEXTS.text(EngineKind::Sqlite, rows, args.len(), add_rows), args).await
    }

    /// The oldest hits, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what no tracker writes.
    pub async fn batch(&self, limit: usize) -> Result<Vec<Spooled>> {
        let rows: Vec<(i64, Vec<u8>)> = self.read().await?.all(BATCH, args![limit as i64]).await?;
        rows.into_iter().map(|(seq, packed)| unpack(&packed).map(|(id, hit)| Spooled { seq, id, hit })).collect()
    }

    /// Drops the hits up to this place; they are elsewhere now.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn forget(&self, up_to: i64) -> Result<()> {
        self.write().await?.execute(FORGET, args![up_to]).await.map(drop)
    }

    /// How many hits wait.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn depth(&self) -> Result<i64> {
        Ok(self.read().await?.one::<(i64,)>(DEPTH, vec![]).await?.0)
    }

    /// Writes to the file without adding anything.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn probe(&self) -> Result<()> {
        self.write().await?.execute(PROBE, vec![]).await.map(drop)
    }

    /// Keeps no further hits of these recipients. Knowing one already does no harm.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn silence(&self, recipients: &[RecipientId]) -> Result<()> {
        for chunk in recipients.chunks(MAX_GROUP) {
            let rows = chunk.len().next_power_of_two();
            let sql =
                format!("INSERT INTO silenced (recipient_id) VALUES {} ON CONFLICT DO NOTHING", values(1, rows, 1));
            self.write().await?.execute(sql, padded(chunk, rows).map(|r| (*r).into()).collect()).await?;
        }
        Ok(())
    }

    /// Keeps hits of these recipients again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn unsilence(&self, recipients: &[RecipientId]) -> Result<()> {
        for chunk in recipients.chunks(MAX_GROUP) {
            let (places, args) = keys(1, chunk);
            self.write().await?.execute(format!("DELETE FROM silenced WHERE recipient_id IN ({places})"), args).await?;
        }
        Ok(())
    }

    /// Silenced recipients beyond `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn silenced(&self, after: RecipientId, limit: usize) -> Result<Vec<RecipientId>> {
        let rows: Vec<(i64,)> = self.read().await?.all(SILENCED, args![after, limit as i64]).await?;
        Ok(rows.into_iter().map(|(id,)| RecipientId(id)).collect())
    }

    /// Ends the connections; what was added is on disk.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn write(&self) -> Result<Session> {
        Ok(Session::sqlite(self.writer.acquire().await?))
    }

    async fn read(&self) -> Result<Session> {
        Ok(Session::sqlite(self.reader.acquire().await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hit::{HitKind, HitMethod};
    use crate::domain::id::RunId;
    use crate::domain::time::Micros;

    fn hit(recipient: i64) -> (Uuid, Hit) {
        let hit = Hit {
            at: Micros(recipient),
            kind: HitKind::Click,
            method: HitMethod::Get,
            run: RunId(1),
            recipient: RecipientId(recipient),
            link: 2,
            item: u16::MAX,
            category: "trail".into(),
            url: "https://example.org/?ü".into(),
            user_agent: String::new(),
            network: "192.0.2.0/24".into(),
        };
        (Uuid::from_u128(u128::from(recipient.unsigned_abs())), hit)
    }

    async fn spool() -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(&dir.path().join("spool.db")).await.unwrap();
        (dir, spool)
    }

    #[tokio::test]
    async fn groups_of_any_size_come_back_in_order() {
        let (_dir, spool) = spool().await;
        for size in [1, 3, 0, MAX_GROUP as i64, 7] {
            assert_eq!(spool.add(&(0..size).map(hit).collect::<Vec<_>>()).await.unwrap(), size.unsigned_abs());
        }
        let total = 1 + 3 + MAX_GROUP + 7;
        assert_eq!(spool.depth().await.unwrap(), total as i64);
        let all = spool.batch(10_000).await.unwrap();
        assert_eq!(all.len(), total);
        assert_eq!((all[3].id, all[3].hit.clone()), hit(2));
        assert!(all.is_sorted_by_key(|s| s.seq));
    }

    #[test]
    fn the_layout_never_changes() {
        let (id, hit) = hit(3);
        let packed = pack(id, &hit).unwrap();
        let expected = [1_u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 6, 1, 0, 2, 6, 2, 255, 255, 3];
        assert_eq!(packed[..expected.len()], expected);
        assert_eq!(
            &packed[expected.len()..],
            "\u{5}trail\u{17}https://example.org/?ü\u{0}\u{c}192.0.2.0/24".as_bytes()
        );
        assert_eq!(unpack(&packed).unwrap(), (id, hit));
        let words = (HitMethod::ALL, [HitKind::Open, HitKind::Click]);
        assert_eq!(postcard::to_extend(&words, Vec::new()).unwrap(), [0, 1, 2, 3, 0, 1]);
        for foreign in [&packed[..40], &[], &[2], b"text"] {
            assert!(unpack(foreign).is_err(), "{foreign:?}");
        }
    }

    #[tokio::test]
    async fn a_spool_that_cannot_be_read_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool.db");
        let writer = Pool::new(1, embedded::making(&path), PATIENCE);
        let old = "CREATE TABLE hits (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, at INTEGER NOT NULL)";
        sqlx::raw_sql(old).execute(&mut *writer.acquire().await.unwrap()).await.unwrap();
        writer.close().await;
        let error = Spool::open(&path).await.unwrap_err().to_string();
        assert!(error.contains("let that one forward its hits"), "{error}");
    }

    #[tokio::test]
    async fn forgetting_never_reaches_a_later_hit() {
        let (_dir, spool) = spool().await;
        spool.add(&[hit(1), hit(2)]).await.unwrap();
        let last = spool.batch(10).await.unwrap()[1].seq;
        spool.forget(last).await.unwrap();
        assert_eq!(spool.depth().await.unwrap(), 0);
        spool.add(&[hit(3)]).await.unwrap();
        spool.forget(last).await.unwrap();
        assert_eq!(spool.batch(10).await.unwrap()[0].hit, hit(3).1);
    }

    #[tokio::test]
    async fn hits_of_silenced_recipients_are_not_kept() {
        let (_dir, spool) = spool().await;
        spool.silence(&[RecipientId(2), RecipientId(3), RecipientId(5)]).await.unwrap();
        spool.silence(&[RecipientId(2)]).await.unwrap();
        assert_eq!(spool.add(&[hit(1), hit(2), hit(3)]).await.unwrap(), 1);
        spool.unsilence(&[RecipientId(2), RecipientId(4)]).await.unwrap();
        assert_eq!(spool.add(&[hit(2), hit(3)]).await.unwrap(), 1);
        assert_eq!(spool.silenced(RecipientId(3), 10).await.unwrap(), [RecipientId(5)]);
        assert_eq!(spool.depth().await.unwrap(), 2);
    }
}
