//! Codes in the words of a server: the reply code of SMTP (RFC 5321 §4.2) and the enhanced status (RFC 3463).

use std::fmt;

/// An enhanced status code, such as 5.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedStatus {
    /// 2 done, 4 for now, 5 for good.
    pub class: u8,
    /// What it is about.
    pub subject: u16,
    /// What exactly.
    pub detail: u16,
}

impl EnhancedStatus {
    /// Whether it says nothing beyond its class.
    #[must_use]
    pub fn is_vague(self) -> bool {
        self.subject == 0
    }

    /// The other, where it says more: about what, or, within the same class and subject, what exactly.
    #[must_use]
    pub fn or_plainer(self, other: Self) -> Self {
        let same = (self.class, self.subject) == (other.class, other.subject);
        let plainer = self.is_vague() && !other.is_vague() || same && self.detail == 0 && other.detail != 0;
        if plainer { other } else { self }
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// The first enhanced status in a text, or the one that says more than it.
#[must_use]
pub fn enhanced(text: &str) -> Option<EnhancedStatus> {
    words(text).filter_map(|(_, word)| parse_enhanced(word)).reduce(EnhancedStatus::or_plainer)
}

/// The first reply code of a failure in a text: three digits that stand alone, or that `-` and `#` join to more.
#[must_use]
pub fn reply_code(text: &str) -> Option<u16> {
    words(text).find_map(|(at, word)| {
        let digits = word.split('.').next().filter(|_| !word.contains('.'))?;
        // "port 465", "after 480 minutes", "+420 555 …" and numbers in brackets are none.
        let before = text[..at].trim_end_matches([' ', '<']);
        let after = text[at + word.len()..].trim_start();
        let is_amount = before.ends_with("port") || before.ends_with("for") || before.ends_with('+');
        let is_time =
            ["minutes", "hours", "days", "seconds", "attempts", "bytes"].iter().any(|unit| after.starts_with(unit));
        let valid = digits.len() == 3 && matches!(digits.as_bytes(), [b'4' | b'5', b'0'..=b'7', _]);
        (valid && !is_amount && !is_time).then(|| digits.parse().ok()).flatten()
    })
}

/// Runs of digits and dots, with their places, that no letter touches.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let begin = at;
            if !bytes[at].is_ascii_digit() {
                at += 1;
                continue;
            }
            while at < bytes.len() && part(bytes[at]) {
                at += 1;
            }
            let touched = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
            let joined =
                begin.checked_sub(1).map(|before| bytes[before]).is_some_and(|b| b == b'.' || b == b'-' || b == b'/');
            if !touched(begin.checked_sub(1).and_then(|before| bytes.get(before))) && !touched(bytes.get(at)) {
                let word = text[begin..at].trim_end_matches('.');
                // "550-5.1.1" joins a status to a reply code; "192-5.1.1" is something else.
                if !joined
                    || begin >= 4 && text.get(begin - 4..begin - 1).is_some_and(|code| code.starts_with(['4', '5']))
                {
                    return Some((begin, word));
                }
            }
        }
        None
    })
}

fn parse_enhanced(word: &str) -> Option<EnhancedStatus> {
    let mut parts = word.split('.');
    let class = parts.next().filter(|class| matches!(*class, "2" | "4" | "5"))?.parse().ok()?;
    let mut number = || parts.next().filter(|digits| (1..=3).contains(&digits.len()))?.parse().ok();
    let status = EnhancedStatus { class, subject: number()?, detail: number()? };
    // The first subject that is not assigned is 8: a version number or a part of an address.
    (parts.next().is_none() && status.subject <= 7).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_found_where_servers_put_it() {
        for (text, expected) in [
            ("550 5.1.1 <x>... User unknown", "5.1.1"),
            ("550-5.7.26 unauthenticated", "5.7.26"),
            ("sorry, no mailbox here by that name. (#5.1.1)", "5.1.1"),
            ("554 5.0.0 see 4.2.2", "4.2.2"),
            ("5.0.0", "5.0.0"),
            ("5.1.0 - Unknown address error 550-'5.1.1 unknown'", "5.1.1"),
            ("5.1.0 see 4.1.1", "5.1.0"),
            ("5.1.0 see 5.7.1", "5.1.0"),
            ("#<#5.1.351 remote server>", "5.1.351"),
        ] {
            assert_eq!(enhanced(text).map(|s| s.to_string()).as_deref(), Some(expected), "{text}");
        }
        for text in ["version 5.5.2653.13", "host 4.79.181.134", "Exim 4.60", "5.9.1", "id5.1.1x", ""] {
            assert_eq!(enhanced(text), None, "{text}");
        }
    }

    #[test]
    fn a_reply_code_stands_alone() {
        for (text, expected) in [
            ("said: 550 no", Some(550)),
            ("550-5.1.1 no", Some(550)),
            ("(554 delivery error)", Some(554)),
            ("after 480 minutes", None),
            ("port 465", None),
            ("[192.0.2.550] x550", None),
            ("250 fine", None),
            ("unable to deliver in 840 minutes.<421 4.4.2 Connection timed out>", Some(421)),
        ] {
            assert_eq!(reply_code(text), expected, "{text}");
        }
    }
}
