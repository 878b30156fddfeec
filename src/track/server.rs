//! Answers the pixel and tracked links. The hot path: no look-up, and one commit for all hits that
//! wait together.
//!
//! A hit is on disk before its answer goes out. When the spool cannot be written, both pixel and
//! link are answered with 503: a redirect would be an answered hit that is lost.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use url::Url;

use super::{Clients, Intake};
use crate::clock::Clock;
use crate::domain::hit::{Hit, HitKind, HitMethod, MAX_USER_AGENT};
use crate::domain::network::{Block, Network};
use crate::domain::token::{Keyring, Purpose, Token};
use crate::metrics::Metrics;
use crate::web::{Answer, Handler, method_not_allowed, not_found, text, try_again};

/// The smallest picture there is: one transparent dot.
const PIXEL: &[u8; 43] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
const ALLOWED: &str = "GET, HEAD, OPTIONS";
pub(super) const RETRY_SECONDS: u16 = 5;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Settings of the tracker.
#[derive(Clone, Debug)]
pub struct Options {
    /// Proxies whose `X-Forwarded-For` is believed, besides those on loopback.
    pub trusted_proxies: Vec<Block>,
    /// Requests a second from one network (/24 or /48). Image proxies and mobile networks stand for
    /// many people, so be generous.
    pub per_network: NonZeroU32,
    /// Requests at once from one network.
    pub burst: NonZeroU32,
}

/// Answers `/c/` and `/o/`, and leaves other paths to `rest`.
pub struct Tracker<R> {
    shared: Arc<Shared>,
    rest: R,
}

struct Shared {
    keys: Arc<Keyring>,
    intake: Intake,
    clients: Clients,
    clock: Clock,
    metrics: Metrics,
}

impl<R: Clone> Clone for Tracker<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), rest: self.rest.clone() }
    }
}

impl<R: Handler> Tracker<R> {
    /// A tracker that verifies tokens with `keys` and gives hits to `intake`.
    pub fn new(keys: Arc<Keyring>, intake: Intake, clock: Clock, metrics: Metrics, options: Options, rest: R) -> Self {
        let clients = Clients::new(options.trusted_proxies, options.per_network, options.burst);
        Self { shared: Arc::new(Shared { keys, intake, clients, clock, metrics }), rest }
    }
}

impl<R: Handler> Handler for Tracker<R> {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let Some(network) = self.shared.clients.admit(peer, request.headers()) else {
            self.shared.metrics.request("limited", StatusCode::TOO_MANY_REQUESTS.as_u16());
            let path = request.uri().path();
            let is_page = !path.starts_with("/c/") && !path.starts_with("/o/");
            return match is_page {
                true => self.rest.too_many(&request, RETRY_SECONDS),
                false => try_again(StatusCode::TOO_MANY_REQUESTS, RETRY_SECONDS),
            };
        };
        let path = request.uri().path();
        let (route, answer) = if let Some(token) = path.strip_prefix("/c/") {
            ("click", self.shared.answer(HitKind::Click, token, &request, network).await)
        } else if let Some(token) = path.strip_prefix("/o/") {
            let token = token.strip_suffix(".gif").unwrap_or(token);
            ("open", self.shared.answer(HitKind::Open, token, &request, network).await)
        } else {
            ("page", self.rest.answer(request, peer).await)
        };
        self.shared.metrics.request(route, answer.status().as_u16());
        answer
    }
}

