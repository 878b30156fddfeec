//! Makes requests over real HTTP, on kept connections, and counts what was answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::habits::{Ask, Visit};

/// Connections, and with that requests at a time.
const CONNECTIONS: usize = 24;

/// What came of the visits so far.
#[derive(Debug, Default)]
pub struct Visited {
    begun: AtomicU64,
    ended: AtomicU64,
    hits: AtomicU64,
    left: AtomicU64,
    failed: AtomicU64,
}

impl Visited {
    /// Visits that have begun and not ended.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Ordering::Acquire);
        self.begun.load(Ordering::Acquire).saturating_sub(ended)
    }

    /// Requests for pixel or link that were answered: each must be in the database in the end.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Acquire)
    }

    /// Readers who left with one click, and were told so.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Acquire)
    }

    /// Requests that were not answered as they should be.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    fn count(&self, visit: &Visit, answer: &Result<StatusCode>) {
        let is_hit = ["/c/", "/o/"].iter().any(|part| visit.url.contains(part));
        let counter = match answer {
            Ok(StatusCode::OK | StatusCode::FOUND) if is_hit => Some(&self.hits),
            Ok(StatusCode::OK) if visit.ask == Ask::OneClick => Some(&self.left),
            Ok(StatusCode::OK) => None,
            Ok(status) => {
                tracing::debug!(%status, "a simulated reader got another answer than expected");
                Some(&self.failed)
            }
            Err(error) => {
                tracing::debug!(%error, "a simulated reader got no answer");
                Some(&self.failed)
            }
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::AcqRel);
        }
        self.ended.fetch_add(1, Ordering::AcqRel);
    }
}

/// Some connections to one service. One person's requests always take the same, one after the other.
#[derive(Debug)]
pub struct Browser {
    lines: Vec<mpsc::UnboundedSender<Visit>>,
    visited: Arc<Visited>,
}

impl Browser {
    /// Opens the lines; connections are made when they are needed. They end with the browser.
    #[must_use]
    pub fn new(service: SocketAddr) -> Self {
        let visited = Arc::new(Visited::default());
        let lines = (0..CONNECTIONS).map(|_| {
            let (sender, visits) = mpsc::unbounded_channel();
            tokio::spawn(Line { service, connection: None, visited: Arc::clone(&visited) }.run(visits));
            sender
        });
        Self { lines: lines.collect(), visited }
    }

    /// The counts.
    #[must_use]
    pub fn visited(&self) -> Arc<Visited> {
        Arc::clone(&self.visited)
    }

    /// Makes a visit for the person of this number.
    pub fn visit(&self, person: u64, visit: Visit) {
        self.visited.begun.fetch_add(1, Ordering::AcqRel);
        let line = usize::try_from(person % self.lines.len() as u64).unwrap_or(0);
        if self.lines[line].send(visit).is_err() {
            self.visited.ended.fetch_add(1, Ordering::AcqRel);
        }
    }
}

struct Line {
    service: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
    visited: Arc<Visited>,
}

impl Line {
    async fn run(mut self, mut visits: mpsc::UnboundedReceiver<Visit>) {
        while let Some(visit) = visits.recv().await {
            let answer = self.ask(&visit).await;
            if answer.is_err() {
                self.connection = None;
            }
            self.visited.count(&visit, &answer);
        }
    }

    async fn ask(&mut self, visit: &Visit) -> Result<StatusCode> {
        let request = request(visit)?;
        let answer = self.connection().await?.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        Ok(status)
    }

    /// The kept connection, or a new one when the service has closed it.
    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(kept) = &mut self.connection
            && kept.ready().await.is_err()
        {
            self.connection = None;
        }
        match &mut self.connection {
            Some(kept) => Ok(kept),
            empty => {
                let stream = TcpStream::connect(self.service).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(async move { drop(connection.await) });
                Ok(empty.insert(sender))
            }
        }
    }
}

fn request(visit: &Visit) -> Result<Request<Full<Bytes>>> {
    let url = url::Url::parse(&visit.url)?;
    let [a, b, c, d] = visit.client;
    let request = Request::builder()
        .uri(url.path())
        .header(HOST, url.authority())
        .header(USER_AGENT, visit.user_agent)
        .header("x-forwarded-for", format!("{a}.{b}.{c}.{d}"));
    Ok(match visit.ask {
        Ask::Get => request.method(Method::GET).body(Full::default())?,
        Ask::Head => request.method(Method::HEAD).body(Full::default())?,
        Ask::OneClick => request
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from("List-Unsubscribe=One-Click"))?,
    })
}
