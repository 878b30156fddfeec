//! What a message is, about whom, and why: the readers in their order.

use std::borrow::Cow;

use super::address::{addresses, plain};
use super::letter::{Holds, Letter, Part};
use super::report::{self, Action};
use super::told::{self, Place, Told};
use super::{answer, feedback, notification};
use crate::domain::inbound::{
    Account, Consequence, EnhancedStatus, Judgement, Kind, Reason, Sign, Stage, enhanced, judge, reply_code, sign,
};
use crate::domain::outcome::clean;

/// Of a message, so much is read: reports come first, the returned mail after them (bytes).
pub const MOST_BYTES: usize = 1 << 20;

/// Why something was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The part: a media type, or a header.
    pub part: String,
    /// The rule.
    pub rule: &'static str,
    /// The words that it was held against, cut.
    pub words: String,
}

impl Evidence {
    pub(super) fn new(part: &str, rule: &'static str, words: &str) -> Self {
        Self { part: part.to_owned(), rule, words: clean(words) }
    }
}

/// One recipient that the message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address that failed, as the report names it.
    pub address: String,
    /// The address that the mail was sent to, where the report says that it was passed on.
    pub original: Option<String>,
    /// The enhanced status.
    pub status: Option<EnhancedStatus>,
    /// The reply code of SMTP.
    pub reply_code: Option<u16>,
    /// Why.
    pub reason: Reason,
    /// Whether the fault lies in this address or host, and stays.
    pub hard: bool,
    /// What follows.
    pub consequence: Consequence,
    /// Which part says so, and the rule that decided.
    pub evidence: Evidence,
}

impl Recipient {
    pub(super) fn judged(address: String, account: &Account, judgement: &Judgement, part: &str) -> Self {
        Self {
            address,
            original: None,
            status: account.status,
            reply_code: account.reply,
            reason: judgement.reason,
            hard: judgement.hard,
            consequence: judgement.consequence,
            evidence: Evidence::new(part, judgement.rule, &account.words),
        }
    }
}

/// What a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// What it is.
    pub kind: Kind,
    /// Whom it is about.
    pub recipients: Vec<Recipient>,
    /// What follows for the one whose message a complaint is about, when it names nobody; else nothing.
    pub consequence: Consequence,
    /// By what the kind shows.
    pub evidence: Evidence,
}

/// Longer addresses do not exist (RFC 3696, erratum 1690), nor do reports name more of them.
const MOST_ADDRESS: usize = 320;
const MOST_RECIPIENTS: usize = 1_000;

/// Classifies a message. Any bytes are one.
#[must_use]
pub fn classify(raw: &[u8]) -> Classified {
    let raw = message(within(raw));
    let mut found = read(&Letter::read(&raw));
    let is_sound = |address: &String| address.len() <= MOST_ADDRESS && !address.contains(char::is_control);
    found.recipients.retain(|own| is_sound(&own.address) && own.original.as_ref().is_none_or(is_sound));
    found.recipients.truncate(MOST_RECIPIENTS);
    found
}

fn read(letter: &Letter<'_>) -> Classified {
    if let Some(complaint) = feedback::read(letter) {
        return complaint;
    }
    let failed = failed_recipients(letter);
    if let Some(report) = delivery_report(letter, &failed) {
        return report;
    }
    if let Some((kind, recipients, evidence)) = notification::read(letter) {
        return Classified { kind, recipients, consequence: Consequence::None, evidence };
    }
    if let Some(report) = told_report(letter, &failed) {
        return report;
    }
    let (kind, recipients, evidence) = answer::read(letter);
    Classified { kind, recipients, consequence: Consequence::None, evidence }
}

/// As much of a message as is looked at.
pub(super) fn within(raw: &[u8]) -> &[u8] {
    raw.get(..MOST_BYTES).unwrap_or(raw)
}

/// The message without what a mail folder adds, and with ends of lines that can be read where it has CR alone.
pub(super) fn message(raw: &[u8]) -> Cow<'_, [u8]> {
    let raw = without_envelope(raw);
    match memchr::memchr(b'\n', raw).is_none() && memchr::memchr(b'\r', raw).is_some() {
        true => raw.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect(),
        false => Cow::Borrowed(raw),
    }
}

