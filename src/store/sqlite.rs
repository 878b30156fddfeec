//! Kept connections to one SQLite file.
//!
//! sqlx's pool asks a connection whether it lives when it is taken and again when it comes back. For
//! a file in this process the question is always answered, and costs two changes of thread each
//! time, as much as a small transaction.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// At most so many connections, opened when first needed and kept; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    options: SqliteConnectOptions,
    patience: Duration,
    size: u32,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A connection on loan; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Loan {
    connection: Option<SqliteConnection>,
    shelf: Arc<Shelf>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of `size` connections, none of which is open yet. Whoever waits longer than `patience`
    /// for one is told so.
    pub fn new(size: u32, options: SqliteConnectOptions, patience: Duration) -> Self {
        let free = Arc::new(Semaphore::new(size as usize));
        Self(Arc::new(Shelf { options, patience, size, free, idle: Mutex::default() }))
    }

    /// The next free connection, in the order in which it was asked for.
    pub async fn acquire(&self) -> Result<Loan> {
        let shelf = Arc::clone(&self.0);
        let permit = match timeout(shelf.patience, Arc::clone(&shelf.free).acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| Error::PoolClosed)?,
            Err(_) => return Err(Error::PoolTimedOut),
        };
        let idle = shelf.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&shelf.options).await?,
        };
        Ok(Loan { connection: Some(connection), shelf, _permit: permit })
    }

    /// Waits for what is on loan and closes all connections.
    pub async fn close(&self) {
        let all = self.0.free.acquire_many(self.0.size).await;
        self.0.free.close();
        drop(all);
        let idle = std::mem::take(&mut *self.0.idle());
        for connection in idle {
            // What was committed is on disk whatever the answer.
            let _ = connection.close().await;
        }
    }
}

impl Shelf {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        // Nothing under the lock can panic half-way through a change.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loan {
    /// Does not give the connection back: it closes, and rolls back what was begun.
    pub fn discard(mut self) {
        self.connection = None;
    }
}

impl Deref for Loan {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("a loan holds its connection until it is discarded")
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("a loan holds its connection until it is discarded")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shelf.idle().push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_given_back_is_lent_again_and_what_is_discarded_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(dir.path().join("t.db")).create_if_missing(true);
        let pool = Pool::new(1, options, Duration::from_millis(50));
        let mark = "PRAGMA temp.user_version = 7";
        let marked = async |loan: &mut Loan| {
            sqlx::query_scalar::<_, i64>("PRAGMA temp.user_version").fetch_one(&mut **loan).await.unwrap() == 7
        };
        let mut loan = pool.acquire().await.unwrap();
        sqlx::raw_sql(mark).execute(&mut *loan).await.unwrap();
        assert!(matches!(pool.acquire().await, Err(Error::PoolTimedOut)), "the only one is on loan");
        drop(loan);
        let mut loan = pool.acquire().await.unwrap();
        assert!(marked(&mut loan).await);
        loan.discard();
        let mut loan = pool.acquire().await.unwrap();
        assert!(!marked(&mut loan).await);
        drop(loan);
        pool.close().await;
        assert!(matches!(pool.acquire().await, Err(Error::PoolClosed)));
    }
}
