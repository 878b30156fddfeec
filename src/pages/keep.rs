//! `/k/`: keeping a consent that would lapse, by a button.

use super::html::View;
use super::words::{mark, question_words};
use super::{Inner, Outcome, Visit};
use crate::store::{recipients, runs, subscriptions};

impl Inner {
    pub(super) async fn keep(&self, visit: &Visit<'_>) -> Outcome {
        let (token, t) = (&visit.token, visit.texts);
        let mut session = self.store.read().await?;
        let run = runs::by_id(&mut session, token.run).await?;
        let known = recipients::by_id(&mut session, token.recipient).await?.is_some_and(|r| r.address.is_some());
        drop(session);
        let (Some(run), true) = (run, known) else {
            return Ok(self.html.answer(t, &View::notice(t.say("keep_title"), t.say("gone"))));
        };
        let topic = [("topic", self.title(&run.topic))];
        let preferences_path = Some(self.preferences_path(token));
        let question = t.fill("keep_question", &topic);
        let words = question_words(&question, t.say("keep_button"));
        let mark = mark(&words);
        // Without this field the form did not arrive whole, or showed other words.
        if visit.form.as_ref().is_none_or(|form| !form.all("keep").any(|shown| shown == mark)) {
            let question = View::notice(t.say("keep_title"), question);
            return Ok(self.html.answer(t, &View { keep: Some(mark), preferences_path, ..question }));
        }
        let mut session = self.store.write().await?;
        let origin = self.origin("renewal", visit, Some(words));
        subscriptions::renew(&mut session, token.recipient, &run.topic, &origin).await?;
        session.commit().await?;
        let kept = View::notice(t.say("kept_title"), t.fill("kept", &topic));
        Ok(self.html.answer(t, &View { done: true, preferences_path, ..kept }))
    }
}
