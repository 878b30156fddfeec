//! `/k/`: keeping a consent that would lapse, by a button.

use super::html::View;
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
        // Without this field the form did not arrive whole.
        if visit.form.as_ref().is_none_or(|form| !form.has("keep")) {
            let question = View::notice(t.say("keep_title"), t.fill("keep_question", &topic));
            return Ok(self.html.answer(t, &View { keep: true, preferences_path, ..question }));
        }
        let mut session = self.store.write().await?;
        subscriptions::renew(&mut session, token.recipient, &run.topic, &self.origin("renewal", token)).await?;
        session.commit().await?;
        let kept = View::notice(t.say("kept_title"), t.fill("kept", &topic));
        Ok(self.html.answer(t, &View { done: true, preferences_path, ..kept }))
    }
}
