//! Why a session could not be opened.

use std::fmt;

use super::answer::Lost;
use crate::domain::outcome::{Reply, Stage};

/// Whether trying again can help. Neither says anything about a message: none was at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permanence {
    /// The relay is away, busy or full: try again later.
    Temporary,
    /// It will not work before somebody changes something, here or there.
    Permanent,
}

/// A session that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// Where it failed.
    pub stage: Stage,
    /// Whether trying again can help.
    pub permanence: Permanence,
    /// What happened; never a password.
    pub words: String,
    /// The server's answer, where it was one that refused.
    pub reply: Option<Reply>,
}

impl OpenError {
    pub(super) fn temporary(stage: Stage, words: impl Into<String>) -> Self {
        Self { stage, permanence: Permanence::Temporary, words: words.into(), reply: None }
    }

    pub(super) fn permanent(stage: Stage, words: impl Into<String>) -> Self {
        Self { stage, permanence: Permanence::Permanent, words: words.into(), reply: None }
    }

    /// The failure that a refusing answer means: 5yz does not pass by itself.
    pub(super) fn refused(stage: Stage, reply: Reply) -> Self {
        let permanence = if reply.code / 100 == 5 { Permanence::Permanent } else { Permanence::Temporary };
        Self { stage, permanence, words: reply.to_string(), reply: Some(reply) }
    }

    /// The failure that an answer means, if it means one: anything but 2yz.
    pub(super) fn check(stage: Stage, answer: Result<Reply, Lost>) -> Result<Reply, Self> {
        match answer {
            Ok(reply) if reply.code / 100 == 2 => Ok(reply),
            Ok(reply) => Err(Self::refused(stage, reply)),
            Err(lost) => Err(Self::temporary(stage, lost.words)),
        }
    }
}

impl OpenError {
    /// The same for logs: of the server's answer its codes alone, as its words may quote an address.
    #[must_use]
    pub fn without_words(&self) -> String {
        let Some(Reply { code, enhanced, .. }) = &self.reply else { return self.to_string() };
        let enhanced = enhanced.map(|code| format!(" {code}")).unwrap_or_default();
        Self { words: format!("{code}{enhanced}"), ..self.clone() }.to_string()
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self.permanence {
            Permanence::Temporary => "it is tried again",
            Permanence::Permanent => "check the relay's settings",
        };
        write!(f, "no session with the relay ({}): {}; {hint}", self.stage, self.words)
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_the_codes_of_an_answer_and_all_that_we_say_ourselves() {
        let refused = OpenError::refused(Stage::Auth, Reply::new(535, "5.7.8 no: joe@shop.example"));
        let told = "no session with the relay (auth): 535 5.7.8; check the relay's settings";
        assert_eq!(refused.without_words(), told);
        let away = OpenError::temporary(Stage::Connect, "connection refused");
        assert_eq!(away.without_words(), away.to_string());
    }
}
