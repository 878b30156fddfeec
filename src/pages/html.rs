//! The pages' HTML and the headers that go with it. Everything is escaped; there is no script, no
//! cookie, nothing from elsewhere.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handlebars::Handlebars;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::language::Texts;
use crate::web::Answer;

const TEMPLATE: &str = include_str!("page.hbs");
const STYLE: &str = include_str!("page.css");

/// What stands on a page.
#[derive(Debug, Default, Serialize)]
pub(super) struct View {
    pub(super) title: String,
    pub(super) text: String,
    /// Whether the text is the result of a form.
    pub(super) done: bool,
    pub(super) leave: Option<Leave>,
    pub(super) preferences: Option<Preferences>,
    /// Where preferences are, for a link.
    pub(super) preferences_path: Option<String>,
}

/// The form for leaving.
#[derive(Debug, Serialize)]
pub(super) struct Leave {
    /// Whether the topic can still be left.
    pub(super) topic: bool,
}

/// The form for preferences.
#[derive(Debug, Serialize)]
pub(super) struct Preferences {
    pub(super) topics: Vec<Topic>,
    pub(super) tracking: bool,
}

/// A topic's box.
#[derive(Debug, Serialize)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) subscribed: bool,
}

impl View {
    /// A page that only says something.
    pub(super) fn notice(title: &str, text: impl Into<String>) -> Self {
        Self { title: title.to_owned(), text: text.into(), ..Self::default() }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    view: &'a View,
    t: &'a Texts,
    style: &'a str,
    sender: &'a str,
    imprint_url: Option<&'a str>,
}

/// Renders pages.
pub(super) struct Html {
    templates: Handlebars<'static>,
    sender: String,
    imprint_url: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Html {
    pub(super) fn new(sender: String, imprint_url: Option<String>) -> Self {
        let mut templates = Handlebars::new();
        templates.register_template_string("page", TEMPLATE).expect("the built-in template is in order");
        Self { templates, sender, imprint_url, headers: headers() }
    }

    pub(super) fn answer(&self, t: &Texts, view: &View) -> Answer {
        let page = Page { view, t, style: STYLE, sender: &self.sender, imprint_url: self.imprint_url.as_deref() };
        let html = self.templates.render("page", &page).unwrap_or_else(|error| {
            tracing::error!(%error, "a page could not be rendered");
            String::new()
        });
        let mut answer = Response::new(Full::new(Bytes::from(html)));
        answer.headers_mut().extend(self.headers.iter().cloned());
        answer
    }
}

fn headers() -> Vec<(HeaderName, HeaderValue)> {
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    let fixed = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-robots-tag", "noindex, nofollow"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ];
    fixed
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .chain(HeaderValue::from_str(&policy).map(|p| (HeaderName::from_static("content-security-policy"), p)))
        .collect()
}
