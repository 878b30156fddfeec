//! PostgreSQL's servers: which of them takes writes, and whether it still answers.

mod address;

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::time::{Instant, sleep, timeout};

use super::error::{passes, said};
use super::pool::Open;
use super::{Error, Result};

/// How long a server may take to answer, be it that it takes no writes.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection that lay idle for less is taken to live.
const FRESH: Duration = Duration::from_secs(1);

/// A connection is replaced after this: what a server keeps for one grows.
const AGE: Duration = Duration::from_secs(30 * 60);

/// After so long without an answer to a statement it is asked whether its server still answers at all: a machine that
/// loses its power or its network tells nobody.
const SILENCE: Duration = Duration::from_secs(5);

/// A server does not see by itself that a machine which it talks to has lost its power or its network, and keeps the connection
/// for hours: after so long without a sign it is to give it up.
const GIVE_UP: &str = "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = 30000";

// Nothing where no writes are taken. One of several servers tells its timeline besides, which counts promotions.
const LOOK: &str = "SELECT CASE WHEN current_setting('transaction_read_only') = 'off' THEN '0' END";
const LOOK_AT_ONE_OF_SEVERAL: &str = "SELECT CASE WHEN current_setting('transaction_read_only') = 'off'
    THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";

/// The servers that an address names.
pub(super) struct Servers {
    servers: Vec<PgConnectOptions>,
    /// Without credentials.
    what: String,
    /// Whether a pooler stands between: what is sent outside of a transaction may reach any of its connections.
    pub pooled: bool,
    primary: Mutex<Option<Primary>>,
}

/// Leaves out what is needed to get in.
impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers").field("what", &self.what).finish_non_exhaustive()
    }
}

/// Which server took writes when it was looked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Primary {
    server: usize,
    timeline: u32,
}

/// What a server is at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes writes.
    Primary,
    /// It takes none, as a standby.
    Standby,
    /// It does not answer; why.
    Away(String),
}

/// A connection to one of them.
pub(super) struct Link {
    pub connection: PgConnection,
    pub server: usize,
    opened: Instant,
}

/// Why a server is not the one.
enum Unfit {
    Away(sqlx::Error),
    ReadOnly,
    /// Another one was promoted since.
    Stale,
}

