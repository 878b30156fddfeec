//! Leaving: a page with one button, and the one-click POST of mail programs (RFC 8058), which is
//! answered with 200, without a redirect and without a cookie.

use super::form::Form;
use super::html::{Leave, View};
use super::words::question_words;
use super::{Inner, Outcome, Visit, why};
use crate::store::{recipients, runs, subscriptions};

/// The channel of whoever pressed a button.
const PAGE: &str = "page";

/// What a form asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Leaves the topic of the mail.
    Topic { channel: &'static str },
    /// Leaves every topic.
    All,
}

impl Wish {
    /// A POST whose fields say nothing leaves the topic: that is all this address is good for.
    fn of(form: &Form) -> Self {
        if form.all("leave").any(|what| what == "all") {
            Self::All
        } else if form.has("leave") {
            Self::Topic { channel: PAGE }
        } else {
            Self::Topic { channel: "one-click" }
        }
    }
}

impl Inner {
    pub(super) async fn unsubscribe(&self, visit: &Visit<'_>) -> Outcome {
        match &visit.form {
            None => self.ask_to_leave(visit).await,
            Some(form) if why::is_told(form) => self.explain(visit, form).await,
            Some(form) => self.leave(visit, Wish::of(form)).await,
        }
    }

    async fn ask_to_leave(&self, visit: &Visit<'_>) -> Outcome {
        let (token, t) = (&visit.token, visit.texts);
        let mut session = self.store.read().await?;
        let run = runs::by_id(&mut session, token.run).await?;
        let known = recipients::by_id(&mut session, token.recipient).await?.is_some_and(|r| r.address.is_some());
        let (Some(run), true) = (run, known) else {
            return Ok(self.html.answer(t, &View::notice(t.say("leave_title"), t.say("gone"))));
        };
        let subscribed: Vec<_> =
            subscriptions::of(&mut session, token.recipient).await?.into_iter().filter(|s| s.subscribed).collect();
        drop(session);
        let topic = subscribed.iter().any(|s| s.topic == run.topic);
        let sentence = if topic { "leave_question" } else { "not_subscribed" };
        let view = View {
            leave: (!subscribed.is_empty()).then_some(Leave { topic }),
            preferences_path: Some(self.preferences_path(token)),
            ..View::notice(t.say("leave_title"), t.fill(sentence, &[("topic", self.title(&run.topic))]))
        };
        Ok(self.html.answer(t, &view))
    }

    async fn leave(&self, visit: &Visit<'_>, wish: Wish) -> Outcome {
        let (token, t) = (&visit.token, visit.texts);
        let Some(run) = runs::by_id(&mut self.store.read().await?, token.run).await? else {
            return Ok(self.html.answer(t, &View::notice(t.say("leave_title"), t.say("gone"))));
        };
        let topic = [("topic", self.title(&run.topic))];
        let mut session = self.store.write().await?;
        let text = match wish {
            Wish::Topic { channel } => {
                let question = || question_words(&t.fill("leave_question", &topic), t.say("leave_button"));
                let origin = self.origin(channel, visit, (channel == PAGE).then(question));
                subscriptions::leave(&mut session, token.recipient, &run.topic, &origin).await?;
                t.fill("left", &topic)
            }
            Wish::All => {
                let origin = self.origin(PAGE, visit, Some(t.say("leave_all").to_owned()));
                subscriptions::leave_all(&mut session, token.recipient, &origin).await?;
                t.say("left_all").to_owned()
            }
        };
        let left = subscriptions::of(&mut session, token.recipient).await?.iter().any(|s| s.subscribed);
        session.commit().await?;
        let view = View {
            done: true,
            leave: left.then_some(Leave { topic: false }),
            why: Some(self.why(t)),
            preferences_path: Some(self.preferences_path(token)),
            ..View::notice(t.say("left_title"), text)
        };
        Ok(self.html.answer(t, &view))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_click_and_the_button_leave_the_topic_and_only_the_second_button_leaves_all() {
        let wish = |body: &str| Wish::of(&Form::parse("application/x-www-form-urlencoded", body.as_bytes()));
        assert_eq!(wish("List-Unsubscribe=One-Click"), Wish::Topic { channel: "one-click" });
        assert_eq!(wish(""), Wish::Topic { channel: "one-click" });
        assert_eq!(wish("leave=topic"), Wish::Topic { channel: "page" });
        assert_eq!(wish("leave=all"), Wish::All);
    }
}
