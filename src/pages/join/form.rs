//! `/join`: the form, and what is made of what comes back.

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};

use serde_json::json;

use super::request::{Asking, text_of};
use super::stamp::{Verdict, judge, stamp};
use super::{Inner, RETRY_NETWORK, Terms};
use crate::domain::address::Address;
use crate::domain::join::words_for;
use crate::domain::wording::Wording;
use crate::pages::Outcome;
use crate::pages::form::Form;
use crate::pages::html::{Field, JoinForm, Topic, View, Words};
use crate::pages::reader::Reader;
use crate::web::Answer;

/// Most characters of an attribute.
pub(super) const MOST: usize = 200;

/// Attributes that browsers know how to fill in.
pub(super) const AUTOCOMPLETE: [(&str, &str); 6] = [
    ("first_name", "given-name"),
    ("last_name", "family-name"),
    ("city", "address-level2"),
    ("company", "organization"),
    ("country", "country-name"),
    ("postal_code", "postal-code"),
];

/// What was filled in.
#[derive(Default)]
struct Filled {
    address: String,
    topics: Vec<String>,
    attributes: Vec<(String, String)>,
    tracking: bool,
}

impl Filled {
    fn read(form: &Form, terms: &Terms) -> Self {
        let first = |name: &str| form.all(name).next().unwrap_or_default().to_owned();
        let join = &terms.join;
        let ticked = |topic: &&String| join.topics.len() == 1 || form.all("topic").any(|name| name == *topic);
        Self {
            // As it came: the work was done for it.
            address: first("address").chars().take(320).collect(),
            topics: join.topics.iter().filter(ticked).cloned().collect(),
            attributes: join.attributes.iter().map(|name| (name.clone(), text_of(&first(name)))).collect(),
            tracking: join.ask_tracking && form.has("tracking"),
        }
    }
}

impl Inner {
    pub(super) fn blank_form(&self, t: &Wording, terms: &Terms) -> Answer {
        let filled = Filled {
            attributes: terms.join.attributes.iter().map(|name| (name.clone(), String::new())).collect(),
            ..Filled::default()
        };
        self.form(t, terms, &filled, None, self.desk.pace.bits())
    }

    pub(super) async fn filled_form(&self, t: &Wording, terms: &Terms, reader: &Reader, form: &Form) -> Outcome {
        let join = &terms.join;
        let Some(bits) = self.desk.pace.count(reader.client, join.per_network, join.challenge_above) else {
            return Ok(self.html.too_many(t, RETRY_NETWORK));
        };
        // People do not see this field.
        if form.all("website").any(|value| !value.is_empty()) {
            return Ok(self.says(t, "join_sent_title", "join_sent"));
        }
        let filled = Filled::read(form, terms);
        let first = |name: &str| form.all(name).next().unwrap_or_default().to_owned();
        let (stamp, work) = (first("stamp"), first("work"));
        let again = |said: &str| Ok(self.form(t, terms, &filled, Some(said), bits));
        // First what the person can mend: nobody is to work or wait twice for that.
        let Ok(address) = Address::parse(&filled.address) else { return again("join_bad_address") };
        if filled.topics.is_empty() {
            return again("join_pick");
        }
        let shown = self.shown(t, terms);
        match judge(&self.keys, self.clock.now(), bits, &shown, (&stamp, &filled.address, &work)) {
            Verdict::Fine => {}
            Verdict::Waited if self.desk.pace.takes_waiting() => {}
            Verdict::Again => return again("join_again"),
            Verdict::Waited | Verdict::Work => return again("join_wait"),
        }
        let (language, wording) = self.words(t, terms);
        let attributes = filled.attributes.iter().filter(|(_, value)| !value.is_empty());
        let asking = Asking {
            typed: filled.address.clone(),
            address,
            topics: filled.topics.clone(),
            attributes: attributes.map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
            tracking: filled.tracking,
            language: t.tag.clone(),
            wording_language: language,
            wording,
            tracking_wording: filled.tracking.then(|| self.tracking_words(t, terms)),
            version: join.version.clone(),
            form_url: format!("{}/join{}", terms.base_url, terms.set),
            channel: "join",
            request: reader.request.clone(),
        };
        self.take(terms, &asking).await?;
        Ok(self.says(t, "join_sent_title", "join_sent"))
    }

