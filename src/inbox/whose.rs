//! Whose message a mail speaks of: by an address of ours, else by the mail that it answers, else by its words.

use crate::domain::address::Address;
use crate::domain::id::{NoticeId, RecipientId, RunId};
use crate::domain::inbound::{Found, Kind};
use crate::domain::mail_path::MailPath;
use crate::domain::token::Keyring;
use crate::mail::{Classified, Headers, MOST_BYTES};
use crate::render;
use crate::store::inbound::Waiting;
use crate::store::{Result, Session, recipients, returns};

/// Of a person's messages, so many are compared with what an answer says it answers.
const MOST_RUNS: i64 = 500;

/// So many addresses of a report are looked up.
const MOST_NAMED: usize = 4;

/// Whose it is, and how well that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    pub found: Found,
    /// Whom it speaks of.
    pub recipient: Option<RecipientId>,
    /// The run of the message.
    pub run: Option<RunId>,
    /// It speaks of a notice, which is in no run.
    pub notice: Option<NoticeId>,
}

impl Whose {
    const NOBODY: Self = Self { found: Found::Nobody, recipient: None, run: None, notice: None };

    fn signed(path: MailPath) -> Self {
        let found = Found::Signed(path.purpose);
        match path.run {
            RunId::NOTICES => Self { found, notice: Some(NoticeId(path.recipient.0)), ..Self::NOBODY },
            run => Self { found, recipient: Some(path.recipient), run: Some(run), notice: None },
        }
    }
}

/// The address of ours that a mail came to; a report may bring it in its copy of the message.
pub(super) fn signed(mail: &Waiting, kind: Kind, headers: &Headers, keyring: &Keyring) -> Option<Whose> {
    let local = |address: &str| MailPath::verify(address.rsplit_once('@')?.0, keyring);
    let envelope = mail.recipient.iter().chain(&headers.envelope_recipients);
    let path = envelope.map(String::as_str).find_map(local).or_else(|| {
        let is_report = matches!(kind, Kind::Bounce | Kind::Delay | Kind::Complaint);
        is_report.then(|| MailPath::find(&mail.raw[..mail.raw.len().min(MOST_BYTES)], keyring)).flatten()
    });
    path.map(Whose::signed)
}

/// Whom the words of a mail name: those it reports about, else who wrote it.
pub(super) fn named(classified: &Classified, headers: &Headers) -> Vec<Address> {
    let reported = classified.recipients.iter().flat_map(|own| own.original.iter().chain([&own.address]));
    let texts: Vec<&String> = if classified.recipients.is_empty() {
        headers.from.iter().collect()
    } else {
        reported.take(MOST_NAMED).collect()
    };
    texts.into_iter().filter_map(|text| Address::parse(text).ok()).collect()
}

/// Who it is by the words of a mail that bears no address of ours: whoever wrote it, or whom it reports about.
pub(super) async fn told(
    session: &mut Session,
    named: Vec<Address>,
    headers: &Headers,
    keyring: &Keyring,
) -> Result<Whose> {
    for address in named {
        let Some(person) = recipients::find(session, &address).await? else { continue };
        let whose = Whose { found: Found::Told, recipient: Some(person.id), ..Whose::NOBODY };
        let answers: Vec<&String> = headers.in_reply_to.iter().chain(&headers.references).collect();
        if answers.is_empty() {
            return Ok(whose);
        }
        for run in returns::latest_runs(session, person.id, MOST_RUNS).await? {
            let key = render::message_key(run, person.id, keyring);
            if answers.iter().any(|id| id.split_once('@').is_some_and(|(left, _)| left == key)) {
                return Ok(Whose { found: Found::Named, run: Some(run), ..whose });
            }
        }
        return Ok(whose);
    }
    Ok(Whose::NOBODY)
}
