//! An HTTP/1.1 listener: takes connections up to a limit, hands requests to a [`Handler`], stops
//! gracefully. What is answered is the handler's business.

mod proxies;
mod reading;

pub use proxies::Proxies;
pub use reading::Reading;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a handler answers with.
pub type Answer = Response<Full<Bytes>>;

/// Answers requests; clones share what they need.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request. `peer` is the other end of the connection, perhaps a proxy. The future
    /// is dropped when the client goes away: work that must not stop halfway belongs in a task.
    fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> impl Future<Output = Answer> + Send;

    /// The answer to a client that asks too much, and may come again after so many seconds.
    fn too_many(&self, request: &Request<Incoming>, seconds: u16) -> Answer {
        let _ = request;
        try_again(StatusCode::TOO_MANY_REQUESTS, seconds)
    }
}

/// `None` finds nothing, whatever is asked.
impl<H: Handler> Handler for Option<H> {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        match self {
            Some(handler) => handler.answer(request, peer).await,
            None => not_found(),
        }
    }

    fn too_many(&self, request: &Request<Incoming>, seconds: u16) -> Answer {
        match self {
            Some(handler) => handler.too_many(request, seconds),
            None => try_again(StatusCode::TOO_MANY_REQUESTS, seconds),
        }
    }
}

/// What a listener bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// How long a client may take for a request's head, and how long a kept connection may idle.
    pub head_timeout: Duration,
    /// Octets of a request's head, at least 8,192; a longer one is answered with 431 or 414.
    pub head_size: usize,
    /// How fast a client has to take an answer.
    pub reading: Reading,
    /// How long requests in flight may take once the listener stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            head_timeout: Duration::from_secs(15),
            head_size: 16_384,
            reading: Reading::default(),
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves until `shutdown`, then lets requests in flight end within the limits' grace.
pub async fn serve<H: Handler>(listener: TcpListener, handler: H, limits: Limits, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let stop = Stop { soft: shutdown, hard: CancellationToken::new() };
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.soft.cancelled() => break,
            accepted = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (permit, listener.accept().await)
            } => accepted,
        };
        match accepted {
            (Ok(permit), Ok((stream, peer))) => {
                let connection = connection(stream, peer.ip(), handler.clone(), limits, stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            (Err(_), _) => break,
            (_, Err(error)) => {
                // Out of file descriptors, or the client has gone already.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.grace, connections.wait()).await.is_err() {
        stop.hard.cancel();
        connections.wait().await;
    }
}

#[derive(Clone)]
struct Stop {
    soft: CancellationToken,
    hard: CancellationToken,
}

async fn connection<H: Handler>(stream: TcpStream, peer: IpAddr, handler: H, limits: Limits, stop: Stop) {
    // Without it small answers wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.answer(request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        // Answers to requests that come ahead of others wait for their turn: nobody makes us keep what is not read.
        .max_buf_size(limits.head_size.max(8_192))
        .serve_connection(TokioIo::new(reading::Read::new(stream, limits.reading)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.soft.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.hard.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Runs a handler's work in a task of its own: a client that goes away must not cancel a statement in flight.
pub async fn in_task(work: impl Future<Output = Answer> + Send + 'static) -> Answer {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| text(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong.\n"))
}

/// A short answer in plain text.
#[must_use]
pub fn text(status: StatusCode, body: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The one 404, the same for a path that is nothing and for a token that is forged, cut or foreign.
#[must_use]
pub fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "Not found.\n")
}

/// The answer to a method that a path does not know.
#[must_use]
pub fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.\n");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// The answer while something that is needed is away, or when a client asks too much.
#[must_use]
pub fn try_again(status: StatusCode, seconds: u16) -> Answer {
    let mut answer = text(status, "Please try again in a moment.\n");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}
