//! The pages' HTML and the headers that go with it. Everything is escaped; there is no cookie, nothing
//! from elsewhere, and no script but the one by which a browser works while very many join.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handlebars::{Handlebars, RenderError};
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::look;
use crate::config::Look;
use crate::domain::wording::Wording;
use crate::web::Answer;

/// What stands on a page.
#[derive(Debug, Default, Serialize)]
pub(super) struct View {
    pub(super) title: String,
    pub(super) text: String,
    /// Whether the text is the result of a form.
    pub(super) done: bool,
    /// Where a consent can be kept: what shows that the page asked.
    pub(super) keep: Option<String>,
    pub(super) leave: Option<Leave>,
    pub(super) preferences: Option<Preferences>,
    pub(super) why: Option<Why>,
    pub(super) join: Option<JoinForm>,
    /// Whether there is a button that confirms.
    pub(super) confirm: bool,
    pub(super) own: Option<OwnData>,
    pub(super) fresh: Option<Fresh>,
    pub(super) step: Option<Step>,
    /// Where the person's data are, for a link.
    pub(super) own_path: Option<String>,
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
    /// Whether there is a topic to leave.
    pub(super) subscribed: bool,
    /// How often; none when there is no choice.
    pub(super) paces: Vec<Pick>,
    pub(super) tracking: bool,
    /// What shows which words the page has.
    pub(super) mark: String,
}

/// The form that asks why somebody left.
#[derive(Debug, Serialize)]
pub(super) struct Why {
    pub(super) reasons: Vec<Pick>,
    /// Most characters of one's own words.
    pub(super) most: usize,
}

/// Everything about the person that can be changed, copied or erased.
#[derive(Debug, Serialize)]
pub(super) struct OwnData {
    /// Whether there is an attribute or a language to change.
    pub(super) editable: bool,
    pub(super) fields: Vec<OwnField>,
    /// Of mails; none where there is but one.
    pub(super) languages: Vec<Pick>,
    pub(super) language_fault: Option<String>,
    pub(super) address_now: String,
    /// What was typed as the new one.
    pub(super) address: String,
    pub(super) address_fault: Option<String>,
    pub(super) json_path: String,
    pub(super) csv_path: String,
}

/// An attribute's field.
#[derive(Debug, Serialize)]
pub(super) struct OwnField {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) value: String,
    pub(super) ticked: bool,
    pub(super) is_bool: bool,
    pub(super) is_date: bool,
    pub(super) is_number: bool,
    /// What is wrong with the value.
    pub(super) fault: Option<String>,
    /// Most characters.
    pub(super) most: usize,
}

/// The button that asks for a link by mail.
#[derive(Debug, Serialize)]
pub(super) struct Fresh {
    pub(super) hint: String,
    pub(super) button: String,
}

/// A single button that says yes.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) button: String,
}

impl Step {
    pub(super) fn new(name: &str, value: &str, button: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), button: button.to_owned() }
    }
}

/// One of several, of which one can be chosen.
#[derive(Debug, Serialize)]
pub(super) struct Pick {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

impl Pick {
    pub(super) fn new(value: &str, label: &str, chosen: bool) -> Self {
        Self { value: value.to_owned(), label: label.to_owned(), chosen }
    }
}

/// A topic's box.
#[derive(Debug, Serialize)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) subscribed: bool,
}

/// The form for joining.
#[derive(Debug, Serialize)]
pub(super) struct JoinForm {
    pub(super) address: String,
    /// Whether the address is none.
    pub(super) wrong: bool,
    /// What there is to choose from; empty where there is one thing.
    pub(super) topics: Vec<Topic>,
    /// The title of the one thing.
    pub(super) only: Option<String>,
    pub(super) fields: Vec<Field>,
    pub(super) wording: Words,
    pub(super) tracking: Option<Words>,
    pub(super) ticked: bool,
    pub(super) stamp: String,
    /// Bits of work that the browser is to do.
    pub(super) work: Option<u8>,
}

/// A field for text.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) value: String,
    pub(super) autocomplete: &'static str,
}

