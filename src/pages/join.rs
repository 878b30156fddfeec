//! Joining: the form for strangers, `/api/subscribe` for the sender's own site, and the page that confirms.
//!
//! Whoever asks gets the same answer whether or not the address is known, and nothing is a recipient before the
//! button of the page behind the mail's link was pressed. GET changes nothing.

mod api;
mod confirm;
mod form;
mod pace;
mod request;
mod snippet;
mod stamp;

pub use snippet::snippet;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};

use super::form::{Form, URL_ENCODED};
use super::html::{Html, View};
use super::reader::{Reader, accepted};
use super::{Options, read_form};
use crate::clock::Clock;
use crate::config::Loaded;
use crate::config::secrets::ApiKeys;
use crate::domain::id::JoinId;
use crate::domain::join;
use crate::domain::token::{Keyring, Purpose};
use crate::domain::wording::Wording;
use crate::store::{self, Store};
use crate::web::{Answer, Handler, Proxies, in_task, method_not_allowed};
use pace::Pace;

const SCRIPT: &str = include_str!("join/join.js");
const RETRY_SECONDS: u16 = 30;
/// After this a network may try again.
const RETRY_NETWORK: u16 = 600;

/// What joining needs as long as the process lives, whichever version governs.
pub struct Desk {
    /// The key under which addresses are hashed.
    pub hash_key: hmac::Key,
    /// Which programs may ask `/api/subscribe`.
    pub api_keys: ApiKeys,
    /// Whose word counts about where a request came from.
    pub proxies: Proxies,
    pace: Pace,
}

impl Desk {
    /// A desk at which nobody has asked yet.
    #[must_use]
    pub fn new(hash_key: hmac::Key, api_keys: ApiKeys, proxies: Proxies) -> Self {
        Self { hash_key, api_keys, proxies, pace: Pace::default() }
    }
}

/// What a version says about joining.
#[derive(Clone)]
struct Terms {
    join: join::Joining,
    /// Without trailing slash.
    base_url: String,
    /// What stands behind the form's address where it is for some of the topics.
    set: String,
}

impl Terms {
    /// The same for those topics alone that the form's address names, if it names any; `None` where nobody can join
    /// any of these.
    fn of_set(&self, query: &str) -> Option<Cow<'_, Self>> {
        let asked = Form::parse(URL_ENCODED, query.as_bytes());
        if !asked.has("topic") {
            return Some(Cow::Borrowed(self));
        }
        let mut terms = self.clone();
        terms.join.topics.retain(|topic| asked.all("topic").any(|name| name == topic));
        terms.set = set(&terms.join.topics);
        (!terms.join.topics.is_empty()).then_some(Cow::Owned(terms))
    }
}

/// What the address of a form for some topics ends with.
fn set(topics: &[String]) -> String {
    format!("?topic={}", topics.join("&topic="))
}

/// Answers `/join`, `/join.js`, `/j/` and `/api/subscribe`, and leaves other paths to `rest`.
#[derive(Clone)]
pub struct Joining<R> {
    inner: Arc<Inner>,
    rest: R,
}

struct Inner {
    keys: Arc<Keyring>,
    store: Store,
    clock: Clock,
    desk: Arc<Desk>,
    options: Options,
    html: Html,
    /// None: nobody can join.
    terms: Option<Terms>,
}

impl<R: Handler> Joining<R> {
    /// Joining as `loaded` says; without it nobody can join.
    pub fn new(
        keys: Arc<Keyring>,
        store: Store,
        clock: Clock,
        desk: Arc<Desk>,
        (options, loaded): (Options, Option<&Loaded>),
        rest: R,
    ) -> Self {
        let html = Html::new(options.sender.clone(), options.imprint_url.clone(), &options.look);
        let terms = loaded.and_then(|loaded| {
            let base_url = loaded.project.base_url.trim_end_matches('/').to_owned();
            Some(Terms { join: loaded.join.clone()?, base_url, set: String::new() })
        });
        Self { inner: Arc::new(Inner { keys, store, clock, desk, options, html, terms }), rest }
    }
}

