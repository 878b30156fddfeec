//! Preferences: topics as boxes, and whether hits may be kept.

use std::collections::BTreeMap;

use super::form::Form;
use super::html::{Preferences, Topic, View};
use super::{Inner, Outcome, Visit};
use crate::domain::token::Token;
use crate::store::{Result, Session, recipients, subscriptions};

impl Inner {
    pub(super) async fn preferences(&self, visit: &Visit<'_>) -> Outcome {
        let (token, t) = (&visit.token, visit.texts);
        let said = match &visit.form {
            None => None,
            // Without this field the form did not arrive whole, and empty boxes mean nothing.
            Some(form) if !form.has("save") => Some(t.say("unreadable")),
            Some(form) => {
                self.save(token, form).await?;
                Some(t.say("saved"))
            }
        };
        let Some(preferences) = self.current(token).await? else {
            return Ok(self.html.answer(t, &View::notice(t.say("preferences_title"), t.say("gone"))));
        };
        let view = View {
            done: said.is_some(),
            preferences: Some(preferences),
            ..View::notice(t.say("preferences_title"), said.unwrap_or_default())
        };
        Ok(self.html.answer(t, &view))
    }

    async fn current(&self, token: &Token) -> Result<Option<Preferences>> {
        let mut session = self.store.read().await?;
        let Some(recipient) =
            recipients::by_id(&mut session, token.recipient).await?.filter(|recipient| recipient.address.is_some())
        else {
            return Ok(None);
        };
        let topics = self.topics(&mut session, token).await?;
        Ok(Some(Preferences { topics, tracking: recipient.tracking }))
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

    async fn save(&self, token: &Token, form: &Form) -> Result<()> {
        let recipient = token.recipient;
        let origin = self.origin("preferences", token);
        let mut session = self.store.write().await?;
        if recipients::lock(&mut session, recipient).await?.is_none() {
            return Ok(());
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
        session.commit().await
    }
}
