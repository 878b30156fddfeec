//! What pages say where somebody decides: it goes into the proof, and comes back with the form, so that nobody agrees
//! to words that the page did not show.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{Inner, Visit};
use crate::clock;
use crate::domain::consent::Salts;
use crate::domain::id::RunId;
use crate::domain::shown::{Shown, Words};
use crate::domain::token::Purpose;
use crate::domain::wording::Wording;
use crate::store::subscriptions::Origin;

impl Inner {
    /// How a decision that is made now came about; without words a program made it for the person.
    pub(super) fn origin(&self, channel: &'static str, visit: &Visit<'_>, wording: Option<String>) -> Origin<'static> {
        let token = &visit.token;
        let version =
            self.options.version.map_or_else(|| "built-in".to_owned(), |version| format!("version {version}"));
        let language = visit.texts.tag.clone();
        let shown = Shown {
            words: wording.map(|wording| Words { wording, wording_version: version, language }),
            form_url: format!("{}{}", self.options.base_url, place(&token.purpose)),
            request: visit.reader.request.clone(),
        };
        // A notice is of no run.
        let run = Some(token.run).filter(|run| *run != RunId::NOTICES);
        let salts = Salts::new(&clock::secret());
        Origin { channel, run, at: self.clock.now(), salts, shown: Some(shown) }
    }

    /// What changes when anything that can be agreed to on the preferences page does.
    pub(super) fn choices_mark(&self, t: &Wording) -> String {
        let titles: Vec<String> = self.options.topics.values().map(|title| topic_words(t, title)).collect();
        mark(&json!([t.tag, titles, tracking_words(t)]).to_string())
    }
}

/// What a topic's box says.
pub(super) fn topic_words(t: &Wording, title: &str) -> String {
    format!("{} {title}", t.say("topics_legend"))
}

/// What the box about tracking says.
pub(super) fn tracking_words(t: &Wording) -> String {
    format!("{} · {}", t.say("tracking_label"), t.say("tracking_hint"))
}

/// A question, and the button that says yes to it.
pub(super) fn question_words(question: &str, button: &str) -> String {
    format!("{question} {button}")
}

/// Tells whether a form showed these words.
pub(super) fn mark(words: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, words.as_bytes()).as_ref()[..9])
}

/// Where a page is, without the token.
fn place(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Unsubscribe => "/u/",
        Purpose::Keep => "/k/",
        Purpose::OwnData { .. } => "/d/",
        Purpose::NewAddress { .. } => "/a/",
        _ => "/p/",
    }
}