    /// What one agrees to, and in which language that is said.
    pub(super) fn words(&self, t: &Wording, terms: &Terms) -> (String, String) {
        let sender = [("sender", self.options.sender.as_str())];
        match words_for(&terms.join.wording, &t.tag, &self.options.locale) {
            Some((tag, words)) => (tag.to_owned(), words.replace("{sender}", &self.options.sender)),
            None => (t.tag.clone(), t.fill("join_wording", &sender)),
        }
    }

    pub(super) fn tracking_words(&self, t: &Wording, terms: &Terms) -> String {
        let own = words_for(&terms.join.tracking, &t.tag, &self.options.locale);
        own.map_or_else(
            || t.fill("join_tracking", &[("sender", &self.options.sender)]),
            |(_, words)| words.replace("{sender}", &self.options.sender),
        )
    }

    /// What a form shows that consent is about: whoever saw something else is to see this first.
    fn shown(&self, t: &Wording, terms: &Terms) -> String {
        let join = &terms.join;
        let titles: Vec<_> = join.topics.iter().map(|name| self.titles(std::slice::from_ref(name))).collect();
        let tracking = join.ask_tracking.then(|| self.tracking_words(t, terms));
        json!([join.topics, titles, self.words(t, terms), tracking, join.version]).to_string()
    }

    fn form(&self, t: &Wording, terms: &Terms, filled: &Filled, said: Option<&str>, bits: u8) -> Answer {
        let join = &terms.join;
        // Whoever cannot work may wait, with this stamp and for this address.
        let address = (said == Some("join_wait")).then_some(filled.address.as_str());
        let topic = |name: &String| Topic {
            name: name.clone(),
            title: self.titles(std::slice::from_ref(name)),
            subscribed: filled.topics.contains(name),
        };
        let (lang, wording) = self.words(t, terms);
        let form = JoinForm {
            address: filled.address.clone(),
            wrong: said == Some("join_bad_address"),
            topics: join.topics.iter().map(topic).filter(|_| join.topics.len() > 1).collect(),
            only: (join.topics.len() == 1).then(|| self.titles(&join.topics)),
            fields: filled.attributes.iter().map(|(name, value)| field(t, name, value)).collect(),
            wording: Words { lang: lang.clone(), text: wording },
            tracking: join.ask_tracking.then(|| Words { lang, text: self.tracking_words(t, terms) }),
            ticked: filled.tracking,
            stamp: stamp(&self.keys, self.clock.now(), bits, address, &self.shown(t, terms)),
            work: (bits > 0).then_some(bits),
        };
        let text = said.map(|said| t.say(said)).unwrap_or_default();
        let view = View { done: said.is_some(), join: Some(form), ..View::notice(t.say("join_title"), text) };
        let mut answer = self.html.answer(t, &view);
        if bits > 0
            && let Some(policy) = answer.headers().get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok())
            && let Ok(policy) = HeaderValue::from_str(&format!("{policy}; script-src 'self'"))
        {
            answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        answer
    }
}

fn field(t: &Wording, name: &str, value: &str) -> Field {
    let autocomplete = AUTOCOMPLETE.iter().find(|(known, _)| *known == name).map_or("off", |(_, word)| word);
    Field { name: name.to_owned(), label: label(t, name), value: value.to_owned(), autocomplete }
}

/// What the field of an attribute is called.
pub(super) fn label(t: &Wording, name: &str) -> String {
    match name {
        "first_name" => t.say("field_first_name").to_owned(),
        "last_name" => t.say("field_last_name").to_owned(),
        _ => spelled(name),
    }
}

/// `favourite_shoe` as `Favourite shoe`.
fn spelled(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
