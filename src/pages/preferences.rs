//! Preferences: topics as boxes, and whether hits may be kept.

use std::collections::BTreeMap;

use super::form::Form;
use super::html::{Preferences, Topic, View};
use super::pace::Wish;
use super::words::{topic_words, tracking_words};
use super::{Inner, Outcome, Visit, why};
use crate::domain::token::Token;
use crate::store::{Result, Session, recipients, subscriptions};

const CHANNEL: &str = "preferences";
/// The field without which a form did not arrive whole; it tells which words the page showed.
const SAVE: &str = "save";

/// What became of a form.
#[derive(Default)]
struct Done {
    /// The sentence that says so.
    said: Option<&'static str>,
    /// Whether a topic was left.
    left: bool,
    /// Whether the boxes stay as they were ticked, for another look.
    again: bool,
}

impl Done {
    fn said(sentence: &'static str) -> Self {
        Self { said: Some(sentence), ..Self::default() }
    }
}

impl Inner {
    pub(super) async fn preferences(&self, visit: &Visit<'_>) -> Outcome {
        let t = visit.texts;
        let done = match &visit.form {
            None => Done::default(),
            Some(form) if why::is_told(form) => return self.explain(visit, form).await,
            Some(form) if form.all("leave").any(|what| what == "all") => self.leave_everything(visit).await?,
            // Empty boxes mean nothing then.
            Some(form) if !form.has(SAVE) => Done::said("unreadable"),
            Some(form) => self.save(visit, form).await?,
        };
        let Some(preferences) = self.current(visit, done.again).await? else {
            return Ok(self.html.answer(t, &View::notice(t.say("preferences_title"), t.say("gone"))));
        };
        let view = View {
            done: done.said.is_some(),
            why: done.left.then(|| self.why(t)),
            preferences: Some(preferences),
            fresh: self.fresh(visit, "fresh_hint", "fresh_button"),
            ..View::notice(t.say("preferences_title"), done.said.map(|said| t.say(said)).unwrap_or_default())
        };
        Ok(self.html.answer(t, &view))
    }

    /// What holds now, or with `again` what was ticked.
    async fn current(&self, visit: &Visit<'_>, again: bool) -> Result<Option<Preferences>> {
        let token = &visit.token;
        let mut session = self.store.read().await?;
        let Some(recipient) =
            recipients::by_id(&mut session, token.recipient).await?.filter(|recipient| recipient.address.is_some())
        else {
            return Ok(None);
        };
        let mut topics = self.topics(&mut session, token).await?;
        let subscribed = topics.iter().any(|topic| topic.subscribed);
        let mut tracking = recipient.tracking;
        if let Some(form) = visit.form.as_ref().filter(|_| again) {
            topics.iter_mut().for_each(|topic| topic.subscribed = wants(form, topic));
            tracking = form.has("tracking");
        }
        let paces = self.paces(&recipient, visit.texts, self.clock.now());
        let mark = self.choices_mark(visit.texts);
        Ok(Some(Preferences { topics, subscribed, paces, tracking, mark }))
    }

    /// The project's topics, and what the person has subscribed to besides.
    async fn topics(&self, session: &mut Session, token: &Token) -> Result<Vec<Topic>> {
        let mut topics: BTreeMap<&str, bool> = self.options.topics.keys().map(|name| (name.as_str(), false)).collect();
        let subscriptions = subscriptions::of(session, token.recipient).await?;
        for subscription in subscriptions.iter().filter(|s| s.subscribed) {
            topics.insert(&subscription.topic, true);
        }
        let topic = |(name, subscribed): (&str, bool)| Topic {
            name: name.to_owned(),
            title: self.title(name).to_owned(),
            subscribed,
        };
        Ok(topics.into_iter().map(topic).collect())
    }

    async fn leave_everything(&self, visit: &Visit<'_>) -> Result<Done> {
        let origin = self.origin(CHANNEL, visit, Some(visit.texts.say("leave_all").to_owned()));
        let mut session = self.store.write().await?;
        let left = subscriptions::leave_all(&mut session, visit.token.recipient, &origin).await? > 0;
        session.commit().await?;
        Ok(Done { left, ..Done::said("left_all") })
    }

    /// A form that asks for what is not offered changes nothing. One that showed other words than the page has now
    /// takes back what it does, and gives nothing before it was looked at again.
    async fn save(&self, visit: &Visit<'_>, form: &Form) -> Result<Done> {
        let (recipient, t) = (visit.token.recipient, visit.texts);
        let mark = self.choices_mark(t);
        let agrees = form.all(SAVE).any(|shown| shown == mark);
        let mut session = self.store.write().await?;
        let Some(person) = recipients::lock(&mut session, recipient).await? else { return Ok(Done::said("saved")) };
        let now = self.clock.now();
        match self.pace_wish(form, &person, now) {
            Wish::Nothing => {}
            Wish::Set(pace) => {
                let origin = self.origin(CHANNEL, visit, Some(self.pace_words(form, &person, t, now)));
                subscriptions::set_pace(&mut session, recipient, pace, &origin).await?;
            }
            Wish::Unknown => return Ok(Done::said("unreadable")),
        }
        let (mut left, mut again) = (false, false);
        for topic in self.topics(&mut session, &visit.token).await? {
            let origin = || self.origin(CHANNEL, visit, Some(topic_words(t, &topic.title)));
            match (topic.subscribed, wants(form, &topic)) {
                (false, true) if agrees => {
                    subscriptions::join(&mut session, recipient, &topic.name, &origin()).await?;
                }
                (false, true) => again = true,
                (true, false) => left |= subscriptions::leave(&mut session, recipient, &topic.name, &origin()).await?,
                _ => {}
            }
        }
        let tracking = form.has("tracking");
        if agrees || !tracking {
            let origin = self.origin(CHANNEL, visit, Some(tracking_words(t)));
            subscriptions::set_tracking(&mut session, recipient, tracking, &origin).await?;
        } else {
            again |= !person.tracking;
        }
        session.commit().await?;
        Ok(Done { left, again, ..Done::said(if again { "join_again" } else { "saved" }) })
    }
}

fn wants(form: &Form, topic: &Topic) -> bool {
    form.all("topic").any(|name| name == topic.name)
}