/// What somebody agrees to, and its language.
#[derive(Debug, Serialize)]
pub(super) struct Words {
    pub(super) lang: String,
    pub(super) text: String,
}

impl View {
    /// A page that only says something.
    pub(super) fn notice(title: &str, text: impl Into<String>) -> Self {
        Self { title: title.to_owned(), text: text.into(), ..Self::default() }
    }

    /// What is agreed to on the page, and what brings back that it was shown, each with the part that has it: it goes
    /// into the proof, so that no template may leave it out.
    pub(super) fn agreed<'a>(&'a self, t: &'a Wording) -> Vec<(&'static str, &'a str)> {
        let mut agreed: Vec<_> =
            self.keep.iter().flat_map(|mark| [t.say("keep_button"), mark].map(|it| ("keep", it))).collect();
        if let Some(it) = &self.preferences {
            let said = ["topics_legend", "tracking_label", "tracking_hint"].map(|name| t.say(name));
            let titles = it.topics.iter().map(|topic| topic.title.as_str());
            agreed.extend(said.into_iter().chain(titles).chain([it.mark.as_str()]).map(|it| ("preferences", it)));
        }
        if let Some(it) = &self.join {
            let words =
                [Some(&it.wording), it.tracking.as_ref()].into_iter().flatten().map(|words| words.text.as_str());
            agreed.extend(words.chain([it.stamp.as_str()]).map(|it| ("join", it)));
        }
        agreed
    }
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    view: &'a View,
    lang: &'a str,
    dir: &'static str,
    t: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    fixed: Fixed<'a>,
}

/// What is the same on all pages.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Fixed<'a> {
    pub(super) style: &'a str,
    pub(super) sender: &'a str,
    pub(super) imprint_url: Option<&'a str>,
}

impl Fixed<'_> {
    /// For trying templates.
    pub(super) fn sample() -> Self {
        Self { style: "", sender: "Alpenlauf", imprint_url: Some("https://alpenlauf.example/imprint") }
    }

    pub(super) fn render(self, templates: &Handlebars<'_>, view: &View, t: &Wording) -> Result<String, RenderError> {
        let dir = if t.right_to_left { "rtl" } else { "ltr" };
        templates.render("page", &Page { view, lang: &t.tag, dir, t: &t.sentences, fixed: self })
    }
}

/// Renders pages.
pub(super) struct Html {
    templates: Handlebars<'static>,
    style: String,
    sender: String,
    imprint_url: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Html {
    /// Templates that do not work are not used: a version may have been applied by another release.
    pub(super) fn new(sender: String, imprint_url: Option<String>, look: &Look) -> Self {
        let (templates, style) = look::compile(look).unwrap_or_else(|problems| {
            for problem in problems {
                tracing::error!(%problem, "pages look as built in, because their own look cannot be used");
            }
            (look::built_in(), look::BUILT_IN_STYLE.to_owned())
        });
        Self { headers: headers(&style), templates, style, sender, imprint_url }
    }

    pub(super) fn answer(&self, t: &Wording, view: &View) -> Answer {
        let fixed = Fixed { style: &self.style, sender: &self.sender, imprint_url: self.imprint_url.as_deref() };
        let html = fixed.render(&self.templates, view, t).or_else(|error| {
            tracing::error!(%error, "a page's own template failed, and the built-in one is used");
            fixed.render(&look::built_in(), view, t)
        });
        let html = html.unwrap_or_else(|error| {
            tracing::error!(%error, "a page could not be rendered");
            String::new()
        });
        let mut answer = Response::new(Full::new(Bytes::from(html)));
        answer.headers_mut().extend(self.headers.iter().cloned());
        answer
    }
}

fn headers(style: &str) -> Vec<(HeaderName, HeaderValue)> {
    let style = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'"
    );
    let fixed = [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store")];
    fixed
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .chain(guards())
        .chain(HeaderValue::from_str(&policy).map(|p| (HeaderName::from_static("content-security-policy"), p)))
        .collect()
}

/// What every page tells browsers not to do.
pub(super) fn guards() -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let guards = [
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-robots-tag", "noindex, nofollow"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    guards.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
}