/// Mail folders begin each message by a line "From sender date".
fn without_envelope(raw: &[u8]) -> &[u8] {
    let raw = raw.trim_ascii_start();
    match raw.starts_with(b"From ").then(|| memchr::memchr2(b'\n', b'\r', raw)).flatten() {
        Some(end) => raw.get(end..).unwrap_or_default().trim_ascii_start(),
        None => raw,
    }
}

fn failed_recipients(letter: &Letter<'_>) -> Vec<String> {
    let mut failed: Vec<String> = Vec::new();
    for found in letter.header.all("x-failed-recipients").flat_map(addresses) {
        let address = plain(found.address);
        if !failed.iter().any(|own| own.eq_ignore_ascii_case(&address)) {
            failed.push(address);
        }
    }
    failed
}

/// A report that a program can read.
fn delivery_report(letter: &Letter<'_>, failed: &[String]) -> Option<Classified> {
    let told = told::read(letter);
    // The right fields under a wrong type; from a mail system, wherever they stand, when nothing else names an address.
    let is_system = sign(Sign::ReportSender, &letter.from).is_some();
    let lines = if is_system { 400 } else { 60 };
    let has = |text: &str, name: &str| {
        let begins = |line: &str| line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        text.lines().take(lines).any(begins)
    };
    let is_report = |part: &&Part<'_>| has(&part.text, "final-recipient:") && has(&part.text, "action:");
    let part =
        letter.all(Holds::DeliveryStatus).next().or_else(|| letter.all(Holds::Text).find(is_report)).or_else(|| {
            letter
                .all(Holds::Returned)
                .filter(|_| is_system && told.place.is_none() && failed.is_empty())
                .find(is_report)
        })?;
    let read = |part: &'_ Part<'_>, told: &Told, failed: &[String]| -> Vec<_> {
        report::read(&part.text, told, failed).into_iter().map(|own| (own, part.media.clone())).collect()
    };
    let mut reported = read(part, &told, failed);
    // A report that could not be delivered itself: what it says is still news.
    for returned in letter.all(Holds::Returned).filter(|part| is_system && is_report(part)) {
        for inner in read(returned, &Told::default(), &[]) {
            if !reported.iter().any(|(own, _)| own.address.eq_ignore_ascii_case(&inner.0.address)) {
                reported.push(inner);
            }
        }
    }
    // Who got it is no news beside who did not.
    if reported.iter().any(|(own, _)| own.action != Action::Delivered) {
        reported.retain(|(own, _)| own.action != Action::Delivered);
    }
    let kind = match reported.first()?.0.action {
        _ if reported.iter().any(|(own, _)| own.action == Action::Failed) => Kind::Bounce,
        Action::Delayed => Kind::Delay,
        _ => Kind::Other,
    };
    let recipients = reported.into_iter().map(|(own, media)| {
        let mut account = own.account;
        account.delayed = own.action == Action::Delayed;
        let judgement = match own.action {
            Action::Delivered => {
                Judgement { reason: Reason::Delivered, hard: false, consequence: Consequence::None, rule: "action" }
            }
            _ => judge(&account),
        };
        Recipient { original: own.original, ..Recipient::judged(own.address, &account, &judgement, &media) }
    });
    Some(Classified {
        kind,
        recipients: recipients.collect(),
        consequence: Consequence::None,
        evidence: Evidence::new(&part.media, "delivery-status", ""),
    })
}

