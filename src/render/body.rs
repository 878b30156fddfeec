//! Encodes a text for transport: as it is where 7 bits and the line length allow, else
//! quoted-printable (RFC 2045 §6.7).

/// Longest line, without CRLF (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;
/// Longest line of quoted-printable, without the soft break's `=`.
const QP_LINE: usize = 75;

/// What stands for itself in quoted-printable; space and tab do so except at the end of a line.
const LITERAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 32;
    while byte < 127 {
        table[byte] = byte != b'=' as usize;
        byte += 1;
    }
    table[b'\t' as usize] = true;
    table
};

/// Writes the encoding's field, an empty line, and the encoded text, which ends with CRLF.
pub(super) fn part(text: &str, out: &mut Vec<u8>) {
    if is_seven_bit(text) {
        out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
        for line in text.split_terminator('\n') {
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    } else {
        out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        let text = text.strip_suffix('\n').unwrap_or(text);
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            for line in line.split('\r') {
                quoted(line.as_bytes(), out);
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

fn is_seven_bit(text: &str) -> bool {
    let fits = |b: &u8| (b' '..127).contains(b) | (*b == b'\n') | (*b == b'\t');
    let all_fit = |chunk: &[u8]| chunk.iter().fold(true, |ok, b| ok & fits(b));
    text.as_bytes().chunks(256).all(all_fit) && text.split('\n').all(|line| line.len() <= MAX_LINE)
}

fn quoted(line: &[u8], out: &mut Vec<u8>) {
    let kept = line.iter().rposition(|b| *b != b' ' && *b != b'\t').map_or(0, |i| i + 1);
    let mut column = 0;
    let mut at = 0;
    while at < line.len() {
        let room = &line[at..kept.clamp(at, at + QP_LINE - column)];
        let run = room.iter().position(|b| !LITERAL[usize::from(*b)]).unwrap_or(room.len());
        out.extend_from_slice(&room[..run]);
        at += run;
        column += run;
        if at == line.len() {
            break;
        }
        let byte = line[at];
        let literal = at < kept && LITERAL[usize::from(byte)];
        if column + if literal { 1 } else { 3 } > QP_LINE {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if !literal {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
            out.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
            at += 1;
            column += 3;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        part(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_text_goes_out_as_it_is() {
        assert_eq!(encoded("a = b\n\tc\n"), "Content-Transfer-Encoding: 7bit\r\n\r\na = b\r\n\tc\r\n");
        assert!(encoded(&"x".repeat(998)).contains("7bit"));
        assert!(encoded(&"x".repeat(999)).contains("quoted-printable"));
    }

    #[test]
    fn the_end_of_a_line_keeps_its_space() {
        assert!(encoded("ü \t\n x").ends_with("\r\n\r\n=C3=BC=20=09\r\n x\r\n"));
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_short_seven_bit_lines(text in "[\\PC\\r\\n\\t\u{0}=ü ]{0,400}") {
            let message = format!("Content-Type: text/plain; charset=utf-8\r\n{}", encoded(&text));
            for line in message.split("\r\n") {
                prop_assert!(line.len() <= MAX_LINE && line.bytes().all(|b| b < 127 && b != b'\r' && b != b'\n'));
            }
            let parsed = mail_parser::MessageParser::default().parse(&message).unwrap();
            let lines = |t: &str| t.replace("\r\n", "\n").replace('\r', "\n").trim_end_matches('\n').to_owned();
            prop_assert_eq!(lines(&parsed.body_text(0).unwrap()), lines(&text));
        }
    }
}
