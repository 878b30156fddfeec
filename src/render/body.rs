//! Encodes a text for transport: as it is where 7 bits and the line length allow, else
//! quoted-printable (RFC 2045 §6.7).

/// Longest line, without CRLF (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;
/// Longest line of quoted-printable, without the soft break's `=`.
const QP_LINE: usize = 75;
/// Octets that are looked at together.
const STEP: usize = 8;

/// Writes the encoding's field, an empty line, and the encoded text, which ends with CRLF.
pub(super) fn part(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    if !seven_bit(text, out) {
        out.truncate(start);
        quoted_printable(text, out);
    }
}

/// The text's lines without their ends, nothing after the last end.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest.as_bytes());
        let line = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or("", |end| &rest[end + 1..]);
        Some(line)
    })
}

/// Writes the text as it is, unless something in it cannot go so.
fn seven_bit(text: &str, out: &mut Vec<u8>) -> bool {
    let fits = |b: &u8| (b' '..127).contains(b) | (*b == b'\n') | (*b == b'\t');
    let all_fit = |chunk: &[u8]| chunk.iter().fold(true, |ok, b| ok & fits(b));
    if !text.as_bytes().chunks(256).all(all_fit) {
        return false;
    }
    out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
    for line in lines(text) {
        if line.len() > MAX_LINE {
            return false;
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    true
}

fn quoted_printable(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    for line in lines(text) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        for line in line.split('\r') {
            quoted_line(line.as_bytes(), out);
        }
    }
}

/// Writes one line and its end. Output is gathered in a buffer with room for a whole step, so that
/// steps are copied at their full length and cut by what comes next.
fn quoted_line(line: &[u8], out: &mut Vec<u8>) {
    let mut buffer = [0; QP_LINE + STEP];
    let mut column = 0;
    let mut at = 0;
    while at < line.len() {
        if let Some((step, [_, ..])) = line[at..].split_first_chunk::<STEP>() {
            buffer[column..column + STEP].copy_from_slice(step);
            let run = literal_run(*step).min(QP_LINE - column);
            column += run;
            at += run;
        }
        let byte = line[at];
        let blank = byte == b' ' || byte == b'\t';
        let literal = if blank { at + 1 < line.len() } else { is_literal(byte) };
        if column + if literal { 1 } else { 3 } > QP_LINE {
            out.extend_from_slice(&buffer[..column]);
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if literal {
            buffer[column] = byte;
            column += 1;
        } else {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
            buffer[column..column + 3].copy_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
            column += 3;
        }
        at += 1;
    }
    out.extend_from_slice(&buffer[..column]);
    out.extend_from_slice(b"\r\n");
}

/// What stands for itself in quoted-printable. Blanks do, a tab too, except at the end of a line.
fn is_literal(byte: u8) -> bool {
    (b' '..127).contains(&byte) & (byte != b'=')
}

/// How many octets from the beginning stand for themselves, all looked at in one word: a borrow may
/// mark octets behind the first that does not, never before it.
fn literal_run(step: [u8; STEP]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; STEP]);
    const TOPS: u64 = ONES << 7;
    let word = u64::from_le_bytes(step);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let marks = (word | below(word, b' ') | equal(b'=') | equal(127)) & TOPS;
    marks.trailing_zeros() as usize / 8
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
        assert!(encoded("ü \t\n x").ends_with("\r\n\r\n=C3=BC =09\r\n x\r\n"));
    }

    #[test]
    fn a_step_ends_at_the_first_octet_that_needs_encoding() {
        for byte in 0..=u8::MAX {
            for at in 0..STEP {
                let mut step = [b'~'; STEP];
                step[at] = byte;
                assert_eq!(literal_run(step), if is_literal(byte) { STEP } else { at }, "{byte} at {at}");
                step[STEP - 1] = byte;
                assert_eq!(literal_run(step), if is_literal(byte) { STEP } else { at }, "{byte} at {at}");
            }
        }
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
