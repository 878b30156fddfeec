//! Text to tokens.

use std::ops::Range;

use super::{MAX_TEXT, Result, SegmentError};

/// The smallest parts of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    /// What stood in quotes.
    Text(String),
    /// A finite number.
    Number(f64),
    /// A sign.
    Mark(&'static str),
    /// The text's end.
    End,
}

/// A token and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lexeme {
    pub token: Token,
    pub span: Range<usize>,
}

/// Longer signs first.
const MARKS: [&str; 12] = ["!=", "<=", ">=", "(", ")", "[", "]", ",", ".", "=", "<", ">"];
/// What people from other languages write, and what it is here.
const FOREIGN: [(&str, &str); 5] = [("==", "="), ("<>", "!="), ("&&", "and"), ("||", "or"), ("!", "not")];

/// Splits a text; the last token is [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Lexeme>> {
    if text.len() > MAX_TEXT {
        let message = format!("the condition is longer than {MAX_TEXT} octets");
        return Err(SegmentError::new(0..text.len(), message).hint("split it into named segments"));
    }
    let mut lexemes = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, length) = token(text, at, c)?;
        lexemes.push(Lexeme { token, span: at..at + length });
        at += length;
    }
    lexemes.push(Lexeme { token: Token::End, span: text.len()..text.len() });
    Ok(lexemes)
}

fn token(text: &str, at: usize, c: char) -> Result<(Token, usize)> {
    let rest = &text[at..];
    if c == '"' || c == '\'' {
        return quoted(rest, at, c);
    }
    if c.is_alphabetic() || c == '_' {
        let length = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        return Ok((Token::Word(rest[..length].to_owned()), length));
    }
    if c.is_ascii_digit() || c == '-' {
        return number(rest, at);
    }
    let mark = MARKS.into_iter().find(|m| rest.starts_with(m));
    let foreign = FOREIGN.iter().find(|(theirs, _)| rest.starts_with(theirs) && mark.is_none_or(|m| m.len() < 2));
    if let Some((theirs, ours)) = foreign {
        let error = SegmentError::new(at..at + theirs.len(), format!("`{theirs}` has no meaning here"));
        return Err(error.hint(format!("write `{ours}`")));
    }
    match mark {
        Some(mark) => Ok((Token::Mark(mark), mark.len())),
        None => Err(SegmentError::new(at..at + c.len_utf8(), format!("`{}` has no meaning here", c.escape_debug()))),
    }
}

/// Whether a name may hold this character after its first.
pub(super) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn quoted(rest: &str, at: usize, quote: char) -> Result<(Token, usize)> {
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Token::Text(value), i + 1)),
            '\\' => match chars.next() {
                Some((_, escaped @ ('\\' | '"' | '\''))) => value.push(escaped),
                other => {
                    let end = other.map_or(rest.len(), |(j, c)| j + c.len_utf8());
                    let error = SegmentError::new(at + i..at + end, "unknown escape in a string");
                    return Err(error.hint(r#"a backslash stands before \, " or ' alone; write \\ for one backslash"#));
                }
            },
            c if c.is_control() => {
                let message = format!("a string cannot hold the control character {}", c.escape_debug());
                return Err(SegmentError::new(at + i..at + i + c.len_utf8(), message));
            }
            c => value.push(c),
        }
    }
    Err(SegmentError::new(at..at + rest.len(), "the string does not end").hint(format!("close it with {quote}")))
}

fn number(rest: &str, at: usize) -> Result<(Token, usize)> {
    let sign = usize::from(rest.starts_with('-'));
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = sign + digits(sign);
    if rest[length..].starts_with('.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if rest[length..].starts_with(is_name) {
        let end = rest.find(|c: char| !is_name(c) && c != ':' && c != '.').unwrap_or(rest.len());
        let error = SegmentError::new(at..at + end, format!("`{}` is not a number", &rest[..end]));
        return Err(error.hint(format!(r#"durations, dates and texts stand in quotes: "{}""#, &rest[..end])));
    }
    let value = rest[..length].parse::<f64>().ok().filter(|v| v.is_finite());
    let value = value.ok_or_else(|| SegmentError::new(at..at + length, "this is not a number"))?;
    Ok((Token::Number(value), length))
}
