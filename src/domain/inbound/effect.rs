//! What is done about a mail, by what it is and how well it is known whose it is.

use super::{Consequence, Kind};
use crate::domain::action::kind;
use crate::domain::mail_path::MailUse;
use crate::domain::suppression::{BOUNCED, COMPLAINED};

/// How it is known whose message a mail speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// An address of ours says so, which nobody else can write.
    Signed(MailUse),
    /// It names a message by what only its recipient was told.
    Named,
    /// Its words say so, which anybody can write.
    Told,
    /// It is not known.
    Nobody,
}

/// What is done about a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The address is dead, and is never mailed again.
    Dead,
    /// The person does not want our mail, and never gets any again.
    Complained,
    /// It may work later; too many in a row end it.
    Soft,
    /// The sender is at fault: the domain gets less at a time.
    Blocked,
    /// The topic is left.
    Left,
    /// A person's answer counts, and goes to where answers go.
    Replied,
    /// Nothing follows; it stands with the person.
    Noted,
    /// A report that anybody may have written: nothing follows.
    Unsigned,
    /// Nobody knows whose it is: it is kept, and waits for a look.
    Nobody,
    /// It is our own mail.
    Ours,
}

impl Effect {
    /// The word for it in the database and in results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Complained => "complained",
            Self::Soft => "soft",
            Self::Blocked => "blocked",
            Self::Left => "left",
            Self::Replied => "replied",
            Self::Noted => "noted",
            Self::Unsigned => "unsigned",
            Self::Nobody => "nobody",
            Self::Ours => "ours",
        }
    }

    /// The action that it is in the person's ledger, besides what leaving writes itself.
    #[must_use]
    pub fn action(self, what: Kind) -> Option<&'static str> {
        match (self, what) {
            (Self::Dead, _) => Some(kind::BOUNCE),
            (Self::Complained, _) => Some(kind::COMPLAINT),
            (Self::Soft, _) => Some(kind::SOFT_BOUNCE),
            (Self::Blocked, _) => Some(kind::BLOCK),
            (Self::Replied, _) => Some(kind::REPLY),
            (Self::Noted, Kind::AutoReply) => Some(kind::AUTO_REPLY),
            _ => None,
        }
    }

    /// Under which reason the address is suppressed at once.
    #[must_use]
    pub fn suppression(self) -> Option<&'static str> {
        match self {
            Self::Dead => Some(BOUNCED),
            Self::Complained => Some(COMPLAINED),
            _ => None,
        }
    }
}

/// What is done about a mail. `about` is what follows for the recipient that it is about.
#[must_use]
pub fn effect(what: Kind, about: Consequence, found: Found) -> Effect {
    match (what, found) {
        // Mail programs send these by themselves, and mark them so.
        (Kind::Unsubscribe | Kind::Reply | Kind::AutoReply | Kind::Other, Found::Signed(MailUse::Unsubscribe))
        | (Kind::Unsubscribe, Found::Signed(_) | Found::Named) => Effect::Left,
        (_, Found::Nobody) => Effect::Nobody,
        (Kind::Bounce | Kind::Delay | Kind::Complaint, Found::Named | Found::Told) => Effect::Unsigned,
        (Kind::Bounce | Kind::Complaint, _) => match about {
            Consequence::Dead => Effect::Dead,
            Consequence::Complaint => Effect::Complained,
            Consequence::Retry => Effect::Soft,
            Consequence::Block => Effect::Blocked,
            Consequence::None => Effect::Noted,
        },
        (Kind::Reply, _) | (Kind::Unsubscribe, Found::Told) => Effect::Replied,
        // Whatever came to where answers go is for whoever reads answers.
        (Kind::Other, Found::Signed(MailUse::Reply)) => Effect::Replied,
        (Kind::Delay | Kind::AutoReply | Kind::Other, _) => Effect::Noted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 7] =
        [Kind::Bounce, Kind::Delay, Kind::Complaint, Kind::AutoReply, Kind::Unsubscribe, Kind::Reply, Kind::Other];
    const CONSEQUENCES: [Consequence; 5] =
        [Consequence::Dead, Consequence::Retry, Consequence::Block, Consequence::Complaint, Consequence::None];

    #[test]
    fn only_a_signed_report_suppresses() {
        for (what, about) in KINDS.into_iter().flat_map(|what| CONSEQUENCES.map(|about| (what, about))) {
            for found in [Found::Named, Found::Told, Found::Nobody] {
                let effect = effect(what, about, found);
                assert_eq!(effect.suppression(), None, "{what:?} {about:?} {found:?}");
                assert_ne!(effect, Effect::Blocked, "nor does anything else slow a domain");
            }
            let is_report = matches!(what, Kind::Bounce | Kind::Complaint);
            let suppresses = effect(what, about, Found::Signed(MailUse::Bounce)).suppression().is_some();
            assert_eq!(suppresses, is_report && matches!(about, Consequence::Dead | Consequence::Complaint));
        }
    }

    #[test]
    fn mail_to_the_address_for_unsubscribing_unsubscribes_whatever_it_says_unless_it_is_a_report() {
        for what in KINDS {
            let is_report = matches!(what, Kind::Bounce | Kind::Delay | Kind::Complaint);
            let left = effect(what, Consequence::None, Found::Signed(MailUse::Unsubscribe)) == Effect::Left;
            assert_eq!(left, !is_report, "{what:?}");
        }
        assert_eq!(effect(Kind::Unsubscribe, Consequence::None, Found::Named), Effect::Left);
        let told = effect(Kind::Unsubscribe, Consequence::None, Found::Told);
        assert_eq!(told, Effect::Replied, "anybody can write another's address: a person looks at it");
    }

    #[test]
    fn an_automatic_answer_is_noted_and_is_no_reply() {
        let noted = effect(Kind::AutoReply, Consequence::None, Found::Signed(MailUse::Reply));
        assert_eq!((noted, noted.action(Kind::AutoReply)), (Effect::Noted, Some(kind::AUTO_REPLY)));
        assert_eq!(Effect::Noted.action(Kind::Delay), None);
    }
}
