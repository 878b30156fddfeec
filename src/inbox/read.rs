//! What a mail says, before anything follows from it.

use super::whose::{self, Whose};
use crate::domain::address::Address;
use crate::domain::inbound::{Consequence, Kind};
use crate::domain::token::Keyring;
use crate::mail::{self, Classified, Headers, Recipient};
use crate::store::inbound::Waiting;

/// A mail taken apart.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub classified: Classified,
    pub headers: Headers,
    /// By an address of ours.
    pub signed: Option<Whose>,
    /// What a person wrote.
    pub text: Option<String>,
}

/// Takes a mail apart; no input or output.
pub(super) fn read(mail: &Waiting, keyring: &Keyring) -> Read {
    let classified = mail::classify(&mail.raw);
    let headers = mail::headers(&mail.raw);
    let signed = whose::signed(mail, classified.kind, &headers, keyring);
    let is_written = matches!(classified.kind, Kind::Reply | Kind::Unsubscribe | Kind::Other);
    let text = is_written.then(|| mail::reply_text(&mail.raw)).flatten();
    Read { classified, headers, signed, text }
}

impl Read {
    /// What a report says of the recipient whose message it is about, and what follows.
    ///
    /// A message has one recipient, so that a report has one, too, as a rule. A report about somebody else tells that the
    /// mail was passed on, to them and perhaps to others: the address that we mail is not dead for that.
    pub fn about(&self, mailed: Option<&Address>) -> (Option<&Recipient>, Consequence) {
        let all = &self.classified.recipients;
        let mailed_one = all.iter().find(|own| mailed.is_some_and(|mailed| is_near(own, mailed)));
        match (mailed_one, all.as_slice(), self.classified.kind) {
            (Some(own), _, _) => (Some(own), own.consequence),
            (None, [], Kind::Complaint) => (None, self.classified.consequence),
            // A feedback report is about the mail, whoever stands in it.
            (None, [first, ..], Kind::Complaint) => (Some(first), first.consequence),
            (None, [one], _) if one.consequence != Consequence::Dead => (Some(one), one.consequence),
            (None, all, _) => (all.first(), Consequence::None),
        }
    }

    /// Whether a program made it, or a list passed it on.
    pub fn is_machine(&self, envelope_sender: Option<&str>) -> bool {
        let Headers { auto_submitted, precedence, is_list, return_path, .. } = &self.headers;
        auto_submitted.as_deref().is_some_and(|word| word != "no")
            || precedence.as_deref().is_some_and(|word| ["bulk", "list", "junk"].contains(&word))
            || *is_list
            || return_path.as_deref() == Some("")
            || envelope_sender == Some("")
    }

    /// Whether it says that it is from this address.
    pub fn is_from(&self, mailed: Option<&Address>) -> bool {
        self.headers.from.as_deref().is_some_and(|from| mailed.is_some_and(|mailed| same(from, mailed)))
    }
}

fn same(text: &str, own: &Address) -> bool {
    Address::parse(text).is_ok_and(|address| address.folded() == own.folded())
}

/// Servers write the mailbox in other ways: at another host of the domain, or without one.
fn is_near(reported: &Recipient, own: &Address) -> bool {
    let Some((local, domain)) = reported.address.rsplit_once('@') else { return true };
    let is_below = |a: &str, b: &str| a.strip_suffix(b).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let domain = domain.to_ascii_lowercase();
    let is_same_place = is_below(&domain, own.domain()) || is_below(own.domain(), &domain);
    same(&reported.address, own) || is_same_place && local.eq_ignore_ascii_case(own.local())
}
