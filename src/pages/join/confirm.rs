//! `/j/`: the page behind the link of the mail that asks for confirmation.

use hyper::StatusCode;

use super::Inner;
use crate::clock;
use crate::domain::consent::Salts;
use crate::domain::id::{JoinId, RecipientId, RunId};
use crate::domain::token::{Purpose, Token};
use crate::domain::wording::Wording;
use crate::pages::Outcome;
use crate::pages::html::View;
use crate::pages::reader::Reader;
use crate::store::joins::{self, Confirmation, Confirmed};
use crate::web::Answer;

impl Inner {
    pub(super) async fn ask_to_confirm(&self, t: &Wording, join: JoinId) -> Outcome {
        let found = joins::look(&mut self.store.read().await?, join, self.clock.now()).await?;
        Ok(match found {
            Some((topics, false)) => {
                let question = t.fill("confirm_question", &[("topics", &self.titles(&topics))]);
                let view = View { confirm: true, ..View::notice(t.say("confirm_title"), question) };
                self.html.answer(t, &view)
            }
            Some((_, true)) => self.says(t, "confirmed_title", "confirmed_before"),
            None => self.gone(t),
        })
    }

    pub(super) async fn confirm(&self, t: &Wording, join: JoinId, reader: &Reader) -> Outcome {
        let confirmation = Confirmation {
            join,
            at: self.clock.now(),
            request: reader.request.clone(),
            salts: Salts::new(&clock::secret()),
        };
        let mut session = self.store.write().await?;
        let confirmed = joins::confirm(&mut session, &confirmation).await?;
        Ok(match confirmed {
            Confirmed::Now(person, topics) => {
                session.commit().await?;
                let text = t.fill("confirmed", &[("topics", &self.titles(&topics))]);
                let view = View {
                    done: true,
                    preferences_path: Some(format!("/p/{}", self.preferences(person))),
                    ..View::notice(t.say("confirmed_title"), text)
                };
                self.html.answer(t, &view)
            }
            Confirmed::Before => {
                session.rollback().await?;
                self.says(t, "confirmed_title", "confirmed_before")
            }
            Confirmed::Gone => {
                session.rollback().await?;
                self.gone(t)
            }
        })
    }

    fn gone(&self, t: &Wording) -> Answer {
        let mut answer = self.says(t, "confirm_gone_title", "confirm_gone");
        *answer.status_mut() = StatusCode::GONE;
        answer
    }

    /// The token of a person's preferences.
    pub(super) fn preferences(&self, recipient: RecipientId) -> String {
        self.keys.sign(&Token { run: RunId::NOTICES, recipient, purpose: Purpose::Preferences })
    }
}
