//! What follows from one mail, in one transaction with the note that it is handled.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::forward;
use super::intake::MOST_KEPT;
use super::read::Read;
use super::reader::Parts;
use super::rules::Rules;
use super::whose::{self, Whose};
use crate::clock;
use crate::domain::address::{Address, AddressHash};
use crate::domain::consent::Salts;
use crate::domain::id::{InboundId, RecipientId, RunId};
use crate::domain::inbound::{Author, Consequence, Effect, Found, Kind, effect};
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::clean;
use crate::domain::suppression::{ERASED, UNREACHABLE};
use crate::domain::time::Micros;
use crate::mail;
use crate::store::actions::{self, NewAction};
use crate::store::inbound::{self, Handled, Waiting};
use crate::store::recipients::{self, Recipient};
use crate::store::returns::{self, Message, Notice};
use crate::store::subscriptions::{self, Origin};
use crate::store::{Result, Session, suppressions};

/// Of what a person wrote, so much stands with the person (characters).
const MOST_WORDS: usize = 2_000;

/// Of a mail that is no answer, so much is kept for its time (octets).
const MOST_KEPT_OF_OTHERS: i64 = 256 << 10;

/// A block slows a domain down while it is fresh.
const FRESH: Duration = Duration::from_secs(86_400);

/// A mail that is being handled.
pub(super) struct Applying<'a> {
    pub parts: &'a Parts,
    pub mail: &'a Waiting,
    pub read: &'a Read,
    pub rules: &'a Rules,
}

/// What was done.
pub(super) struct Applied {
    pub effect: Effect,
    pub run: Option<RunId>,
    /// The message that it speaks of.
    pub message: Option<Message>,
}

/// Who it is about, locked, and the message.
struct Subject {
    whose: Whose,
    person: Option<Recipient>,
    message: Option<Message>,
    notice: Option<Notice>,
    /// Where the message went.
    mailed: Option<Address>,
}