impl Servers {
    /// Reads an address; several servers are divided by commas.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(url: &str, pooled: bool) -> Result<Self> {
        let servers = address::split(url)?
            .iter()
            .map(|url| {
                let options = url.parse::<PgConnectOptions>()?;
                // PgBouncer refuses startup parameters that it does not know, and these values come in binary.
                let options = options.application_name("colloquy").extra_float_digits(None).disable_statement_logging();
                Ok(if pooled { options.statement_cache_capacity(0) } else { options })
            })
            .collect::<Result<Vec<_>>>()?;
        let named = servers.iter().map(name).collect::<Vec<_>>().join(",");
        let database = servers.first().and_then(PgConnectOptions::get_database).unwrap_or_default();
        let what = format!("postgres://{named}/{database}");
        Ok(Self { servers, what, pooled, primary: Mutex::default() })
    }

    /// Their names, without credentials.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Waits for a statement's end as long as the server that it was sent to answers others.
    ///
    /// # Errors
    /// As the statement; and when the server is silent.
    pub async fn watched<T>(&self, server: usize, statement: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let mut statement = std::pin::pin!(statement);
        loop {
            let answers = async {
                sleep(SILENCE).await;
                self.answers(server).await
            };
            tokio::select! {
                biased;
                result = &mut statement => return result,
                answers = answers => if !answers {
                    return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
                }
            }
        }
    }

    /// Whether the server says anything to who comes anew.
    async fn answers(&self, server: usize) -> bool {
        match timeout(PATIENCE, self.servers[server].connect()).await {
            Ok(Err(error)) => matches!(error, sqlx::Error::Database(_)),
            answer => answer.is_ok(),
        }
    }

    async fn look(&self, server: usize) -> std::result::Result<(PgConnection, Primary), Unfit> {
        let asked = async {
            let mut connection = self.servers[server].connect().await?;
            // A pooler's own connections are its own affair.
            if !self.pooled {
                sqlx::raw_sql(GIVE_UP).execute(&mut connection).await?;
            }
            let sql = if self.servers.len() > 1 { LOOK_AT_ONE_OF_SEVERAL } else { LOOK };
            let timeline: Option<String> = sqlx::raw_sql(sql).fetch_one(&mut connection).await?.try_get(0)?;
            Ok((connection, timeline))
        };
        let (connection, timeline) = match timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(Unfit::Away)?,
            Err(_) => return Err(Unfit::Away(std::io::Error::from(std::io::ErrorKind::TimedOut).into())),
        };
        let timeline = timeline.ok_or(Unfit::ReadOnly)?;
        let timeline = u32::from_str_radix(&timeline, 16).unwrap_or_default();
        Ok((connection, Primary { server, timeline }))
    }

    fn primary(&self) -> Option<Primary> {
        *self.primary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a server for the one, unless a later promotion has been seen.
    fn choose(&self, found: Primary) -> bool {
        let mut primary = self.primary.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = primary.is_some_and(|known| found.timeline < known.timeline);
        if !stale {
            *primary = Some(found);
        }
        !stale
    }

    /// Asks all of them. Of two that take writes the one that was promoted last is right.
    async fn search(&self) -> Result<Link> {
        let mut found: Vec<_> = Vec::new();
        let mut unfit: Vec<_> = Vec::new();
        for (server, looked) in
            join_all((0..self.servers.len()).map(|server| self.look(server))).await.into_iter().enumerate()
        {
            match looked {
                Ok(fit) => found.push(fit),
                Err(reason) => unfit.push((server, reason)),
            }
        }
        found.sort_by_key(|(_, primary)| (primary.timeline, std::cmp::Reverse(primary.server)));
        if let Some((connection, primary)) = found.pop() {
            if self.choose(primary) {
                return Ok(Link { connection, server: primary.server, opened: Instant::now() });
            }
            unfit.push((primary.server, Unfit::Stale));
        }
        Err(self.no_primary(unfit))
    }

    /// What each of them is, by its name.
    pub async fn standings(&self) -> Vec<(String, Standing)> {
        let looks = (0..self.servers.len()).map(|server| async move {
            let standing = match self.look(server).await {
                Ok(_) => Standing::Primary,
                Err(Unfit::Away(error)) => Standing::Away(said(&error)),
                Err(Unfit::ReadOnly | Unfit::Stale) => Standing::Standby,
            };
            (name(&self.servers[server]), standing)
        });
        join_all(looks).await
    }

    fn no_primary(&self, mut unfit: Vec<(usize, Unfit)>) -> Error {
        if self.servers.len() == 1
            && let Some((_, Unfit::Away(cause))) = unfit.pop_if(|(_, reason)| matches!(reason, Unfit::Away(_)))
        {
            return Error::Unreachable { what: self.what.clone(), cause };
        }
        let mut found = String::new();
        let mut may_pass = false;
        for (server, reason) in unfit {
            let name = name(&self.servers[server]);
            let comma = if found.is_empty() { "" } else { "; " };
            let _ = match reason {
                Unfit::Away(error) => {
                    may_pass |= passes(&error);
                    write!(found, "{comma}{name}: {}", said(&error))
                }
                Unfit::ReadOnly => {
                    may_pass = true;
                    write!(found, "{comma}{name} takes no writes")
                }
                Unfit::Stale => {
                    may_pass = true;
                    write!(found, "{comma}{name} is an old primary")
                }
            };
        }
        Error::NoPrimary { what: self.what.clone(), found, may_pass }
    }
}

impl Open for Servers {
    type Connection = Link;

    async fn open(&self) -> Result<Link> {
        if let Some(Primary { server, .. }) = self.primary()
            && self.servers.len() > 1
            && let Ok((connection, primary)) = self.look(server).await
            && self.choose(primary)
        {
            return Ok(Link { connection, server, opened: Instant::now() });
        }
        self.search().await
    }

    async fn is_fresh(&self, link: &mut Link, idle: Duration) -> bool {
        if link.opened.elapsed() > AGE || self.primary().is_some_and(|primary| primary.server != link.server) {
            return false;
        }
        idle < FRESH || matches!(timeout(PATIENCE, link.connection.ping()).await, Ok(Ok(())))
    }

    async fn close(&self, link: Link) {
        let _ = timeout(PATIENCE, link.connection.close()).await;
    }
}

fn name(server: &PgConnectOptions) -> String {
    match server.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", server.get_host(), server.get_port()),
    }
}