impl<R: Handler> Handler for Joining<R> {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let path = request.uri().path();
        let inner = Arc::clone(&self.inner);
        let join = match path.strip_prefix("/j/") {
            Some(token) => match inner.keys.verify(token) {
                Some(token) if token.purpose == Purpose::Confirm => Some(JoinId(token.recipient.0)),
                _ => return inner.nowhere(&accepted(request.headers())),
            },
            None if matches!(path, "/join" | "/join.js" | "/api/subscribe") => None,
            None => return self.rest.answer(request, peer).await,
        };
        let path = path.to_owned();
        let (parts, body) = request.into_parts();
        let reader = Reader::new(&inner.desk.proxies, peer, &parts.headers);
        let query = parts.uri.query().unwrap_or_default().to_owned();
        match (join, path.as_str(), &parts.method) {
            (None, "/api/subscribe", &Method::POST) => inner.subscribe(parts.headers, body).await,
            (None, "/api/subscribe", _) => method_not_allowed("POST"),
            (None, "/join.js", &(Method::GET | Method::HEAD)) => script(),
            (None, "/join.js", _) => method_not_allowed("GET, HEAD"),
            (_, _, &(Method::GET | Method::HEAD)) => {
                in_task(async move { inner.show(join, &reader, &query).await }).await
            }
            (_, _, &Method::POST) => match read_form(&parts.headers, body).await {
                Ok(form) => in_task(async move { inner.take_form(join, &reader, &form, &query).await }).await,
                Err(unread) => inner.html.unread(inner.texts(&reader), unread),
            },
            _ => method_not_allowed("GET, HEAD, POST"),
        }
    }

    fn too_many(&self, request: &Request<Incoming>, seconds: u16) -> Answer {
        let Inner { options, html, .. } = &*self.inner;
        match request.uri().path() {
            "/api/subscribe" => api::too_many(seconds),
            _ => html.too_many(options.wording(&accepted(request.headers())), seconds),
        }
    }
}

impl Inner {
    async fn show(&self, join: Option<JoinId>, reader: &Reader, query: &str) -> Answer {
        let texts = self.texts(reader);
        match (join, self.terms_of(query)) {
            (Some(join), _) => self.or_away(texts, self.ask_to_confirm(texts, join).await),
            (None, Some(terms)) => self.blank_form(texts, &terms),
            (None, None) => self.html.nowhere(texts),
        }
    }

    async fn take_form(&self, join: Option<JoinId>, reader: &Reader, form: &Form, query: &str) -> Answer {
        let texts = self.texts(reader);
        match (join, self.terms_of(query)) {
            (Some(join), _) => self.or_away(texts, self.confirm(texts, join, reader).await),
            (None, Some(terms)) => self.or_away(texts, self.filled_form(texts, &terms, reader, form).await),
            (None, None) => self.html.nowhere(texts),
        }
    }

    fn terms_of(&self, query: &str) -> Option<Cow<'_, Terms>> {
        self.terms.as_ref()?.of_set(query)
    }

    fn texts(&self, reader: &Reader) -> &Wording {
        self.options.wording(&reader.accepted)
    }

    fn nowhere(&self, accepted: &str) -> Answer {
        self.html.nowhere(self.options.wording(accepted))
    }

    /// A page that says only this.
    fn says(&self, texts: &Wording, title: &str, sentence: &str) -> Answer {
        self.html.answer(texts, &View::notice(texts.say(title), texts.say(sentence)))
    }

    fn or_away(&self, texts: &Wording, outcome: store::Result<Answer>) -> Answer {
        outcome.unwrap_or_else(|error| {
            tracing::warn!(%error, "a request to join could not be dealt with");
            self.html.away(texts)
        })
    }

    /// The topics' titles, as a list.
    fn titles(&self, topics: &[String]) -> String {
        let title = |topic: &String| self.options.topics.get(topic).unwrap_or(topic).clone();
        topics.iter().map(title).collect::<Vec<_>>().join(", ")
    }
}

fn script() -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(SCRIPT.as_bytes())));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}
