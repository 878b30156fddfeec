//! What an IMAP server says.

use crate::mailbox::trouble::Code;

/// An answer, as far as we need it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Untagged(Untagged),
    /// It waits for the rest of a command.
    Continue,
    /// The command has ended: well, or with this code.
    Done(Result<(), Code>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Untagged {
    /// `OK`, as in a greeting.
    Ready,
    /// `PREAUTH`.
    LoggedIn,
    /// In upper case.
    Capabilities(Vec<String>),
    Exists(u32),
    Expunged,
    Brought(Brought),
    Other,
}

/// A mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Brought {
    pub(super) uid: u32,
    /// How many octets it has in all.
    pub(super) size: u64,
    /// The first of them.
    pub(super) octets: Vec<u8>,
}

/// How long the literal is that a line announces at its end.
pub(super) fn literal(line: &[u8]) -> Option<u64> {
    let rest = line.strip_suffix(b"}")?;
    let start = rest.iter().rposition(|b| *b == b'{')? + 1;
    let digits = std::str::from_utf8(&rest[start..]).ok()?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Reads an answer without its literals; `body` is the largest of them and how long it was. `None` when it is none.
pub(super) fn parse(line: &str, tag: &str, body: Option<(Vec<u8>, u64)>) -> Option<Answer> {
    if line == "+" || line.starts_with("+ ") {
        return Some(Answer::Continue);
    }
    if let Some(rest) = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
        let (status, words) = rest.split_once(' ').unwrap_or((rest, ""));
        return match status.to_ascii_uppercase().as_str() {
            "OK" => Some(Answer::Done(Ok(()))),
            "NO" | "BAD" => Some(Answer::Done(Err(Code::of(words)))),
            _ => None,
        };
    }
    let (first, rest) = line.strip_prefix("* ")?.split_once(' ')?;
    let untagged = match first.to_ascii_uppercase().as_str() {
        "OK" => Untagged::Ready,
        "PREAUTH" => Untagged::LoggedIn,
        "CAPABILITY" => Untagged::Capabilities(rest.split(' ').map(str::to_ascii_uppercase).collect()),
        number => match (number.parse::<u32>(), rest.split(' ').next().unwrap_or_default()) {
            (Ok(count), "EXISTS") => Untagged::Exists(count),
            (Ok(_), "EXPUNGE") => Untagged::Expunged,
            (Ok(_), "FETCH") => brought(rest, body).map_or(Untagged::Other, Untagged::Brought),
            _ => Untagged::Other,
        },
    };
    Some(Answer::Untagged(untagged))
}

/// Reads `FETCH (UID 5 RFC822.SIZE 100 BODY[]<0> {100})` in whatever order; `None` when it tells something else.
fn brought(rest: &str, body: Option<(Vec<u8>, u64)>) -> Option<Brought> {
    let items = tokens(rest);
    let after = |name: &str| {
        let at =
            items.iter().position(|item| item.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name)))?;
        items.get(at + 1).map(String::as_str)
    };
    let uid = after("UID")?.parse().ok()?;
    let told = after("RFC822.SIZE").and_then(|size| size.parse::<u64>().ok()).unwrap_or(0);
    let octets = match after("BODY[]")? {
        item if item.starts_with('{') => body.map(|(octets, _)| octets)?,
        item if item.starts_with('"') => item.as_bytes()[1..].to_vec(),
        _ => return None,
    };
    // Storage that fails gives nothing: the mail is not taken for empty, and stays.
    if octets.is_empty() && told > 0 {
        return None;
    }
    Some(Brought { uid, size: told.max(octets.len() as u64), octets })
}

/// The items of a list, without its parentheses; a quoted string keeps its first quote.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            '\\' if quoted && !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => {
                if !quoted {
                    tokens.push("\"".into());
                }
                quoted = !quoted;
            }
            ' ' | '(' | ')' if !quoted => tokens.push(String::new()),
            c => tokens.last_mut().into_iter().for_each(|token| token.push(c)),
        }
        escaped = false;
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str, body: &[u8]) -> Option<Untagged> {
        match parse(line, "c", Some((body.to_vec(), body.len() as u64)))? {
            Answer::Untagged(untagged) => Some(untagged),
            _ => None,
        }
    }

    #[test]
    fn a_mail_is_read_in_whatever_order_it_is_told() {
        let mail = |size, octets: &[u8]| Some(Untagged::Brought(Brought { uid: 7, size, octets: octets.to_vec() }));
        for (line, expected) in [
            ("* 1 FETCH (UID 7 RFC822.SIZE 3 BODY[]<0> {3})", mail(3, b"abc")),
            ("* 1 FETCH (BODY[]<0> {3} FLAGS (\\Seen \"UID 9\") RFC822.SIZE 50 UID 7)", mail(50, b"abc")),
            ("* 1 FETCH (UID 7 RFC822.SIZE 4 BODY[] \"a \\\"b)\")", mail(5, b"a \"b)")),
            ("* 1 FETCH (UID 7 RFC822.SIZE 0 BODY[] \"\")", mail(0, b"")),
            ("* 1 FETCH (UID 7 RFC822.SIZE 50 BODY[] \"\")", Some(Untagged::Other)),
            ("* 1 FETCH (UID 7 RFC822.SIZE 50 BODY[] NIL)", Some(Untagged::Other)),
            ("* 1 FETCH (FLAGS (\\Seen))", Some(Untagged::Other)),
            ("* 1 FETCH (UID 7 FLAGS (\\Seen))", Some(Untagged::Other)),
        ] {
            assert_eq!(read(line, b"abc"), expected, "{line}");
        }
    }

    #[test]
    fn the_other_answers_are_told_apart() {
        assert_eq!(read("* 12 EXISTS", b""), Some(Untagged::Exists(12)));
        assert_eq!(read("* 12 EXPUNGE", b""), Some(Untagged::Expunged));
        assert_eq!(
            read("* CAPABILITY IMAP4rev1 UIDPLUS", b""),
            Some(Untagged::Capabilities(vec!["IMAP4REV1".into(), "UIDPLUS".into()]))
        );
        assert_eq!(parse("+ ", "c", None), Some(Answer::Continue));
        assert_eq!(parse("c OK done", "c", None), Some(Answer::Done(Ok(()))));
        let refused = parse("c NO [AUTHENTICATIONFAILED] no", "c", None);
        assert!(matches!(refused, Some(Answer::Done(Err(code))) if code.to_string() == " [AUTHENTICATIONFAILED]"));
        for strange in ["", "*", "* ", "HTTP/1.1 400 Bad Request", "c", "c MAYBE", "d OK done"] {
            assert_eq!(parse(strange, "c", None), None, "{strange}");
        }
    }

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        assert_eq!(literal(b"* 1 FETCH (BODY[] {120}"), Some(120));
        for none in [&b""[..], b"}", b"{}", b"{1", b"{-1}", b"{1} ", b"{99999999999999999999}"] {
            assert_eq!(literal(none), None);
        }
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(line in "\\* [0-9]{1,3} FETCH [()\"\\\\ {}A-Z0-9\\[\\]]{0,40}|\\PC{0,60}") {
            let _ = parse(&line, "c", Some((b"abc".to_vec(), 3)));
            let _ = literal(line.as_bytes());
        }
    }
}
