//! What operators see: metrics, health, a live view over HTTP, and reports as text.
//!
//! Nothing here changes anything. What comes from the database is looked up when somebody asks, by
//! one task at a time however many ask, and not more often than it is cheap.

mod health;
mod inbox;
mod lookup;
mod page;
mod report;
mod speed;
mod table;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::store::reports::{Queue, queue};
use crate::store::spool::Spool;
use crate::store::{Result, Store};
use crate::web::{Answer, Handler, Limits, method_not_allowed, not_found, text, try_again};
use health::Health;
use lookup::Lookup;
use page::Live;

pub use inbox::{inbox_counts_text, inbox_list_text, rates_text};
pub use report::{notices_text, people_text, run_text, status_text};
pub use speed::{speed_text, warm_up_text};
pub use table::{Align, Table};

/// OpenMetrics 1.0.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const ALLOWED: &str = "GET, HEAD";
const RETRY_SECONDS: u16 = 5;

/// How often the database is asked at most, whoever asks.
const QUEUE_REST: Duration = Duration::from_secs(5);
const LIVE_REST: Duration = Duration::from_secs(4);
const HEALTH_REST: Duration = Duration::from_secs(1);

/// What the console's listener should bear: few clients, which may come through a proxy.
#[must_use]
pub fn limits() -> Limits {
    Limits { connections: 64, grace: Duration::from_secs(2), ..Limits::default() }
}

/// Answers `/`, `/metrics`, `/healthz` and `/readyz`.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

struct Shared {
    metrics: Metrics,
    stopping: CancellationToken,
    queue: Lookup<Result<Queue>>,
    health: Lookup<Health>,
    live: Lookup<Result<Live>>,
}

impl Console {
    /// A console over the database, and over the spool where this process has one. From `stopping`
    /// on it is no longer ready. What it looks up runs in `tasks`.
    #[must_use]
    pub fn new(
        store: Store,
        spool: Option<Spool>,
        metrics: Metrics,
        stopping: CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let asked = store.clone();
        let queue = Lookup::new(QUEUE_REST, tasks, move || {
            let store = asked.clone();
            async move { queue(&mut store.read().await?).await }
        });
        let live = Lookup::new(LIVE_REST, tasks, page::looker(store.clone()));
        let health = Lookup::new(HEALTH_REST, tasks, move || health::look(store.clone(), spool.clone()));
        Self(Arc::new(Shared { metrics, stopping, queue, health, live }))
    }
}

impl Handler for Console {
    async fn answer(&self, request: Request<Incoming>, _: IpAddr) -> Answer {
        let route = match request.uri().path() {
            "/" => Route::Live,
            "/metrics" => Route::Metrics,
            "/healthz" => Route::Health,
            "/readyz" => Route::Ready,
            _ => return not_found(),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return method_not_allowed(ALLOWED);
        }
        let mut answer = match route {
            Route::Live => self.0.live().await,
            Route::Metrics => self.0.metrics().await,
            Route::Health => text(StatusCode::OK, "ok\n"),
            Route::Ready => self.0.ready().await,
        };
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
            .headers_mut()
            .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        answer
    }
}

enum Route {
    Live,
    Metrics,
    Health,
    Ready,
}

impl Shared {
    async fn metrics(&self) -> Answer {
        let (queue, health) = tokio::join!(self.queue.get(), self.health.get());
        match queue.as_deref() {
            Some(Ok(queue)) => {
                queue.messages.iter().for_each(|(state, messages)| self.metrics.set_queue(*state, *messages));
                queue.notices.iter().for_each(|(state, notices)| self.metrics.set_notices(*state, *notices));
                queue.runs.iter().for_each(|(state, runs)| self.metrics.set_runs(*state, *runs));
            }
            Some(Err(error)) => tracing::warn!(%error, "the queue could not be counted"),
            None => tracing::warn!("counting the queue takes too long"),
        }
        let health = health.unwrap_or_else(|| Arc::new(Health::silent()));
        health.checks().for_each(|(check, problem)| self.metrics.set_ready(check, problem.is_none()));
        with_type(METRICS, self.metrics.encode())
    }

    async fn ready(&self) -> Answer {
        let health = self.health.get().await.unwrap_or_else(|| Arc::new(Health::silent()));
        let stopping = self.stopping.is_cancelled();
        let mut answer = with_type("application/json", health.json(stopping));
        if stopping || !health.is_ready() {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    }

    async fn live(&self) -> Answer {
        match self.live.get().await.as_deref() {
            Some(Ok(live)) => {
                let mut answer = with_type("text/html; charset=utf-8", page::html(live));
                let policy = HeaderName::from_static("content-security-policy");
                answer.headers_mut().insert(policy, page::content_policy());
                answer
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "the live view could not be read");
                try_again(StatusCode::SERVICE_UNAVAILABLE, RETRY_SECONDS)
            }
            None => try_again(StatusCode::SERVICE_UNAVAILABLE, RETRY_SECONDS),
        }
    }
}

fn with_type(content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
