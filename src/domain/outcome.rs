//! What became of one attempt at handing a message over.

use std::fmt;

/// Most characters that are kept of a server's words.
pub const MAX_WORDS: usize = 500;

/// A part of the conversation with a relay, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Name resolution and TCP.
    Connect,
    /// The server's greeting.
    Greeting,
    /// `EHLO`.
    Ehlo,
    /// `STARTTLS` or the handshake of implicit TLS.
    Tls,
    /// `AUTH`.
    Auth,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Rcpt,
    /// `DATA` up to, but without, the final dot.
    Data,
    /// The final dot and its answer.
    Dot,
    /// Writing a file instead of speaking SMTP.
    File,
}

impl Stage {
    /// The word in logs and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Dot => "dot",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An enhanced status code (RFC 3463), such as 5.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedCode {
    /// 2 success, 4 temporary, 5 permanent.
    pub class: u8,
    /// What it is about: 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// Which of these.
    pub detail: u16,
}

impl EnhancedCode {
    /// Reads the code that a reply's text begins with. A class that contradicts the reply code is
    /// no enhanced code (RFC 2034 §4).
    #[must_use]
    pub fn parse(code: u16, words: &str) -> Option<Self> {
        let number = |text: &str| -> Option<u16> {
            ((1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
        };
        let mut parts = words.split_ascii_whitespace().next()?.split('.');
        let class = number(parts.next()?)?;
        let found =
            Self { class: u8::try_from(class).ok()?, subject: number(parts.next()?)?, detail: number(parts.next()?)? };
        (parts.next().is_none() && class == code / 100 && matches!(class, 2 | 4 | 5)).then_some(found)
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A server's reply, or our own refusal in a server's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The reply code (RFC 5321 §4.2), 200 to 599.
    pub code: u16,
    /// The enhanced code, where the text begins with one.
    pub enhanced: Option<EnhancedCode>,
    /// The text: lines joined by spaces, no control characters, at most [`MAX_WORDS`] characters.
    /// It may repeat the recipient's address, so it is stored, not logged.
    pub words: String,
}

impl Reply {
    /// A reply of this code and text; the text is cleaned and cut.
    #[must_use]
    pub fn new(code: u16, words: &str) -> Self {
        Self { code, enhanced: EnhancedCode::parse(code, words), words: clean(words) }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.words)
    }
}

/// What became of an attempt. It alone decides what happens next; nobody reads the words for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The relay has taken the message.
    Accepted {
        /// Its answer to the final dot.
        reply: Reply,
    },
    /// Refused for now: an attempt, to be tried again.
    Deferred {
        /// Where.
        stage: Stage,
        /// What the server said.
        reply: Reply,
    },
    /// Refused for good.
    Rejected {
        /// Where.
        stage: Stage,
        /// What the server, or we in its place, said.
        reply: Reply,
    },
    /// The message certainly did not go out: no attempt, it may be tried again at once.
    NotSent {
        /// Where it broke.
        stage: Stage,
        /// What happened.
        words: String,
    },
    /// The final dot may have left and no answer came. Never sent again by itself.
    Unknown {
        /// What happened.
        words: String,
    },
}

impl Outcome {
    /// What a reply that refuses means: 4yz comes back, 5yz does not. Others are no refusal.
    #[must_use]
    pub fn of_refusal(stage: Stage, reply: Reply) -> Option<Self> {
        match reply.code {
            400..=499 => Some(Self::Deferred { stage, reply }),
            500..=599 => Some(Self::Rejected { stage, reply }),
            _ => None,
        }
    }

    /// A refusal that we speak ourselves, because the server cannot take this message.
    #[must_use]
    pub fn refused_here(stage: Stage, code: u16, words: &str) -> Self {
        Self::Rejected { stage, reply: Reply::new(code, words) }
    }

    /// The word in logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Deferred { .. } => "deferred",
            Self::Rejected { .. } => "rejected",
            Self::NotSent { .. } => "not_sent",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Strips control characters, folds white space, keeps [`MAX_WORDS`] characters.
#[must_use]
pub fn clean(words: &str) -> String {
    let mut kept = String::with_capacity(words.len().min(MAX_WORDS));
    for word in words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(word);
    }
    if let Some((end, _)) = kept.char_indices().nth(MAX_WORDS) {
        kept.truncate(end);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enhanced_code_leads_the_text_and_agrees_with_the_reply_code() {
        let code = EnhancedCode { class: 5, subject: 1, detail: 1 };
        assert_eq!(EnhancedCode::parse(550, "5.1.1 no such user"), Some(code));
        assert_eq!(EnhancedCode::parse(550, "5.1.1"), Some(code));
        assert_eq!(code.to_string(), "5.1.1");
        for (reply, text) in [
            (450, "5.1.1 no"),
            (550, "no 5.1.1"),
            (550, "5.1 no"),
            (550, "5.1.1.1 no"),
            (550, "5.1.1234 no"),
            (550, "5.+1.1 no"),
            (354, "3.0.0 go on"),
            (550, ""),
        ] {
            assert_eq!(EnhancedCode::parse(reply, text), None, "{reply} {text}");
        }
    }

    #[test]
    fn a_servers_words_are_cleaned_and_cut() {
        assert_eq!(Reply::new(550, "5.1.1 no\u{1b}[31m such\r\n user\0 ").words, "5.1.1 no [31m such user");
        assert_eq!(Reply::new(550, &"ü ".repeat(1_000)).words.chars().count(), MAX_WORDS);
    }

    #[test]
    fn the_first_digit_decides() {
        assert!(matches!(
            Outcome::of_refusal(Stage::Rcpt, Reply::new(452, "4.2.2 full")),
            Some(Outcome::Deferred { stage: Stage::Rcpt, .. })
        ));
        assert!(matches!(
            Outcome::of_refusal(Stage::Dot, Reply::new(554, "no")),
            Some(Outcome::Rejected { stage: Stage::Dot, .. })
        ));
        assert_eq!(Outcome::of_refusal(Stage::Mail, Reply::new(250, "ok")), None);
        assert_eq!(Outcome::of_refusal(Stage::Data, Reply::new(354, "go on")), None);
    }
}