impl Shared {
    async fn answer(&self, kind: HitKind, token: &str, request: &Request<Incoming>, network: Network) -> Answer {
        let Some(Token { run, recipient, purpose }) = self.keys.verify(token) else { return not_found() };
        let (link, item, category, url, answer) = match (kind, purpose) {
            (HitKind::Click, Purpose::Click { link, item, category, url }) => match location(&url) {
                Some(location) => (link, item, category, url, redirect(location)),
                None => return not_found(),
            },
            (HitKind::Open, Purpose::Open) => (0, 0, String::new(), String::new(), pixel()),
            _ => return not_found(),
        };
        let Some(method) = method(request) else { return method_not_allowed(ALLOWED) };
        if !request.body().is_end_stream() {
            return refuse_body();
        }
        let hit = Hit {
            at: self.clock.now(),
            kind,
            method,
            run,
            recipient,
            link,
            item,
            category,
            url,
            user_agent: user_agent(request.headers()),
            network: network.to_string(),
        };
        if let Err(error) = self.intake.take(hit).await {
            tracing::error!(%error, "a hit could not be written to the spool");
            return try_again(StatusCode::SERVICE_UNAVAILABLE, RETRY_SECONDS);
        }
        if method == HitMethod::Options { options() } else { answer }
    }
}

/// How a request asks, if it is one that is answered.
fn method(request: &Request<Incoming>) -> Option<HitMethod> {
    match *request.method() {
        Method::GET if is_prefetch(request.headers()) => Some(HitMethod::Prefetch),
        Method::GET => Some(HitMethod::Get),
        Method::HEAD => Some(HitMethod::Head),
        Method::OPTIONS => Some(HitMethod::Options),
        _ => None,
    }
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"].iter().any(|name| {
        let words = headers.get(*name).map(HeaderValue::as_bytes).unwrap_or_default();
        words.windows(8).any(|w| w.eq_ignore_ascii_case(b"prefetch"))
    })
}

/// The user agent, cut to [`MAX_USER_AGENT`] octets; what is not UTF-8 is replaced.
fn user_agent(headers: &HeaderMap) -> String {
    let bytes = headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(MAX_USER_AGENT));
    text
}

/// The target as a header: an http or https address in ASCII.
fn location(url: &str) -> Option<HeaderValue> {
    let plain = url.bytes().all(|b| b.is_ascii_graphic());
    if plain && (url.starts_with("https://") || url.starts_with("http://")) {
        return HeaderValue::from_str(url).ok();
    }
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    HeaderValue::from_str(url.as_str()).ok()
}

fn redirect(location: HeaderValue) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::FOUND;
    answer.headers_mut().insert(LOCATION, location);
    answer.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    answer
}

fn pixel() -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(PIXEL)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    answer.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    answer
}

fn options() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED));
    answer
}

/// Nobody who follows a link sends a body; it is not read.
fn refuse_body() -> Answer {
    let mut answer = text(StatusCode::PAYLOAD_TOO_LARGE, "A body is not expected here.\n");
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_http_and_https_alone_and_is_ascii() {
        let to = |url: &str| location(url).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(to("https://shop.example/?a=b#c").as_deref(), Some("https://shop.example/?a=b#c"));
        assert_eq!(to("HTTPS://shop.example/x").as_deref(), Some("https://shop.example/x"));
        assert_eq!(to("https://müller.example/ö").as_deref(), Some("https://xn--mller-kva.example/%C3%B6"));
        for bad in ["javascript:alert(1)", "//evil.example", "/c/x", "", "ftp://example.org/", "data:text/html,x"] {
            assert_eq!(to(bad), None, "{bad}");
        }
        assert_eq!(to("https://a.example/\r\nSet-Cookie: x"), Some("https://a.example/Set-Cookie:%20x".to_owned()));
    }

    #[test]
    fn a_user_agent_is_cut_between_characters() {
        let mut headers = HeaderMap::new();
        let long = format!("{}{}", "a".repeat(MAX_USER_AGENT - 1), "ü".repeat(9));
        headers.insert(USER_AGENT, HeaderValue::from_bytes(long.as_bytes()).unwrap());
        assert_eq!(user_agent(&headers).len(), MAX_USER_AGENT - 1);
        headers.insert(USER_AGENT, HeaderValue::from_bytes(&[0xff; 900]).unwrap());
        assert!(user_agent(&headers).len() <= MAX_USER_AGENT);
    }
}
