//! The page on which a campaign's mail is looked at while its files are being written. It is for the browser on this
//! machine: it shows recipients' data, so that it answers nobody else. Nothing is written anywhere.

mod body;
mod fault;
mod people;
mod shown;
mod trial;
mod workshop;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock};
use crate::config::watch::Watch;
use crate::domain::hex::hex;
use crate::domain::time::Micros;
use crate::store::Store;
use crate::web::{Answer, Handler, Limits, method_not_allowed, not_found, text};

pub use people::{People, made_up};
pub use trial::{Trial, Verdict};
pub use workshop::throwaway_keys;

/// The page itself: its own script and style, its own frame, nothing from elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                           frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How long a question for changes may stay open.
const PATIENCE: Duration = Duration::from_secs(25);

/// What a preview works on.
#[derive(Debug)]
pub struct Options {
    /// The project's directory.
    pub root: PathBuf,
    /// Where recipients are; without it a made-up one stands in.
    pub store: Option<Store>,
    /// The time of a mail for which none is asked.
    pub clock: Clock,
}

/// Serves the page. Cheap to clone.
#[derive(Clone)]
pub struct Preview(Arc<Shared>);

struct Shared {
    workshop: workshop::Workshop,
    /// Stands in every path, so that other users of this machine cannot guess it.
    key: String,
    /// What a browser may ask for once instead of the key, and where that leads.
    ticket: Mutex<Option<(String, String)>>,
    /// Counts the changes of files.
    changes: watch::Sender<u64>,
    stop: CancellationToken,
}

/// What is asked for in a query.
#[derive(Debug, Default)]
struct Asked {
    campaign: String,
    recipient: String,
    at: Option<Micros>,
    since: u64,
}

impl Asked {
    fn read(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "campaign" => asked.campaign = value.into_owned(),
                "as" => asked.recipient = value.trim().to_owned(),
                "at" => asked.at = Micros::parse_rfc3339(&value).ok(),
                "since" => asked.since = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        asked
    }
}

/// What the page's listener should bear: one browser.
#[must_use]
pub fn limits() -> Limits {
    Limits { connections: 64, grace: Duration::from_secs(1), ..Limits::default() }
}

impl Preview {
    /// A preview whose open questions end with `stop`.
    #[must_use]
    pub fn new(options: Options, stop: CancellationToken) -> Self {
        let (key, ticket) = (secret(), Mutex::default());
        let workshop = workshop::Workshop::new(options);
        Self(Arc::new(Shared { workshop, key, ticket, changes: watch::Sender::new(1), stop }))
    }

    /// The path of the page that shows a campaign's mail, for a recipient and a time if they are given.
    #[must_use]
    pub fn path(&self, campaign: &str, recipient: Option<&str>, at: Option<Micros>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("campaign", campaign);
        if let Some(recipient) = recipient {
            query.append_pair("as", recipient);
        }
        if let Some(at) = at {
            query.append_pair("at", &at.to_string());
        }
        format!("/{}/?{}", self.0.key, query.finish())
    }

    /// A path that leads to this one once: a command line is shown to every user of the machine, and who reads it there
    /// comes too late.
    #[must_use]
    pub fn once(&self, path: String) -> String {
        let ticket = secret();
        let once = format!("/open/{ticket}");
        *self.0.ticket.lock().unwrap_or_else(PoisonError::into_inner) = Some((ticket, path));
        once
    }

    /// Tells open pages of every change of the files.
    pub async fn follow(&self, mut watch: Watch) {
        while self.0.stop.run_until_cancelled(watch.changed()).await.is_some() {
            self.0.changes.send_modify(|count| *count += 1);
        }
    }
}

impl Handler for Preview {
    async fn answer(&self, request: Request<Incoming>, _: IpAddr) -> Answer {
        // A foreign name that was made to lead here (DNS rebinding) is not answered.
        if !request.headers().get(HOST).is_some_and(is_loopback) {
            return text(StatusCode::MISDIRECTED_REQUEST, "This page is for the browser on this machine.\n");
        }
        if let Some(ticket) = request.uri().path().strip_prefix("/open/") {
            return self.0.redeem(request.method(), ticket);
        }
        let Some(path) = request.uri().path().strip_prefix('/').and_then(|p| p.strip_prefix(&self.0.key)) else {
            return not_found();
        };
        if *request.method() != Method::GET {
            return method_not_allowed("GET");
        }
        let asked = Asked::read(request.uri().query().unwrap_or(""));
        match path {
            "/" => page("text/html; charset=utf-8", PAGE_POLICY, include_str!("preview/page.html")),
            "/page.css" => page("text/css; charset=utf-8", PAGE_POLICY, include_str!("preview/page.css")),
            "/page.js" => page("text/javascript; charset=utf-8", PAGE_POLICY, include_str!("preview/page.js")),
            "/mail" => self.0.mail(&asked).await,
            "/body" => self.0.body(&asked).await,
            "/changes" => self.0.changed(asked.since).await,
            _ => not_found(),
        }
    }
}

impl Shared {
    /// Leads to the page whoever comes first with the ticket.
    fn redeem(&self, method: &Method, ticket: &str) -> Answer {
        let mut valid = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = valid.take_if(|(valid, _)| valid == ticket && *method == Method::GET);
        let Some(target) = taken.and_then(|(_, path)| HeaderValue::from_str(&path).ok()) else { return not_found() };
        let mut answer = page("text/plain", PAGE_POLICY, "");
        *answer.status_mut() = StatusCode::SEE_OTHER;
        answer.headers_mut().insert(LOCATION, target);
        answer
    }

    /// Everything about the mail but its HTML, as JSON.
    async fn mail(&self, asked: &Asked) -> Answer {
        // Counted before the files are read: what changes while they are is told afterwards.
        let generation = *self.changes.borrow();
        let mut seen = self.workshop.look(asked).await;
        seen["generation"] = generation.into();
        page("application/json", PAGE_POLICY, seen.to_string())
    }

    async fn body(&self, asked: &Asked) -> Answer {
        let html = self.workshop.body(asked).await.unwrap_or_default();
        page("text/html; charset=utf-8", body::POLICY, html)
    }

    /// Answers as soon as the files have changed since `since`, at the latest after a while.
    async fn changed(&self, since: u64) -> Answer {
        let mut changes = self.changes.subscribe();
        let change = timeout(PATIENCE, changes.wait_for(|count| *count != since));
        let _ = self.stop.run_until_cancelled(change).await;
        let generation = *self.changes.borrow();
        page("application/json", PAGE_POLICY, serde_json::json!({ "generation": generation }).to_string())
    }
}

/// What nobody guesses.
fn secret() -> String {
    hex(&clock::secret::<16>())
}

fn is_loopback(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn page(kind: &'static str, policy: &'static str, content: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(content.into()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for (name, value) in [("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin")] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let may = |host: &'static str| is_loopback(&HeaderValue::from_static(host));
        assert!(may("127.0.0.1:8090") && may("localhost:8090") && may("LOCALHOST") && may("[::1]:8090"));
        for foreign in ["", "rebound.example:8090", "127.0.0.1.example", "localhost.example", "192.0.2.1", "[::2]:80"] {
            assert!(!may(foreign), "{foreign} was answered");
        }
    }
}
