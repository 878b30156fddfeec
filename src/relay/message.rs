//! What is handed over: the envelope, and the text in the form in which it crosses the wire.

use std::borrow::Cow;

use crate::domain::address::Address;
use crate::domain::line;

/// The end of a message (RFC 5321 §4.1.1.4), after the text's own last CRLF.
const DOT: &str = ".\r\n";

/// Who sends to whom.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Where reports of failed delivery go; `None` is the empty path of mail that must not be
    /// answered (RFC 5321 §4.5.5).
    pub return_path: Option<&'a Address>,
    /// Whom it is for.
    pub recipient: &'a Address,
    /// Names the message: the `ENVID` of delivery reports (RFC 3461) and the stem of a file.
    /// Characters other than ASCII letters, digits, `-` and `_` become `_`.
    pub id: &'a str,
}

impl Envelope<'_> {
    /// The id with nothing in it that means something to SMTP or to a file system.
    pub(super) fn safe_id(&self) -> impl Iterator<Item = char> {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        self.id.chars().take(100).map(safe)
    }
}

/// Why bytes are no message that can be sent. Each is a fault of the one who built it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
    /// Not UTF-8: a part lacks its transfer encoding.
    #[error("the message is not UTF-8; encode its parts as quoted-printable or base64")]
    NotText,
    /// A CR or LF on its own, which servers read differently (SMTP smuggling).
    #[error("a line of the message does not end in CRLF")]
    BareLineBreak,
    /// A line of more than 998 octets.
    #[error("a line of the message is longer than 998 octets; wrap or encode it")]
    LongLine,
}

/// A message ready for the wire: checked, dots stuffed (RFC 5321 §4.5.2), the final dot in place.
#[derive(Clone, Debug)]
pub struct Message {
    wire: String,
    size: usize,
    eight_bit: bool,
}

impl Message {
    /// Takes a whole message with CRLF line ends. Costs a pass over the text, so it belongs beside
    /// rendering, off the async threads.
    ///
    /// # Errors
    /// When the bytes are no message that every server reads alike.
    pub fn new(bytes: Vec<u8>) -> Result<Self, MalformedMessage> {
        let mut text = String::from_utf8(bytes).map_err(|_| MalformedMessage::NotText)?;
        if !text.ends_with("\r\n") {
            text.push_str("\r\n");
        }
        let Found { dots, eight_bit } = check(text.as_bytes())?;
        let size = text.len();
        let mut wire = if dots { stuff(&text) } else { text };
        wire.push_str(DOT);
        Ok(Self { wire, size, eight_bit })
    }

    /// What crosses the wire after the answer to `DATA`, final dot included.
    pub(super) fn into_wire(self) -> String {
        self.wire
    }

    /// Octets of the message itself, as `SIZE` counts them (RFC 1870).
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether it needs 8BITMIME (RFC 6152).
    pub(super) fn is_eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// The message as it was given.
    #[must_use]
    pub fn content(&self) -> Cow<'_, str> {
        let text = &self.wire[..self.wire.len() - DOT.len()];
        if text.len() == self.size {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.split_inclusive('\n').map(|line| line.strip_prefix('.').unwrap_or(line)).collect())
    }
}

/// What a text asks of the wire.
struct Found {
    /// A line begins with a dot.
    dots: bool,
    /// Something in it is not ASCII.
    eight_bit: bool,
}

/// Checks the lines of a text that ends with CRLF. Looks at neighbours, whichever line they are of: a processor takes many
/// at once.
fn check(text: &[u8]) -> Result<Found, MalformedMessage> {
    let (mut torn, mut dots, mut eight_bit) = (text[0] == b'\n', text[0] == b'.', false);
    for (byte, next) in text.iter().zip(&text[1..]) {
        torn |= (*byte == b'\r') != (*next == b'\n');
        dots |= (*byte == b'\n') & (*next == b'.');
        eight_bit |= !byte.is_ascii();
    }
    if torn {
        return Err(MalformedMessage::BareLineBreak);
    }
    if line::is_long_in(text) { Err(MalformedMessage::LongLine) } else { Ok(Found { dots, eight_bit }) }
}

fn stuff(text: &str) -> String {
    let mut stuffed = String::with_capacity(text.len() / 8 * 9 + DOT.len());
    for line in text.split_inclusive('\n') {
        if line.starts_with('.') {
            stuffed.push('.');
        }
        stuffed.push_str(line);
    }
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> Result<Message, MalformedMessage> {
        Message::new(text.as_bytes().to_vec())
    }

    #[test]
    fn leading_dots_are_doubled_on_the_wire_only() {
        let text = "Subject: x\r\n\r\n.\r\n..a\r\n.b.\r\nc.\r\n";
        let message = message(text).unwrap();
        assert_eq!(message.wire, "Subject: x\r\n\r\n..\r\n...a\r\n..b.\r\nc.\r\n.\r\n");
        assert_eq!(message.content(), text);
        assert_eq!(message.size(), text.len());
    }

    #[test]
    fn a_missing_last_line_end_is_added() {
        assert_eq!(message("a: b\r\n\r\nc").unwrap().wire, "a: b\r\n\r\nc\r\n.\r\n");
        assert_eq!(message("").unwrap().wire, "\r\n.\r\n");
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for smuggled in ["a\n.\r\nMAIL", "a\r.\r\nb", "a\r\n.\rb\r\n", "a\nb", "a\r\r\n", "a\r"] {
            assert_eq!(message(smuggled).err(), Some(MalformedMessage::BareLineBreak), "{smuggled:?}");
        }
        assert_eq!(message(&"x".repeat(999)).err(), Some(MalformedMessage::LongLine));
        assert!(message(&"x".repeat(998)).is_ok());
        assert_eq!(Message::new(vec![0xff]).err(), Some(MalformedMessage::NotText));
    }

    #[test]
    fn an_id_cannot_leave_its_place() {
        let recipient = Address::parse("anna@example.org").unwrap();
        let envelope = Envelope { return_path: None, recipient: &recipient, id: "../7-42\r\nRSET <ä>" };
        assert_eq!(envelope.safe_id().collect::<String>(), "___7-42__RSET____");
    }

    proptest! {
        #[test]
        fn lines_are_seen_as_they_are(text in "[\r\n.aü]{0,9}|[\r\n.a]{0,9}(\r\n[.a]{0,3}){0,9}") {
            let whole = if text.ends_with("\r\n") { text.clone() } else { format!("{text}\r\n") };
            match message(&text) {
                Ok(message) => {
                    prop_assert!(!whole.replace("\r\n", "").contains(['\r', '\n']));
                    prop_assert_eq!(message.is_eight_bit(), text.contains('ü'));
                    prop_assert_eq!(message.size(), whole.len());
                    let stuffed: String =
                        whole.split_inclusive("\r\n").map(|l| format!("{}{l}", &"."[..usize::from(l.starts_with('.'))])).collect();
                    prop_assert_eq!(message.wire, stuffed + DOT);
                }
                Err(error) => {
                    prop_assert_eq!(error, MalformedMessage::BareLineBreak);
                    prop_assert!(whole.replace("\r\n", "").contains(['\r', '\n']));
                }
            }
        }

        #[test]
        fn the_only_lone_dot_on_the_wire_is_the_last_line(lines in proptest::collection::vec("[.a]{0,4}", 0..20)) {
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let message = message(&text).unwrap();
            prop_assert_eq!(message.wire.find("\r\n.\r\n").map_or(0, |at| at + 2), message.wire.len() - 3);
            if !text.is_empty() { prop_assert_eq!(message.content(), text); }
        }
    }
}
