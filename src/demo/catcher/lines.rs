//! Reading command lines without trusting their length.

use std::io;

use tokio::io::AsyncBufRead;

use crate::mailbox::wire::read_line;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_cannot_be_read_is_told_and_the_next_one_follows() {
        let long = [b"NOOP ".repeat(1_000), b"\r\nNOOP\r\n\xff\r\n".to_vec()].concat();
        let mut wire = long.as_slice();
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::Unreadable);
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::Command("NOOP".into()));
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::Unreadable);
        assert_eq!(read_command(&mut wire).await.unwrap(), Line::End);
    }
}
