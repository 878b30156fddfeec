//! Sending a run's mail again, to some of those whom it was for.

use super::id::RunId;
use super::message::MessageState;

/// To whom of a run it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendTo {
    /// Whose message was accepted and who has not clicked, as far as a human's clicks are known.
    NotClicked,
    /// Whose message was accepted and who has neither opened nor clicked.
    NotOpened,
    /// Whose message's fate is not known: some of them have it already.
    Unknown,
    /// Whose message was rejected.
    Failed,
}

impl ResendTo {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotClicked, Self::NotOpened, Self::Unknown, Self::Failed];

    /// The word in commands and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotClicked => "not-clicked",
            Self::NotOpened => "not-opened",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// A sentence that names the words there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|to| to.as_str() == text);
        found.ok_or_else(|| format!("'{text}' is none of {}", words()))
    }

    /// The state of the messages whose recipients are meant.
    #[must_use]
    pub fn state(self) -> MessageState {
        match self {
            Self::NotClicked | Self::NotOpened => MessageState::Accepted,
            Self::Unknown => MessageState::Unknown,
            Self::Failed => MessageState::Rejected,
        }
    }

    /// The actions that take somebody out of it.
    #[must_use]
    pub fn without(self) -> &'static [&'static str] {
        match self {
            Self::NotClicked => &["click"],
            Self::NotOpened => &["open", "click"],
            Self::Unknown | Self::Failed => &[],
        }
    }

    /// What to know before it is done.
    #[must_use]
    pub fn caution(self) -> Option<&'static str> {
        match self {
            Self::NotClicked => Some(
                "who has not agreed to tracking gets plain links: whether they clicked is not known, and they are among \
                 these",
            ),
            Self::NotOpened => Some(
                "who has not agreed to tracking, and whose mail program shows no pictures, is among these although they \
                 may have read it",
            ),
            Self::Unknown => {
                Some("some of these get it twice: it is not known which of them have the first mail already")
            }
            Self::Failed => None,
        }
    }
}

/// What a run sends again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resend {
    /// Of which run.
    pub run: RunId,
    /// To whom of it.
    pub to: ResendTo,
    /// Another subject than the campaign's, a Handlebars template.
    pub subject: Option<String>,
}

impl Resend {
    /// The occasion of the `nth` time, from 1: the same resend cannot happen twice by accident.
    #[must_use]
    pub fn occasion(&self, nth: u32) -> String {
        let again = if nth > 1 { format!(":{nth}") } else { String::new() };
        format!("resend:{}:{}{again}", self.run, self.to.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for to in ResendTo::ALL {
            assert_eq!(ResendTo::parse(to.as_str()), Ok(to));
        }
        let fault = ResendTo::parse("clicked").unwrap_err();
        assert_eq!(fault, "'clicked' is none of not-clicked, not-opened, unknown, failed");
    }

    #[test]
    fn the_occasion_says_what_is_sent_again() {
        let resend = Resend { run: RunId(3), to: ResendTo::NotClicked, subject: None };
        assert_eq!([resend.occasion(1), resend.occasion(2)], ["resend:3:not-clicked", "resend:3:not-clicked:2"]);
    }
}