impl Applying<'_> {
    /// Does what follows; `None` when somebody else has handled it.
    ///
    /// # Errors
    /// When the database refuses; then nothing was done.
    pub async fn apply(&self) -> Result<Option<Applied>> {
        let whose = match self.read.signed {
            Some(whose) => whose,
            None => {
                let mut reader = self.parts.store.read().await?;
                let named = whose::named(&self.read.classified, &self.read.headers);
                whose::told(&mut reader, named, &self.read.headers, &self.parts.keyring).await?
            }
        };
        let mut tx = self.parts.store.write().await?;
        let subject = self.subject(&mut tx, whose).await?;
        let (about, consequence) = self.read.about(subject.mailed.as_ref());
        let effect = self.effect(&subject, consequence);
        let told = self.told(about);
        let recipient = subject.person.as_ref().map(|person| person.id);
        let run = subject.message.as_ref().and(subject.whose.run);
        let handled = Handled {
            kind: self.read.classified.kind.as_str(),
            effect: effect.as_str(),
            told: &told,
            run,
            recipient,
            hash: self.hash(about, &subject),
            kept: self.kept(effect),
        };
        let now = self.parts.clock.now();
        let id = InboundId(self.mail.id);
        if !inbound::finish(&mut tx, id, &handled, now).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        let is_gone = subject.whose.recipient.is_some() && recipient.is_none();
        if is_gone || self.is_erased(&mut tx, handled.hash.as_ref()).await? {
            inbound::drop_content(&mut tx, id).await?;
        }
        self.follow(&mut tx, &subject, effect, about).await?;
        tx.commit().await?;
        let (run_id, recipient) = (run.map(|run| run.0), recipient.map(|id| id.0));
        debug!(
            mail = self.mail.id,
            kind = handled.kind,
            effect = handled.effect,
            run = run_id,
            recipient,
            "mail is handled"
        );
        Ok(Some(Applied { effect, run, message: subject.message }))
    }

    async fn subject(&self, tx: &mut Session, whose: Whose) -> Result<Subject> {
        let nobody = Subject { whose, person: None, message: None, notice: None, mailed: None };
        if let Some(notice) = whose.notice {
            let notice = returns::notice(tx, notice).await?;
            let mailed = notice.as_ref().map(|notice| Address::from_normalised(notice.address.clone()));
            return Ok(Subject { notice, mailed, ..nobody });
        }
        let Some(id) = whose.recipient else { return Ok(nobody) };
        let person = recipients::lock(tx, id).await?.filter(|person| person.address.is_some());
        let message = match whose.run {
            Some(run) => returns::message(tx, run, id).await?,
            None => None,
        };
        let mailed = person.as_ref().and_then(|person| person.address.clone());
        Ok(Subject { person, message, mailed, ..nobody })
    }

    fn effect(&self, subject: &Subject, consequence: Consequence) -> Effect {
        let is_report = matches!(self.read.classified.kind, Kind::Bounce | Kind::Delay | Kind::Complaint);
        if !is_report && self.is_ours() {
            return Effect::Ours;
        }
        // An address of ours for a message that there is not, or of somebody who was erased.
        let is_gone = subject.mailed.is_none() || (subject.whose.run.is_some() && subject.message.is_none());
        let found = if is_gone { Found::Nobody } else { subject.whose.found };
        let author = Author {
            is_person: self.read.is_from(subject.mailed.as_ref()),
            is_machine: self.read.is_machine(self.mail.sender.as_deref()),
        };
        match effect(self.read.classified.kind, consequence, found, author) {
            // It went to an address that the person has left.
            Effect::Dead | Effect::Soft if subject.message.as_ref().is_some_and(|message| message.moved) => {
                Effect::Noted
            }
            effect => match &subject.notice {
                None => effect,
                // Whoever reads answers must not be lost.
                Some(notice) if notice.kind == NoticeKind::ForwardedReply.as_str() => {
                    warn!(mail = self.mail.id, effect = effect.as_str(), "an answer that was passed on came back");
                    Effect::Noted
                }
                // Another notice is a stranger's, as a rule, and is in no run.
                Some(_) if matches!(effect, Effect::Dead | Effect::Complained) => effect,
                Some(_) => Effect::Noted,
            },
        }
    }

    /// Reports are kept in part: what they say stands at their beginning.
    fn kept(&self, effect: Effect) -> i64 {
        if effect == Effect::Replied { MOST_KEPT as i64 } else { MOST_KEPT_OF_OTHERS }
    }

    /// Whether it is of somebody who was erased; they are found by their hash alone.
    async fn is_erased(&self, tx: &mut Session, hash: Option<&AddressHash>) -> Result<bool> {
        let Some(hash) = hash else { return Ok(false) };
        Ok(suppressions::reason(tx, hash).await?.as_deref() == Some(ERASED))
    }

    /// Our own mail, which somebody has sent back to us.
    fn is_ours(&self) -> bool {
        let from = self.read.headers.from.as_deref().and_then(|from| Address::parse(from).ok());
        from.is_some_and(|from| self.rules.sender.as_ref().is_some_and(|own| own.folded() == from.folded()))
    }

    /// By what it was decided, without an address.
    fn told(&self, about: Option<&mail::Recipient>) -> String {
        let kind = &self.read.classified.evidence;
        match about {
            None => clean(&format!("{} in {}", kind.rule, kind.part)),
            Some(own) => {
                let status = own.status.map(|status| format!(" {status}")).unwrap_or_default();
                let reply = own.reply_code.map(|reply| format!(" {reply}")).unwrap_or_default();
                clean(&format!(
                    "{}:{reply}{status}, {} in {}",
                    own.reason.as_str(),
                    own.evidence.rule,
                    own.evidence.part
                ))
            }
        }
    }

    /// By what erasure finds it: the address that it is about, or that wrote it.
    fn hash(&self, about: Option<&mail::Recipient>, subject: &Subject) -> Option<AddressHash> {
        let named = about.map(|own| own.address.as_str()).or(self.read.headers.from.as_deref());
        let named = named.and_then(|address| Address::parse(address).ok());
        named.or_else(|| subject.mailed.clone()).map(|address| address.hash(&self.parts.suppression_key))
    }

    async fn follow(
        &self,
        tx: &mut Session,
        subject: &Subject,
        effect: Effect,
        about: Option<&mail::Recipient>,
    ) -> Result<()> {
        let at = Micros(self.mail.arrived_at);
        if let (Some(reason), Some(address)) = (effect.suppression(), &subject.mailed) {
            self.suppress(tx, address, reason).await?;
        }
        let Some(person) = &subject.person else { return Ok(()) };
        if effect == Effect::Blocked {
            self.plead(tx, subject, person.id, about, at).await?;
        }
        if let Some(kind) = effect.action(self.read.classified.kind) {
            let action = NewAction {
                key: format!("m:{}", self.mail.id),
                recipient: person.id,
                kind: kind.to_owned(),
                category: None,
                at,
                run: subject.message.as_ref().and(subject.whose.run),
                url: None,
                words: self.words(effect, about),
            };
            actions::insert(tx, &[action]).await?;
        }
        match effect {
            Effect::Left => self.leave(tx, subject, person.id, at).await,
            Effect::Soft => self.give_up_the_unreachable(tx, person, at).await,
            Effect::Replied => forward::forward(tx, self, person, at).await,
            _ => Ok(()),
        }
    }

    async fn suppress(&self, tx: &mut Session, address: &Address, reason: &str) -> Result<()> {
        let who = [(address.clone(), address.hash(&self.parts.suppression_key))];
        suppressions::add(tx, &who, self.parts.clock.now(), reason).await.map(drop)
    }

    /// What stands with the person: an answer's words, or the reason of a report.
    fn words(&self, effect: Effect, about: Option<&mail::Recipient>) -> Option<String> {
        match effect {
            Effect::Replied => {
                let text = self.read.text.as_deref().unwrap_or_default().trim();
                let kept = text.chars().filter(|c| *c == '\n' || !c.is_control()).take(MOST_WORDS);
                (!text.is_empty()).then(|| kept.collect())
            }
            _ => about.map(|own| own.reason.as_str().to_owned()),
        }
    }

    async fn leave(&self, tx: &mut Session, subject: &Subject, recipient: RecipientId, at: Micros) -> Result<()> {
        let Some(message) = &subject.message else { return Ok(()) };
        let salts = Salts::new(&clock::secret());
        let origin = Origin { channel: "mailto", run: subject.whose.run, at, salts, shown: None };
        subscriptions::leave(tx, recipient, &message.topic, &origin).await.map(drop)
    }

    async fn give_up_the_unreachable(&self, tx: &mut Session, person: &Recipient, at: Micros) -> Result<()> {
        let limit = self.rules.returns.soft;
        let first = returns::all_bounced_since(tx, person.id, limit.count).await?;
        let Some(address) =
            person.address.as_ref().filter(|_| first.is_some_and(|first| at.since(first) >= limit.over))
        else {
            return Ok(());
        };
        info!(recipient = person.id.0, messages = limit.count, "nothing has reached this address for long");
        self.suppress(tx, address, UNREACHABLE).await
    }

    async fn plead(
        &self,
        tx: &mut Session,
        subject: &Subject,
        recipient: RecipientId,
        about: Option<&mail::Recipient>,
        at: Micros,
    ) -> Result<()> {
        let (Some(message), Some(run)) = (&subject.message, subject.whose.run) else { return Ok(()) };
        let Message { campaign, relay, domain, .. } = message;
        let reason = self.told(about);
        warn!(campaign, relay, domain, reason, "a receiver refuses our mail, the recipient is innocent");
        // One recipient slows a domain down once by a message, whatever is sent in its name.
        if at.since(Micros(message.at)) > FRESH || returns::is_blocked(tx, run, recipient).await? {
            return Ok(());
        }
        match relay {
            Some(relay) => returns::plead(tx, (relay, domain), &reason, at).await,
            None => Ok(()),
        }
    }
}
