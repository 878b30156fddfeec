//! Reading lines and messages without trusting their length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Most octets of a command line, its end included; RFC 5321 §4.5.3.1.4 asks for 512 and more with
/// extensions.
const MAX_COMMAND: usize = 4_096;

/// A command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Command(String),
    /// Longer than a command may be, or not UTF-8.
    Unreadable,
    /// The client has closed the connection.
    End,
}

/// Reads a command line.
pub(super) async fn read_command(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Line> {
    let mut line = Vec::new();
    Ok(match read_line(reader, &mut line, MAX_COMMAND).await? {
        0 => Line::End,
        length if length > MAX_COMMAND => Line::Unreadable,
        _ => String::from_utf8(line).map_or(Line::Unreadable, |line| Line::Command(line.trim_end().to_owned())),
    })
}

/// Reads a message up to its final dot and unstuffs it. Only CRLF ends a line, so that a dot
/// between bare line feeds stays text. `None` when the message is longer than `max`; it has been
/// skipped then.
pub(super) async fn read_message(reader: &mut (impl AsyncBufRead + Unpin), max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let mut line = Vec::new();
    let mut too_long = false;
    let mut at_start = true;
    loop {
        let length = read_line(reader, &mut line, max).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if at_start && line == b".\r\n" {
            return Ok((!too_long).then_some(message));
        }
        let stuffed = at_start && line.starts_with(b".");
        at_start = line.ends_with(b"\r\n");
        too_long |= length + message.len() > max;
        if too_long {
            message.clear();
        } else {
            message.extend_from_slice(&line[usize::from(stuffed)..]);
        }
    }
}

/// Reads through the next LF and keeps its first `max` octets. Returns how many there were, zero
/// when the client went away before the LF.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), kept: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    kept.clear();
    let mut length = 0;
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(0);
        }
        let end = available.iter().position(|b| *b == b'\n').map(|at| at + 1);
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn message(mut wire: &[u8], max: usize) -> io::Result<Option<Vec<u8>>> {
        read_message(&mut wire, max).await
    }

    #[tokio::test]
    async fn a_message_ends_at_a_dot_between_crlf_only() {
        let wire = b"a\r\n..b\r\n.c\r\nd\n.\r\ne\n.\nf\r\n.\r\nQUIT\r\n";
        assert_eq!(message(wire, 100).await.unwrap().unwrap(), b"a\r\n.b\r\nc\r\nd\n.\r\ne\n.\nf\r\n");
        assert_eq!(message(b".\r\n", 100).await.unwrap().unwrap(), b"");
        assert!(message(b"a\r\n.", 100).await.is_err());
    }

    #[tokio::test]
    async fn what_is_too_long_is_skipped_and_the_next_line_is_read() {
        let mut wire: &[u8] = b"123456789\r\n12\r\n.\r\nQUIT\r\n";
        assert_eq!(read_message(&mut wire, 8).await.unwrap(), None);
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::Command("QUIT".into()));
        let long = [b"NOOP ".repeat(1_000), b"\r\nNOOP\r\n\xff\r\n".to_vec()].concat();
        let mut wire = long.as_slice();
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::Unreadable);
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::Command("NOOP".into()));
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::Unreadable);
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::End);
    }
}
