//! Links to a person's own data, mailed to the person's address on request: a link in a mailing, which may have been
//! forwarded, opens nothing of it.

use hyper::StatusCode;

use super::form::Form;
use super::html::{Fresh, View};
use super::{Inner, Outcome, Visit};
use crate::domain::address::Address;
use crate::domain::notice::NoticeKind;
use crate::domain::token::{LIFE, Purpose, Token};
use crate::store::notices::{self, Data, NewNotice};
use crate::store::recipients;
use crate::web::Answer;

/// The field that asks for one.
const FIELD: &str = "fresh";
/// Most links that are mailed to one person within [`LIFE`]; whoever asks for more has them already.
const MOST: i64 = 3;

/// Whether a form asks for a link.
pub(super) fn is_wanted(form: &Form) -> bool {
    form.has(FIELD)
}

impl Inner {
    /// Mails a link to the person's address, and says so.
    pub(super) async fn send_link(&self, visit: &Visit<'_>) -> Outcome {
        let (token, t) = (&visit.token, visit.texts);
        let now = self.clock.now();
        let mut session = self.store.write().await?;
        let Some(address) = recipients::lock(&mut session, token.recipient).await?.and_then(|person| person.address)
        else {
            return Ok(self.gone(visit));
        };
        let sent = notices::recent(&mut session, NoticeKind::FreshLink, token.recipient, now.minus(LIFE)).await?;
        if sent < MOST {
            let purpose = Purpose::OwnData { at: now, from: self.mark(&address) };
            let url = self.link("/d/", &Token { purpose, ..token.clone() });
            let new = NewNotice {
                kind: NoticeKind::FreshLink,
                recipient: Some(token.recipient),
                address: &address,
                hash: None,
                language: &t.tag,
                data: &link_data(url),
                at: now,
                expires_at: now.plus(LIFE),
            };
            notices::queue(&mut session, &new).await?;
        }
        session.commit().await?;
        let view = View {
            done: true,
            preferences_path: Some(self.preferences_path(token)),
            ..View::notice(t.say("own_title"), t.say("link_sent"))
        };
        Ok(self.html.answer(t, &view))
    }

    /// The button that asks for a link; none while it could not be mailed.
    pub(super) fn fresh(&self, visit: &Visit<'_>, hint: &str, button: &str) -> Option<Fresh> {
        let t = visit.texts;
        let fresh = || Fresh { hint: t.say(hint).to_owned(), button: t.say(button).to_owned() };
        (!self.options.base_url.is_empty()).then(fresh)
    }

    /// A link whose time is over, and how to get another one.
    pub(super) fn link_is_stale(&self, visit: &Visit<'_>) -> Answer {
        let t = visit.texts;
        let view = View {
            fresh: self.fresh(visit, "link_again_hint", "link_again"),
            preferences_path: Some(self.preferences_path(&visit.token)),
            ..View::notice(t.say("stale_title"), t.say("stale"))
        };
        let mut answer = self.html.answer(t, &view);
        *answer.status_mut() = StatusCode::GONE;
        answer
    }

    /// A page's public address.
    pub(super) fn link(&self, path: &str, token: &Token) -> String {
        format!("{}{path}{}", self.options.base_url, self.keys.sign(token))
    }

    /// What tells in a token which address it is about, without saying which.
    pub(super) fn mark(&self, address: &Address) -> [u8; 8] {
        let digest = self.keys.digest(self.keys.oldest_key(), "address of a token", address.folded().as_bytes());
        let mut mark = [0; 8];
        mark.copy_from_slice(&digest.unwrap_or_default()[..8]);
        mark
    }
}

/// What a notice says about a link that is good for [`LIFE`].
pub(super) fn link_data(url: String) -> Data {
    [("url".to_owned(), url.into()), ("minutes".to_owned(), (LIFE.as_secs() / 60).into())].into_iter().collect()
}
