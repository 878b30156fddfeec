//! A change of address: asked for by a fresh link, confirmed at the new address, told to the old one.

use std::time::Duration;

use hyper::StatusCode;

use super::form::Form;
use super::fresh::link_data;
use super::html::{Step, View};
use super::own::Said;
use super::words::question_words;
use super::{Inner, Outcome, Visit};
use crate::domain::address::Address;
use crate::domain::id::RecipientId;
use crate::domain::notice::NoticeKind;
use crate::domain::time::Micros;
use crate::domain::token::{LIFE, Purpose, Token};
use crate::store::addresses::{self, Moved};
use crate::store::notices::{self, Data, NewNotice};
use crate::store::recipients::{self, Recipient};
use crate::store::{Result, Session};
use crate::web::Answer;

/// Most questions to new addresses within [`WITHIN`]: of one person, and to one address whoever asks.
const MOST: i64 = 3;
const WITHIN: Duration = Duration::from_secs(24 * 3_600);
/// The button's field.
const FIELD: &str = "do";
const MOVE: &str = "move";

impl Inner {
    /// Mails the question to the new address. The answer is the same whether or not that is known or can be mailed.
    pub(super) async fn ask_new_address(&self, visit: &Visit<'_>, person: &Recipient, form: &Form) -> Outcome {
        let t = visit.texts;
        let typed = form.all("address").next().unwrap_or_default();
        let Some(old) = &person.address else { return Ok(self.gone(visit)) };
        let new = match Address::parse(typed) {
            Ok(new) if new == *old => return self.address_fault(visit, person, typed, "address_same"),
            Ok(new) => new,
            Err(_) => return self.address_fault(visit, person, typed, "address_wrong"),
        };
        let now = self.clock.now();
        let mut session = self.store.write().await?;
        if recipients::lock(&mut session, person.id).await?.is_none() {
            return Ok(self.gone(visit));
        }
        let since = now.minus(WITHIN);
        let hash = new.hash(&self.suppression_key);
        let asked = notices::recent(&mut session, NoticeKind::ChangeAddress, person.id, since).await?;
        let bothered = notices::recent_to(&mut session, NoticeKind::ChangeAddress, &hash, since).await?;
        if asked < MOST && bothered < MOST {
            let purpose = Purpose::NewAddress { at: now, address: new.to_string(), from: self.mark(old) };
            let url = self.link("/a/", &Token { purpose, ..visit.token.clone() });
            let notice = NewNotice {
                kind: NoticeKind::ChangeAddress,
                recipient: Some(person.id),
                address: &new,
                hash: Some(&hash),
                language: &t.tag,
                data: &link_data(url),
                at: now,
                expires_at: now.plus(LIFE),
            };
            notices::queue(&mut session, &notice).await?;
        }
        session.commit().await?;
        self.own_page(visit, person, Said::told(t.say("address_sent")))
    }

    fn address_fault(&self, visit: &Visit<'_>, person: &Recipient, typed: &str, fault: &str) -> Outcome {
        let t = visit.texts;
        let said = Said {
            address: typed.chars().filter(|c| !c.is_control()).take(254).collect(),
            address_fault: Some(t.say(fault).to_owned()),
            ..Said::told(t.say("not_saved"))
        };
        self.own_page(visit, person, said)
    }

    /// `/a/`: whoever reads mail at the new address says whether it shall be the person's.
    pub(super) async fn new_address(&self, visit: &Visit<'_>) -> Outcome {
        let Purpose::NewAddress { address, from, .. } = &visit.token.purpose else { return Ok(self.gone(visit)) };
        let new = Address::from_normalised(address.clone());
        let now = self.clock.now();
        if !visit.token.purpose.is_good(now) {
            return Ok(self.is_over(visit));
        }
        match &visit.form {
            None => self.question(visit, &new, from).await,
            Some(form) if form.all(FIELD).any(|what| what == MOVE) => self.move_to(visit, &new, from, now).await,
            Some(_) => Ok(self.told(visit, "unreadable", &new, false)),
        }
    }

    async fn question(&self, visit: &Visit<'_>, new: &Address, from: &[u8; 8]) -> Outcome {
        let t = visit.texts;
        let person = recipients::by_id(&mut self.store.read().await?, visit.token.recipient).await?;
        let Some(old) = person.and_then(|person| person.address) else { return Ok(self.gone(visit)) };
        if self.mark(&old) != *from {
            return Ok(self.is_over(visit));
        }
        let view = View {
            step: Some(Step::new(FIELD, MOVE, t.say("address_confirm"))),
            ..View::notice(t.say("address_legend"), t.fill("address_question", &[("address", new.as_str())]))
        };
        Ok(self.html.answer(t, &view))
    }

    async fn move_to(&self, visit: &Visit<'_>, new: &Address, from: &[u8; 8], now: Micros) -> Outcome {
        let who = visit.token.recipient;
        let mut session = self.store.write().await?;
        let t = visit.texts;
        let question = t.fill("address_question", &[("address", new.as_str())]);
        let words = question_words(&question, t.say("address_confirm"));
        let origin = self.origin("page", visit, Some(words));
        let still = |old: &Address| self.mark(old) == *from;
        match addresses::change(&mut session, who, (new, &self.suppression_key), still, &origin).await? {
            Moved::Done(old) => {
                self.tell_old_address(&mut session, who, &old, visit, now).await?;
                session.commit().await?;
                Ok(self.told(visit, "address_changed", new, true))
            }
            Moved::Gone => Ok(self.gone(visit)),
            Moved::Stale => Ok(self.is_over(visit)),
            Moved::Taken => Ok(self.told(visit, "address_taken", new, false)),
            Moved::Suppressed => Ok(self.told(visit, "address_blocked", new, false)),
        }
    }

    async fn tell_old_address(
        &self,
        session: &mut Session,
        who: RecipientId,
        old: &Address,
        visit: &Visit<'_>,
        now: Micros,
    ) -> Result<()> {
        let notice = NewNotice {
            kind: NoticeKind::AddressChanged,
            recipient: Some(who),
            address: old,
            hash: Some(&old.hash(&self.suppression_key)),
            language: &visit.texts.tag,
            data: &Data::new(),
            at: now,
            expires_at: now.plus(WITHIN),
        };
        notices::queue(session, &notice).await.map(drop)
    }

    fn told(&self, visit: &Visit<'_>, sentence: &str, new: &Address, done: bool) -> Answer {
        let t = visit.texts;
        let text = t.fill(sentence, &[("address", new.as_str())]);
        self.html.answer(t, &View { done, ..View::notice(t.say("address_legend"), text) })
    }

    /// The hour is over, or the address was changed by another link.
    fn is_over(&self, visit: &Visit<'_>) -> Answer {
        let t = visit.texts;
        let mut answer = self.html.answer(t, &View::notice(t.say("stale_title"), t.say("address_stale")));
        *answer.status_mut() = StatusCode::GONE;
        answer
    }
}