/// A report in words.
fn told_report(letter: &Letter<'_>, failed: &[String]) -> Option<Classified> {
    let (told, evidence) = match failed.is_empty() {
        false => (told::read(letter), Evidence::new("header X-Failed-Recipients", "failed-recipients", "")),
        true => looks_like_report(letter)?,
    };
    let subject = &letter.subject;
    let is_delay = sign(Sign::DelayWords, subject).is_some() || sign(Sign::DelayWords, &flat(&told.words)).is_some();
    let is_delay = is_delay && !gave_up(&told.words);
    let named: Vec<String> = match failed.is_empty() {
        false => failed.to_vec(),
        true => told.entries.iter().map(|(address, _)| address.clone()).collect(),
    };
    // Several addresses that merely stand in the text may be anybody's.
    let is_sure = !failed.is_empty() || named.len() == 1 || told.place > Some(Place::Inside);
    let recipients = named.into_iter().map(|address| {
        let said = told.about(&address);
        let stage = match told::stage(said) {
            Stage::Unsaid => told::stage(&told.words),
            stage => stage,
        };
        let account = |words: &str| Account {
            delayed: is_delay,
            status: enhanced(words),
            reply: reply_code(words),
            stage,
            words: told::answered(words).unwrap_or_else(|| words.to_owned()),
        };
        let mut account_of = account(said);
        let mut judgement = judge(&account_of);
        let is_vague = matches!(judgement.reason, Reason::Unknown | Reason::Refused | Reason::Temporary);
        if is_vague && account_of.status.is_none() && account_of.reply.is_none() && said.len() != told.words.len() {
            // The reason stands elsewhere, for all.
            account_of = account(&format!("{said} {}", told.words));
            judgement = judge(&account_of);
        }
        if judgement.consequence == Consequence::Dead && !is_sure {
            judgement =
                Judgement { reason: Reason::Unconfirmed, hard: false, consequence: Consequence::None, ..judgement };
        }
        Recipient::judged(address, &account_of, &judgement, &told.media)
    });
    let kind = if is_delay { Kind::Delay } else { Kind::Bounce };
    Some(Classified { kind, recipients: recipients.collect(), consequence: Consequence::None, evidence })
}

fn has_code(told: &Told) -> bool {
    enhanced(&told.words).is_some() || reply_code(&told.words).is_some()
}

fn gave_up(words: &str) -> bool {
    let words = flat(words).to_lowercase();
    ["permanent error", "i've given up", "giving up", "gave up", "no further"].iter().any(|mark| words.contains(mark))
}

fn flat(words: &str) -> String {
    words.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Two of sender, subject and words must say that it is a report; the answer of a person is none.
fn looks_like_report(letter: &Letter<'_>) -> Option<(Told, Evidence)> {
    let subject = letter.subject.trim_start();
    let lower = subject.to_lowercase();
    let passed_on = ["re:", "aw:", "fw:", "fwd:", "wg:", "sv:"].iter().any(|begin| lower.starts_with(begin));
    let sender = sign(Sign::ReportSender, &letter.from).or_else(|| {
        let path = letter.header.get("return-path").is_some_and(|path| path.trim() == "<>");
        (path || letter.header.get("from").is_some_and(|from| from.trim() == "<>")).then_some("empty")
    });
    let titled = sign(Sign::ReportSubject, subject).filter(|_| !passed_on);
    let rule = match (sender, titled) {
        (None, None) => return None,
        (Some(rule), _) | (None, Some(rule)) => rule,
    };
    if sender.is_none_or(|rule| rule == "empty") && titled.is_none() && answer::automatic(letter).is_some() {
        return None;
    }
    // Where mail is answered by itself, the mail system may be who writes; what is sent to many is no report.
    let is_answer = titled.is_none() && sign(Sign::AutoSubject, subject).is_some();
    let is_bulk = ["list-id", "list-unsubscribe", "in-reply-to"].iter().any(|name| letter.header.get(name).is_some());
    if is_answer || sender.is_none() && is_bulk {
        return None;
    }
    let told = told::read(letter);
    let worded = sign(Sign::ReportWords, &flat(&told.words));
    let is_report = match (sender, titled, worded) {
        (Some(_), Some(_), _) => true,
        (Some("empty"), None, Some(_)) => !told.entries.is_empty(),
        (Some(_), None, Some(_)) => true,
        (Some(_), None, None) => told.place == Some(Place::First),
        (None, Some("mailing-list"), Some(_)) => told.place.is_some(),
        (None, Some("standard"), Some(_)) => told.place > Some(Place::Inside),
        (None, Some(_), Some(_)) => told.place == Some(Place::First) && has_code(&told),
        _ => false,
    };
    is_report.then(|| (told, Evidence::new("header", rule, &format!("{} | {subject}", letter.from))))
}
