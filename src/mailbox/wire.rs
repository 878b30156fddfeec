//! Reading lines and texts without trusting their length, as SMTP and POP3 write them.

use std::io;

use memchr::memchr;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// Reads through the next LF and keeps the first `max` octets. Returns how many there were, zero when the other side
/// went away before the LF.
pub async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), kept: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    kept.clear();
    let mut length = 0;
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(0);
        }
        let end = memchr(b'\n', available).map(|at| at + 1);
        let piece = &available[..end.unwrap_or(available.len())];
        kept.extend_from_slice(&piece[..piece.len().min(max - kept.len())]);
        let taken = piece.len();
        length += taken;
        reader.consume(taken);
        if end.is_some() {
            return Ok(length);
        }
    }
}

/// A text of many lines, which a dot alone between CR LF ends (RFC 5321 §4.5.2, RFC 1939 §3). Nothing else does: neither
/// bare CR nor bare LF makes a line, so that nobody can end a mail where another server saw none end.
#[derive(Debug)]
pub struct Text {
    /// The first octets of it, dots unstuffed.
    pub head: Vec<u8>,
    /// How many there were.
    pub size: u64,
    most: usize,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Dot,
    DotCr,
    Within,
    Cr,
}

impl Text {
    /// A text of which at most so many octets are kept.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { head: Vec::new(), size: 0, most, at: At::Start }
    }

    /// Takes a piece of what is on the wire. How much of it belongs to the text, and whether the text ends there.
    pub fn take(&mut self, piece: &[u8]) -> (usize, bool) {
        let mut rest = piece;
        while let Some(&byte) = rest.first() {
            let mut used = 1;
            self.at = match (self.at, byte) {
                (At::DotCr, b'\n') => {
                    self.at = At::Start;
                    return (piece.len() - rest.len() + 1, true);
                }
                (At::Start, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, _) => {
                    self.keep(b"\r");
                    used = 0;
                    At::Cr
                }
                (At::Cr, b'\n') => {
                    self.keep(b"\n");
                    At::Start
                }
                (_, b'\r') => {
                    self.keep(b"\r");
                    At::Cr
                }
                _ => {
                    used = memchr(b'\r', rest).unwrap_or(rest.len());
                    self.keep(&rest[..used]);
                    At::Within
                }
            };
            rest = &rest[used..];
        }
        (piece.len(), false)
    }

    fn keep(&mut self, octets: &[u8]) {
        let room = self.most.saturating_sub(self.head.len());
        self.head.extend_from_slice(&octets[..octets.len().min(room)]);
        self.size += octets.len() as u64;
    }
}

/// Reads a text to its end.
pub async fn read_text(reader: &mut (impl AsyncBufRead + Unpin), most: usize) -> io::Result<Text> {
    let mut text = Text::new(most);
    loop {
        let piece = reader.fill_buf().await?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (used, ended) = text.take(piece);
        reader.consume(used);
        if ended {
            return Ok(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn text(mut wire: &[u8], most: usize) -> io::Result<(Text, Vec<u8>)> {
        let text = read_text(&mut wire, most).await?;
        Ok((text, wire.to_vec()))
    }

    #[tokio::test]
    async fn a_text_ends_at_a_dot_between_cr_lf_only() {
        for (wire, expected) in [
            (&b".\r\nQUIT\r\n"[..], &b""[..]),
            (b"a\r\n..b\r\n.c\r\nd\n.\r\ne\n.\nf\r\n.\r\nQUIT\r\n", b"a\r\n.b\r\nc\r\nd\n.\r\ne\n.\nf\r\n"),
            (b"a\r.\r\nb\r\n.\rc\r\n.\nd\r\n\r\n.\r\r\n.\r\nQUIT\r\n", b"a\r.\r\nb\r\n\rc\r\n\nd\r\n\r\n\r\r\n"),
            (b"\0\r\n.\0\r\n.\r\nQUIT\r\n", b"\0\r\n\0\r\n"),
        ] {
            let (text, rest) = text(wire, 100).await.unwrap();
            assert_eq!((text.head.as_slice(), text.size), (expected, expected.len() as u64));
            assert_eq!(rest, b"QUIT\r\n");
        }
        for cut in [&b""[..], b"a", b"a\r\n.", b"a\r\n.\r", b"a\n.\n"] {
            assert_eq!(text(cut, 100).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[tokio::test]
    async fn of_a_long_text_the_head_is_kept_and_all_is_counted() {
        let (text, rest) = text(b"123456789\r\n12\r\n.\r\nQUIT\r\n", 8).await.unwrap();
        assert_eq!((text.head.as_slice(), text.size), (&b"12345678"[..], 15));
        assert_eq!(rest, b"QUIT\r\n");
    }

    #[tokio::test]
    async fn a_long_line_is_read_on_and_the_next_one_follows() {
        let long = [b"NOOP ".repeat(1_000), b"\r\nNOOP\r\n".to_vec()].concat();
        let (mut wire, mut line) = (long.as_slice(), Vec::new());
        assert_eq!(read_line(&mut wire, &mut line, 10).await.unwrap(), 5_002);
        assert_eq!(line, b"NOOP NOOP ");
        assert_eq!(read_line(&mut wire, &mut line, 10).await.unwrap(), 6);
        assert_eq!(read_line(&mut wire, &mut line, 10).await.unwrap(), 0);
    }

    /// As a sender writes it (RFC 5321 §4.5.2).
    fn stuffed(text: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (n, byte) in text.iter().enumerate() {
            if *byte == b'.' && (n == 0 || text[..n].ends_with(b"\r\n")) {
                wire.push(b'.');
            }
            wire.push(*byte);
        }
        wire.extend_from_slice(b".\r\n");
        wire
    }

    proptest! {
        #[test]
        fn what_was_stuffed_comes_back_however_it_is_cut(bytes in "[a.\r\n]{0,40}", cut in 1usize..9) {
            let sent = [bytes.as_bytes(), b"\r\n"].concat();
            let wire = stuffed(&sent);
            let mut text = Text::new(1_000);
            let mut ends = 0;
            for piece in wire.chunks(cut) {
                let (used, ended) = text.take(piece);
                prop_assert_eq!(used, piece.len());
                ends += u32::from(ended);
            }
            prop_assert_eq!(ends, 1);
            prop_assert_eq!(text.head, sent);
        }
    }
}
