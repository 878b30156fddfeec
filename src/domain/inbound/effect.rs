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

/// Who wrote a mail, as far as that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// It says that it is from the person whose message it answers.
    pub is_person: bool,
    /// A program made it, or a list passed it on: it is no answer of a person (RFC 3834 §2).
    pub is_machine: bool,
}

/// What is done about a mail. `about` is what follows for the recipient that it is about.
#[must_use]
pub fn effect(what: Kind, about: Consequence, found: Found, author: Author) -> Effect {
    use MailUse::{Bounce, Reply, Unsubscribe};
    match (what, found) {
        // Mail programs send these by themselves, and mark them so.
        (Kind::Unsubscribe | Kind::Reply | Kind::AutoReply | Kind::Other, Found::Signed(Unsubscribe)) => Effect::Left,
        (_, Found::Nobody) => Effect::Nobody,
        (Kind::Bounce | Kind::Complaint, Found::Signed(Bounce)) => match about {
            Consequence::Dead => Effect::Dead,
            Consequence::Complaint => Effect::Complained,
            Consequence::Retry => Effect::Soft,
            Consequence::Block => Effect::Blocked,
            Consequence::None => Effect::Noted,
        },
        // The copy of a mail has this address, too; whoever reports a complaint need not keep the return path.
        (Kind::Complaint, Found::Signed(Unsubscribe)) if about == Consequence::Complaint => Effect::Complained,
        (Kind::Delay, Found::Signed(_)) => Effect::Noted,
        // Others see the address to which answers go.
        (Kind::Bounce | Kind::Delay | Kind::Complaint, _) => Effect::Unsigned,
        (Kind::Unsubscribe, Found::Told) => Effect::Unsigned,
        (Kind::Unsubscribe, _) if author.is_person => Effect::Left,
        (Kind::AutoReply, _) | (_, Found::Told) => Effect::Noted,
        _ if author.is_machine => Effect::Noted,
        (Kind::Reply | Kind::Unsubscribe, _) => Effect::Replied,
        // Whatever came to where answers go is for whoever reads answers.
        (Kind::Other, Found::Signed(Reply)) => Effect::Replied,
        (Kind::Other, _) => Effect::Noted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 7] =
        [Kind::Bounce, Kind::Delay, Kind::Complaint, Kind::AutoReply, Kind::Unsubscribe, Kind::Reply, Kind::Other];
    const CONSEQUENCES: [Consequence; 5] =
        [Consequence::Dead, Consequence::Retry, Consequence::Block, Consequence::Complaint, Consequence::None];

    const ANNA: Author = Author { is_person: true, is_machine: false };
    const SOMEBODY: Author = Author { is_person: false, is_machine: false };
    const MACHINE: Author = Author { is_person: true, is_machine: true };

    #[test]
    fn only_a_report_to_the_return_path_suppresses_or_slows() {
        let others = [Found::Named, Found::Told, Found::Nobody, Found::Signed(MailUse::Reply)];
        for (what, about) in KINDS.into_iter().flat_map(|what| CONSEQUENCES.map(|about| (what, about))) {
            for found in others {
                let effect = effect(what, about, found, ANNA);
                assert_eq!(effect.suppression(), None, "{what:?} {about:?} {found:?}");
                assert!(!matches!(effect, Effect::Blocked | Effect::Soft), "{what:?} {about:?} {found:?}");
            }
            let is_report = matches!(what, Kind::Bounce | Kind::Complaint);
            let suppresses = effect(what, about, Found::Signed(MailUse::Bounce), ANNA).suppression().is_some();
            assert_eq!(suppresses, is_report && matches!(about, Consequence::Dead | Consequence::Complaint));
            let copied = effect(what, about, Found::Signed(MailUse::Unsubscribe), ANNA).suppression();
            assert_eq!(copied.is_some(), what == Kind::Complaint && about == Consequence::Complaint);
        }
    }

    #[test]
    fn mail_to_the_address_for_unsubscribing_unsubscribes_whatever_it_says_unless_it_is_a_report() {
        for (what, author) in KINDS.into_iter().flat_map(|what| [(what, ANNA), (what, SOMEBODY), (what, MACHINE)]) {
            let is_report = matches!(what, Kind::Bounce | Kind::Delay | Kind::Complaint);
            let left = effect(what, Consequence::None, Found::Signed(MailUse::Unsubscribe), author) == Effect::Left;
            assert_eq!(left, !is_report, "{what:?}");
        }
    }

    #[test]
    fn elsewhere_only_the_person_can_unsubscribe() {
        let asked = |found, author| effect(Kind::Unsubscribe, Consequence::None, found, author);
        assert_eq!(asked(Found::Named, ANNA), Effect::Left);
        assert_eq!(asked(Found::Signed(MailUse::Reply), ANNA), Effect::Left);
        assert_eq!(asked(Found::Signed(MailUse::Reply), SOMEBODY), Effect::Replied, "somebody who answered all");
        assert_eq!(asked(Found::Told, ANNA), Effect::Unsigned, "anybody can write another's address");
    }

    #[test]
    fn what_a_program_made_is_noted_and_is_no_reply() {
        let at = |what, author| effect(what, Consequence::None, Found::Signed(MailUse::Reply), author);
        assert_eq!((at(Kind::Reply, ANNA), at(Kind::Other, SOMEBODY)), (Effect::Replied, Effect::Replied));
        assert_eq!((at(Kind::Reply, MACHINE), at(Kind::Other, MACHINE)), (Effect::Noted, Effect::Noted));
        let noted = at(Kind::AutoReply, ANNA);
        assert_eq!((noted, noted.action(Kind::AutoReply)), (Effect::Noted, Some(kind::AUTO_REPLY)));
        assert_eq!(Effect::Noted.action(Kind::Delay), None);
    }
}
