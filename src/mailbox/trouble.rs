//! What goes wrong with a mailbox.

use std::io;

/// Why a mailbox could not be looked into. Its words hold no address and no password: of what a server says only the
/// code is told.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The server was not reached.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// It was reached, and is not who it should be, or offers no TLS.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// It does not take the name and the password.
    #[error("the server does not let us in{0}")]
    Login(Code),
    /// It refused something else.
    #[error("the server refused {0}{1}")]
    Refused(&'static str, Code),
    /// It cannot do what we need.
    #[error("the server cannot do {0}")]
    Unable(&'static str),
    /// It said what cannot be understood.
    #[error("the server's words cannot be understood ({0})")]
    Strange(&'static str),
    /// It went away, or did not answer in time.
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
    /// The directory cannot be read or changed.
    #[error("the directory: {0}")]
    Directory(io::Error),
    /// The name or the password holds what no line can hold.
    #[error("the name or the password holds a control character")]
    Unspeakable,
    /// A mail was not taken.
    #[error("a mail could not be taken in: {0}")]
    Sink(String),
    /// We were asked to stop.
    #[error("stopped")]
    Stopped,
}

/// The code of an answer, such as `[AUTHENTICATIONFAILED]` (RFC 5530, RFC 3206), with a space before it; else nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Of an answer's words.
    pub(super) fn of(words: &str) -> Self {
        let code = words.trim_start().strip_prefix('[').and_then(|rest| rest.split([' ', ']']).next());
        let is_code = |code: &&str| code.bytes().all(|b| b.is_ascii_uppercase() || b"-/".contains(&b));
        Self(
            code.filter(|code| (1..=40).contains(&code.len()))
                .filter(is_code)
                .map_or_else(String::new, |code| format!(" [{code}]")),
        )
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_the_code_is_told_and_nothing_else() {
        for (words, code) in [
            ("[AUTHENTICATIONFAILED] anna@example.org: wrong", " [AUTHENTICATIONFAILED]"),
            ("[SYS/TEMP] later", " [SYS/TEMP]"),
            ("[anna@example.org] wrong", ""),
            ("anna@example.org is unknown", ""),
            ("[]", ""),
        ] {
            assert_eq!(Code::of(words).to_string(), code);
        }
    }
}
