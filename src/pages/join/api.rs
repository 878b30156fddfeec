//! `POST /api/subscribe`: the sender's own site asks for somebody to be asked.

use std::net::IpAddr;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::body::{self, Unread};
use super::request::{Asking, text_of};
use super::{Inner, RETRY_NETWORK, RETRY_SECONDS, Terms};
use crate::domain::address::Address;
use crate::domain::hit::MAX_USER_AGENT;
use crate::domain::network::Network;
use crate::domain::shown::Request;
use crate::domain::wording;
use crate::store::recipients::Attributes;
use crate::web::Answer;

/// What the body says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    address: String,
    /// None: all that can be joined.
    topics: Option<Vec<String>>,
    #[serde(default)]
    attributes: std::collections::BTreeMap<String, String>,
    /// Whether the box about tracking was ticked.
    #[serde(default)]
    tracking: bool,
    /// BCP 47.
    #[serde(default)]
    language: String,
    /// The page with the form.
    form_url: String,
    /// What the person agreed to there; none: the words of `[join]`.
    wording: Option<String>,
    tracking_wording: Option<String>,
    wording_version: Option<String>,
    /// The person's address in the network, and program.
    ip: Option<IpAddr>,
    #[serde(default)]
    user_agent: String,
}

impl Inner {
    pub(super) async fn subscribe(self: std::sync::Arc<Self>, headers: HeaderMap, body: Incoming) -> Answer {
        let Some(terms) = self.terms.clone() else { return says(StatusCode::NOT_FOUND, "nobody can join here") };
        let key = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = key.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key);
        let Some(owner) = key.and_then(|key| self.desk.api_keys.owner(key.trim())).map(str::to_owned) else {
            let mut answer =
                says(StatusCode::UNAUTHORIZED, "send 'Authorization: Bearer KEY' with a key of this project");
            answer.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
            return answer;
        };
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return says(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json");
        }
        let body = match read(body).await {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let body: Body = match serde_json::from_slice(&body) {
            Ok(body) => body,
            // It names the field and the place, and repeats no value.
            Err(error) if error.is_data() => return refuses(&[("body", shortened(&error.to_string()))]),
            Err(error) => return refuses(&[("body", format!("no JSON at line {}", error.line()))]),
        };
        if !self.desk.pace.admits(body.ip, terms.join.per_network) {
            return too_many(RETRY_NETWORK);
        }
        let asking = match self.asking(&terms, body) {
            Ok(asking) => asking,
            Err(faults) => return refuses(&faults),
        };
        super::in_task(async move {
            match self.take(&terms, &asking).await {
                Ok(()) => says(StatusCode::ACCEPTED, "accepted"),
                Err(error) => {
                    tracing::warn!(%error, owner, "a request to join could not be written down");
                    let mut answer = says(StatusCode::SERVICE_UNAVAILABLE, "try again");
                    answer.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS.into());
                    answer
                }
            }
        })
        .await
    }

    fn asking(&self, terms: &Terms, body: Body) -> Result<Asking, Vec<(&'static str, String)>> {
        let mut faults = Vec::new();
        let join = &terms.join;
        let address = Address::parse(&body.address).map_err(|fault| faults.push(("address", fault.to_owned()))).ok();
        let topics = body.topics.unwrap_or_else(|| join.topics.clone());
        if topics.is_empty() || topics.iter().any(|topic| !join.topics.contains(topic)) {
            faults.push(("topics", format!("some of {}", join.topics.join(", "))));
        }
        if body.attributes.keys().any(|name| !join.attributes.contains(name)) {
            faults.push(("attributes", format!("some of {}", join.attributes.join(", "))));
        }
        if body.tracking && !join.ask_tracking {
            faults.push(("tracking", "this project does not ask for it ([join] ask_tracking)".to_owned()));
        }
        if body.wording.is_none() && (body.tracking_wording.is_some() || body.wording_version.is_some()) {
            faults.push(("wording", "the words of contact go with it".to_owned()));
        }
        if body.wording.is_some() && body.wording_version.is_none() {
            faults.push(("wording_version", "own words need a name that changes with them".to_owned()));
        }
        if body.wording.is_some() && body.tracking && body.tracking_wording.is_none() {
            faults.push(("tracking_wording", "own words about tracking are missing".to_owned()));
        }
        let texts = [&body.wording, &body.tracking_wording, &body.wording_version].into_iter().flatten();
        if texts.chain([&body.form_url]).any(|text| text.trim().is_empty() || text.len() > 2_000) {
            faults.push(("body", "texts have 1 to 2000 octets".to_owned()));
        }
        if !body.form_url.starts_with("https://") && !body.form_url.starts_with("http://") {
            faults.push(("form_url", "the address of the page with the form, https://…".to_owned()));
        }
        let Some(address) = address.filter(|_| faults.is_empty()) else { return Err(faults) };
        let t = wording::choose(&self.options.look.wordings, Some(&body.language), "", &self.options.locale);
        let (wording_language, usual) = self.words(t, terms);
        let own = body.wording.is_some();
        let mut user_agent = body.user_agent;
        user_agent.truncate(user_agent.floor_char_boundary(MAX_USER_AGENT));
        let attributes = body.attributes.iter().map(|(name, value)| (name.clone(), Value::from(text_of(value))));
        Ok(Asking {
            typed: body.address.chars().take(320).collect(),
            address,
            topics,
            attributes: attributes.filter(|(_, value)| value != "").collect::<Attributes>(),
            tracking: body.tracking,
            language: t.tag.clone(),
            wording_language: if own && !body.language.is_empty() { text_of(&body.language) } else { wording_language },
            wording: body.wording.unwrap_or(usual),
            tracking_wording: body
                .tracking
                .then(|| body.tracking_wording.unwrap_or_else(|| self.tracking_words(t, terms))),
            version: body.wording_version.unwrap_or_else(|| join.version.clone()),
            form_url: body.form_url,
            channel: "api",
            request: Request {
                network: body.ip.map(|ip| Network::from(ip).to_string()).unwrap_or_default(),
                user_agent,
            },
        })
    }
}

/// The answer to a network that asks too often.
pub(super) fn too_many(seconds: u16) -> Answer {
    let mut answer = says(StatusCode::TOO_MANY_REQUESTS, "too many from this network");
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    answer
}

async fn read(body: Incoming) -> Result<Bytes, Answer> {
    body::read(body).await.map_err(|unread| {
        let words = match unread {
            Unread::TooLarge => "the body has more than 16 KB",
            Unread::Broken => "the body could not be read",
            Unread::TooSlow => "the body took too long",
        };
        says(unread.status(), words)
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

fn refuses(faults: &[(&'static str, String)]) -> Answer {
    let errors: Vec<_> = faults.iter().map(|(field, message)| json!({"field": field, "message": message})).collect();
    answer(StatusCode::UNPROCESSABLE_ENTITY, &json!({"errors": errors}))
}

fn says(status: StatusCode, what: &'static str) -> Answer {
    let name = if status.is_success() { "status" } else { "error" };
    answer(status, &json!({name: what}))
}

fn answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{body}\n"))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
