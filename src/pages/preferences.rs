//! Preferences: topics as boxes, and whether hits may be kept.

use std::collections::BTreeMap;

use super::form::Form;
use super::html::{Preferences, Topic, View};
use super::pace::Wish;
use super::{Inner, Outcome, Visit};
use crate::domain::token::Token;
use crate::store::{Result, Session, recipients, subscriptions};

impl Inner {
    pub(super) async fn preferences(&self, visit: &Visit<'_>) -> Outcome {
        let (token, t) = (&visit.token, visit.texts);
        let said = match &visit.form {
            None => None,
            Some(form) if form.all("leave").any(|what| what == "all") => {
                self.leave_everything(token).await?;
                Some(t.say("left_all"))
            }
            // Without this field the form did not arrive whole, and empty boxes mean nothing.
            Some(form) if !form.has("save") => Some(t.say("unreadable")),
            Some(form) => Some(t.say(if self.save(token, form).await? { "saved" } else { "unreadable" })),
        };
        let Some(preferences) = self.current(visit).await? else {
            return Ok(self.html.answer(t, &View::notice(t.say("preferences_title"), t.say("gone"))));
        };
        let view = View {
            done: said.is_some(),
            preferences: Some(preferences),
            fresh: self.fresh(visit, "fresh_hint", "fresh_button"),
            ..View::notice(t.say("preferences_title"), said.unwrap_or_default())
        };
        Ok(self.html.answer(t, &view))
    }

    async fn current(&self, visit: &Visit<'_>) -> Result<Option<Preferences>> {
        let token = &visit.token;
        let mut session = self.store.read().await?;
        let Some(recipient) =
            recipients::by_id(&mut session, token.recipient).await?.filter(|recipient| recipient.address.is_some())
        else {
            return Ok(None);
        };
        let topics = self.topics(&mut session, token).await?;
        let subscribed = topics.iter().any(|topic| topic.subscribed);
        let paces = self.paces(&recipient, visit.texts, self.clock.now());
        Ok(Some(Preferences { topics, subscribed, paces, tracking: recipient.tracking }))
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

    async fn leave_everything(&self, token: &Token) -> Result<()> {
        let mut session = self.store.write().await?;
        subscriptions::leave_all(&mut session, token.recipient, &self.origin("preferences", token)).await?;
        session.commit().await
    }

    /// `false` when the form asks for what is not offered: then nothing is changed.
    async fn save(&self, token: &Token, form: &Form) -> Result<bool> {
        let recipient = token.recipient;
        let origin = self.origin("preferences", token);
        let mut session = self.store.write().await?;
        let Some(person) = recipients::lock(&mut session, recipient).await? else { return Ok(true) };
        match self.pace_wish(form, &person, origin.at) {
            Wish::Nothing => {}
            Wish::Set(pace) => drop(subscriptions::set_pace(&mut session, recipient, pace, &origin).await?),
            Wish::Unknown => return Ok(false),
        }
        for topic in self.topics(&mut session, token).await? {
            let wanted = form.all("topic").any(|name| name == topic.name);
            match (topic.subscribed, wanted) {
                (false, true) => subscriptions::join(&mut session, recipient, &topic.name, &origin).await?,
                (true, false) => subscriptions::leave(&mut session, recipient, &topic.name, &origin).await?,
                _ => false,
            };
        }
        subscriptions::set_tracking(&mut session, recipient, form.has("tracking"), &origin).await?;
        session.commit().await?;
        Ok(true)
    }
}
