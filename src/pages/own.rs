//! `/d/`: what is stored about a person, for whoever got a link to the person's address within the hour: attributes,
//! language, address, a copy of everything, erasure. A mail can be forwarded, so no link in a mailing opens this.

use super::form::Form;
use super::html::{OwnData, Step, View};
use super::own_fields::{Typed, changed, fault_of};
use super::{Inner, Outcome, Visit};
use crate::domain::address::Address;
use crate::domain::language;
use crate::domain::token::{Purpose, Token};
use crate::store::recipients::{Attributes, Recipient};
use crate::store::{Result, erasure, recipients};
use crate::web::Answer;

/// Which form of the page was sent.
const FIELD: &str = "do";

impl Inner {
    pub(super) async fn own_data(&self, visit: &Visit<'_>) -> Outcome {
        let Some(person) = self.addressee(&visit.token).await? else { return Ok(self.link_is_stale(visit)) };
        let wish = visit.form.as_ref().and_then(|form| form.all(FIELD).next().map(|wish| (form, wish)));
        match wish {
            Some((form, "attributes")) => self.change_attributes(visit, &person, form).await,
            Some((form, "address")) => self.ask_new_address(visit, &person, form).await,
            Some((_, "erase")) => Ok(self.ask_to_erase(visit)),
            Some((_, "erase-all")) => self.erase(visit).await,
            _ if visit.form.is_some() => self.own_page(visit, &person, Said::told(visit.texts.say("unreadable"))),
            _ => self.own_page(visit, &person, Said::default()),
        }
    }

    /// The person of a link that is good: within its hour, and as long as the address is the one that it was mailed to.
    pub(super) async fn addressee(&self, token: &Token) -> Result<Option<Recipient>> {
        if !token.purpose.is_good(self.clock.now()) {
            return Ok(None);
        }
        let person = recipients::by_id(&mut self.store.read().await?, token.recipient).await?;
        Ok(person.filter(|person| person.address.as_ref().is_some_and(|address| self.is_for(token, address))))
    }

    /// Whether a fresh link was mailed to this address. What writes asks again behind the person's lock, since the
    /// address may have changed after the first look.
    fn is_for(&self, token: &Token, address: &Address) -> bool {
        matches!(token.purpose, Purpose::OwnData { from, .. } if self.mark(address) == from)
    }

    pub(super) fn own_page(&self, visit: &Visit<'_>, person: &Recipient, said: Said) -> Outcome {
        let t = visit.texts;
        let path = |file: &str| format!("/d/{}/{file}", self.keys.sign(&visit.token));
        let (fields, languages) = (self.own_fields(person, &said.typed), self.languages(person, t, &said.typed));
        let own = OwnData {
            editable: !fields.is_empty() || !languages.is_empty(),
            language_fault: fault_of(&said.typed, language::ATTRIBUTE),
            fields,
            languages,
            address_now: t.fill("address_now", &[("address", person.address.as_ref().map_or("", |a| a.as_str()))]),
            address: said.address,
            address_fault: said.address_fault,
            json_path: path("data.json"),
            csv_path: path("data.csv"),
        };
        let view = View {
            done: !said.text.is_empty(),
            own: Some(own),
            preferences_path: Some(self.preferences_path(&visit.token)),
            ..View::notice(t.say("own_title"), said.text)
        };
        Ok(self.html.answer(t, &view))
    }

    async fn change_attributes(&self, visit: &Visit<'_>, person: &Recipient, form: &Form) -> Outcome {
        let t = visit.texts;
        let typed = self.typed(person, form, t);
        if typed.iter().any(|field| field.fault.is_some()) {
            return self.own_page(visit, person, Said { typed, ..Said::told(t.say("not_saved")) });
        }
        let mut session = self.store.write().await?;
        let change = |known: &Attributes| changed(known, &typed);
        let still = |address: &Address| self.is_for(&visit.token, address);
        let Some(person) = recipients::set_attributes(&mut session, person.id, still, change, self.clock.now()).await?
        else {
            return Ok(self.link_is_stale(visit));
        };
        session.commit().await?;
        self.own_page(visit, &person, Said::told(t.say("saved")))
    }

    fn ask_to_erase(&self, visit: &Visit<'_>) -> Answer {
        let t = visit.texts;
        let step = Step::new(FIELD, "erase-all", t.say("erase_confirm"));
        let view = View {
            step: Some(step),
            own_path: Some(format!("/d/{}", self.keys.sign(&visit.token))),
            ..View::notice(t.say("erase_legend"), t.say("erase_question"))
        };
        self.html.answer(t, &view)
    }

    async fn erase(&self, visit: &Visit<'_>) -> Outcome {
        let t = visit.texts;
        let at = self.clock.now();
        let still = |address: &Address| self.is_for(&visit.token, address);
        if !erasure::forget(&self.store, &self.suppression_key, visit.token.recipient, still, at).await? {
            return Ok(self.link_is_stale(visit));
        }
        let view = View { done: true, ..View::notice(t.say("erased_title"), t.say("erased")) };
        Ok(self.html.answer(t, &view))
    }

    pub(super) fn gone(&self, visit: &Visit<'_>) -> Answer {
        self.html.answer(visit.texts, &View::notice(visit.texts.say("own_title"), visit.texts.say("gone")))
    }
}

/// What a page says to the form that was sent.
#[derive(Default)]
pub(super) struct Said {
    pub(super) text: String,
    /// What was typed, with what is wrong with it.
    pub(super) typed: Vec<Typed>,
    pub(super) address: String,
    pub(super) address_fault: Option<String>,
}

impl Said {
    pub(super) fn told(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}
