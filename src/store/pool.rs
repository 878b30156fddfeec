//! Kept connections of either engine.
//!
//! sqlx's pool asks a connection whether it lives when it is taken and again when it comes back. For
//! a file in this process the question is always answered, and costs two changes of thread each
//! time, as much as a small transaction; for a server it costs two round trips. Here it is asked of
//! what lay idle for a while, and whoever finds a connection lost throws away those beside it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::store::{self, Result};

/// How connections come to be.
pub(super) trait Open: Send + Sync + 'static {
    /// What is opened.
    type Connection: Send + 'static;

    /// Opens one.
    fn open(&self) -> impl Future<Output = Result<Self::Connection>> + Send;

    /// Whether one is as good as new that lay idle so long.
    fn is_fresh(&self, connection: &mut Self::Connection, idle: Duration) -> impl Future<Output = bool> + Send;

    /// Closes one in order. What was committed is on disk whatever the answer.
    fn close(&self, connection: Self::Connection) -> impl Future<Output = ()> + Send;
}

impl Open for SqliteConnectOptions {
    type Connection = SqliteConnection;

    async fn open(&self) -> Result<SqliteConnection> {
        let what = || self.get_filename().display().to_string();
        SqliteConnection::connect_with(self).await.map_err(|cause| store::Error::Unreachable { what: what(), cause })
    }

    async fn is_fresh(&self, _: &mut SqliteConnection, _: Duration) -> bool {
        true
    }

    async fn close(&self, connection: SqliteConnection) {
        let _ = connection.close().await;
    }
}

/// At most so many connections, opened when first needed and kept; cheap to clone.
pub(super) struct Pool<O: Open>(Arc<Shelf<O>>);

struct Shelf<O: Open> {
    opener: O,
    patience: Duration,
    size: u32,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Idle<O>>>,
}

struct Idle<O: Open> {
    connection: O::Connection,
    since: Instant,
}

/// A connection on loan; dropping it gives it back.
pub(super) struct Loan<O: Open> {
    connection: Option<O::Connection>,
    shelf: Arc<Shelf<O>>,
    _permit: OwnedSemaphorePermit,
}

impl<O: Open> Clone for Pool<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Open> std::fmt::Debug for Pool<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("size", &self.0.size).finish_non_exhaustive()
    }
}

impl<O: Open> std::fmt::Debug for Loan<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loan").finish_non_exhaustive()
    }
}

impl<O: Open> Pool<O> {
    /// A pool of `size` connections, none of which is open yet. Whoever waits longer than `patience`
    /// for one is told so.
    pub fn new(size: u32, opener: O, patience: Duration) -> Self {
        let free = Arc::new(Semaphore::new(size as usize));
        Self(Arc::new(Shelf { opener, patience, size, free, idle: Mutex::default() }))
    }

    /// The next free connection, in the order in which it was asked for.
    pub async fn acquire(&self) -> Result<Loan<O>> {
        let shelf = Arc::clone(&self.0);
        let permit = match timeout(shelf.patience, Arc::clone(&shelf.free).acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| Error::PoolClosed)?,
            Err(_) => return Err(Error::PoolTimedOut.into()),
        };
        let idle = shelf.idle().pop();
        let kept = match idle {
            Some(Idle { mut connection, since }) => match shelf.opener.is_fresh(&mut connection, since.elapsed()).await
            {
                true => Some(connection),
                false => {
                    shelf.clear();
                    None
                }
            },
            None => None,
        };
        let connection = match kept {
            Some(connection) => connection,
            None => shelf.opener.open().await?,
        };
        Ok(Loan { connection: Some(connection), shelf, _permit: permit })
    }

    /// How connections come to be.
    pub fn opener(&self) -> &O {
        &self.0.opener
    }

    /// Waits for what is on loan and closes all connections.
    pub async fn close(&self) {
        let all = self.0.free.acquire_many(self.0.size).await;
        self.0.free.close();
        drop(all);
        let idle = std::mem::take(&mut *self.0.idle());
        for Idle { connection, .. } in idle {
            self.0.opener.close(connection).await;
        }
    }
}

impl<O: Open> Shelf<O> {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle<O>>> {
        // Nothing under the lock can panic half-way through a change.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        let all = std::mem::take(&mut *self.idle());
        drop(all);
    }
}

impl<O: Open> Loan<O> {
    /// How connections come to be.
    pub fn opener(&self) -> &O {
        &self.shelf.opener
    }

    /// How connections come to be, and this one.
    pub fn parts(&mut self) -> (&O, &mut O::Connection) {
        let connection = self.connection.as_mut().expect("a loan holds its connection until it is discarded");
        (&self.shelf.opener, connection)
    }

    /// Does not give the connection back: it closes, and rolls back what was begun.
    pub fn discard(mut self) {
        self.connection = None;
    }

    /// Throws away what lies idle beside a connection that was lost.
    pub fn clear_idle(&self) {
        self.shelf.clear();
    }
}

impl<O: Open> Deref for Loan<O> {
    type Target = O::Connection;

    fn deref(&self) -> &O::Connection {
        self.connection.as_ref().expect("a loan holds its connection until it is discarded")
    }
}

impl<O: Open> DerefMut for Loan<O> {
    fn deref_mut(&mut self) -> &mut O::Connection {
        self.connection.as_mut().expect("a loan holds its connection until it is discarded")
    }
}

impl<O: Open> Drop for Loan<O> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shelf.idle().push(Idle { connection, since: Instant::now() });
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
        let marked = async |loan: &mut Loan<SqliteConnectOptions>| {
            sqlx::query_scalar::<_, i64>("PRAGMA temp.user_version").fetch_one(&mut **loan).await.unwrap() == 7
        };
        let mut loan = pool.acquire().await.unwrap();
        sqlx::raw_sql(mark).execute(&mut *loan).await.unwrap();
        let refused = pool.acquire().await;
        assert!(matches!(refused, Err(store::Error::Sql(Error::PoolTimedOut))), "the only one is on loan");
        drop(loan);
        let mut loan = pool.acquire().await.unwrap();
        assert!(marked(&mut loan).await);
        loan.discard();
        let mut loan = pool.acquire().await.unwrap();
        assert!(!marked(&mut loan).await);
        drop(loan);
        pool.close().await;
        assert!(matches!(pool.acquire().await, Err(store::Error::Sql(Error::PoolClosed))));
    }
}
