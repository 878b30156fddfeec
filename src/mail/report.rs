//! Delivery reports in the standard's form (RFC 3464), and the many that nearly are.

use super::address::{last_address, plain};
use super::fields::{Fields, blocks};
use super::told::{self, Told};
use crate::domain::inbound::{Account, Stage, enhanced, reply_code};

/// What became of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Given up.
    Failed,
    /// Still tried.
    Delayed,
    /// Arrived, or handed on.
    Delivered,
}

/// One recipient of a report.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) address: String,
    /// The address that the mail was sent to, where the report names another.
    pub(super) original: Option<String>,
    pub(super) action: Action,
    pub(super) account: Account,
}

/// Reads the part. `failed` are the addresses of X-Failed-Recipients.
pub(super) fn read(text: &str, told: &Told, failed: &[String]) -> Vec<Reported> {
    let mut reported: Vec<Reported> = Vec::new();
    for fields in groups(text) {
        let Some((address, original)) = recipient(&fields, told, failed) else { continue };
        if reported.iter().any(|own| own.address.eq_ignore_ascii_case(&address)) {
            continue;
        }
        let account = account(&fields, &address, told);
        reported.push(Reported { action: action(&fields, &account), address, original, account });
    }
    reported
}

/// Blocks that belong together: some reporters leave empty lines inside.
fn groups(text: &str) -> Vec<Fields> {
    let mut groups: Vec<Fields> = Vec::new();
    for block in blocks(text) {
        let names = ["final-recipient", "original-recipient", "x-actual-recipient"]
            .iter()
            .any(|name| block.get(name).is_some());
        let rest = ["action", "status", "diagnostic-code"];
        let continues = groups.last().is_some_and(|last| {
            !names
                && rest.iter().any(|name| block.get(name).is_some())
                && rest.iter().all(|name| last.get(name).is_none() || block.get(name).is_none())
        });
        match groups.last_mut() {
            Some(last) if continues => last.extend(block),
            _ => groups.push(block),
        }
    }
    groups.retain(|group| {
        group.get("final-recipient").or(group.get("original-recipient")).or(group.get("action")).is_some()
    });
    groups
}

fn recipient(fields: &Fields, told: &Told, failed: &[String]) -> Option<(String, Option<String>)> {
    // A name that no host can have is internal to the reporter.
    let is_address = |address: &&str| !address.rsplit('@').next().is_some_and(|domain| domain.contains('_'));
    let read = |name| fields.get(name).and_then(last_address).filter(is_address).map(plain);
    let (last, original) = (read("final-recipient"), read("original-recipient"));
    let other =
        original.clone().filter(|original| last.as_ref().is_some_and(|last| !last.eq_ignore_ascii_case(original)));
    let address = last
        .or(original)
        .or_else(|| failed.first().cloned())
        .or_else(|| told.entries.first().map(|(address, _)| address.clone()))
        .or_else(|| read("x-actual-recipient"))?;
    Some((address, other))
}

fn account(fields: &Fields, address: &str, told: &Told) -> Account {
    let diagnostic = fields.all("diagnostic-code").find(|value| !value.is_empty()).unwrap_or_default();
    let status = fields.get("status").unwrap_or_default();
    let said = told.about(address);
    let mut words = diagnostic.to_owned();
    // A bare type, as in "smtp;", or nothing: the words for people say more.
    let reply = reply_code(diagnostic);
    if reply.is_none() && diagnostic.len() < 20 {
        words.push(' ');
        words.push_str(said);
    }
    if let Some((_, comment)) = status.split_once('(') {
        words.push(' ');
        words.push_str(comment.trim_end_matches(')'));
    }
    let in_words = enhanced(diagnostic);
    let of_field = enhanced(status);
    let status = match (of_field, in_words) {
        (Some(field), Some(words)) => Some(field.or_plainer(words)),
        // The reporter gave up on a refusal for now: what the server said goes before the reporter's own summary.
        (field, words) => field.or(words).or_else(|| enhanced(&self::first_lines(said))),
    };
    let reply = reply.or_else(|| if diagnostic.is_empty() { reply_code(&first_lines(said)) } else { None });
    let stage = match told::stage(diagnostic) {
        Stage::Unsaid => told::stage(said),
        stage => stage,
    };
    Account { delayed: false, status, reply, stage, words }
}

fn first_lines(words: &str) -> String {
    words.lines().take(12).collect::<Vec<_>>().join("\n")
}

fn action(fields: &Fields, account: &Account) -> Action {
    let word = fields.get("action").unwrap_or_default().trim_start().to_ascii_lowercase();
    let is = |begin: &str| word.starts_with(begin);
    match account.status.map(|status| status.class) {
        _ if is("delay") => Action::Delayed,
        _ if is("fail") => Action::Failed,
        _ if is("deliver") || is("relay") || is("expand") => Action::Delivered,
        Some(2) => Action::Delivered,
        _ => Action::Failed,
    }
}
