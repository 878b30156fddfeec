//! Encodes a text for transport: as it is where 7 bits and the line length allow, else
//! quoted-printable (RFC 2045 §6.7).

use super::draft::Draft;
use crate::domain::line;

/// Longest line of quoted-printable, without the soft break's `=`.
const QP_LINE: usize = 75;
/// Octets that are looked at together.
const BLOCK: usize = 64;

/// Writes the encoding's field, an empty line, and the encoded text, which ends with CRLF.
pub(super) fn part(draft: &Draft, out: &mut Vec<u8>) {
    let text = draft.text();
    if !draft.is_seven_bit() || line::is_long_in(text.as_bytes()) {
        return quoted_printable(draft, out);
    }
    out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
    out.extend_from_slice(text.as_bytes());
    if !text.is_empty() && !text.ends_with("\r\n") {
        out.extend_from_slice(b"\r\n");
    }
}

fn quoted_printable(draft: &Draft, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    let text = draft.text().as_bytes();
    let ends_line = |at: usize| matches!(text.get(at), None | Some(b'\r'));
    let mut quoted = Quoted { out, column: 0 };
    let mut at = 0;
    for (n, block) in text.chunks(BLOCK).enumerate() {
        let mut specials = specials(block);
        while specials != 0 {
            let special = n * BLOCK + specials.trailing_zeros() as usize;
            specials &= specials - 1;
            // A line's LF has been dealt with.
            let Some(literals) = text.get(at..special) else { continue };
            quoted.literals(literals);
            at = special + 1;
            match text[special] {
                b'\r' => {
                    quoted.end_line();
                    at += 1;
                }
                b'\t' if !ends_line(at) => quoted.literals(b"\t"),
                byte => quoted.encoded(byte),
            }
        }
    }
    quoted.literals(text.get(at..).unwrap_or_default());
    if !matches!(text.last(), None | Some(b'\n')) {
        quoted.end_line();
    }
}

/// A text that is being written as quoted-printable.
struct Quoted<'a> {
    out: &'a mut Vec<u8>,
    column: usize,
}

impl Quoted<'_> {
    fn literals(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            self.make_room(1);
            let (now, later) = text.split_at(text.len().min(QP_LINE - self.column));
            self.out.extend_from_slice(now);
            self.column += now.len();
            text = later;
        }
    }

    fn encoded(&mut self, byte: u8) {
        self.make_room(3);
        let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
        self.out.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
        self.column += 3;
    }

    /// Breaks the line softly unless it has room for so many octets.
    fn make_room(&mut self, octets: usize) {
        if self.column + octets > QP_LINE {
            self.out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
    }

    /// A space does not stand for itself at the end of a line.
    fn end_line(&mut self) {
        if self.column > 0 && self.out.last() == Some(&b' ') {
            self.out.pop();
            self.column -= 1;
            self.encoded(b' ');
        }
        self.out.extend_from_slice(b"\r\n");
        self.column = 0;
    }
}

/// Which of up to [`BLOCK`] octets do not simply stand for themselves in quoted-printable: a bit for each, the first the
/// lowest.
fn specials(block: &[u8]) -> u64 {
    /// Brings the lowest bits of eight octets together in the highest octet.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut special = [0; BLOCK];
    for (special, byte) in special.iter_mut().zip(block) {
        *special = u8::from(!(b' '..127).contains(byte) | (*byte == b'='));
    }
    let words = special.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56);
    words.rev().fold(0, |bits, word| bits << 8 | word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        part(&Draft::of(text), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_text_goes_out_as_it_is() {
        assert_eq!(encoded("a = b\n\tc\n"), "Content-Transfer-Encoding: 7bit\r\n\r\na = b\r\n\tc\r\n");
        assert_eq!(encoded("a\r\nb\r\n"), "Content-Transfer-Encoding: 7bit\r\n\r\na\r\nb\r\n");
        assert_eq!(encoded("a\nb"), "Content-Transfer-Encoding: 7bit\r\n\r\na\r\nb\r\n");
        assert_eq!(encoded(""), "Content-Transfer-Encoding: 7bit\r\n\r\n");
    }

    #[test]
    fn a_line_that_is_too_long_is_quoted() {
        let with = |length| encoded(&format!("y\n{}\n", "x".repeat(length)));
        assert!(with(998).contains("7bit"));
        assert!(with(999).contains("quoted-printable"));
    }

    #[test]
    fn the_end_of_a_line_keeps_its_space() {
        assert!(encoded("ü \t\n x").ends_with("\r\n\r\n=C3=BC =09\r\n x\r\n"));
    }

    #[test]
    fn lines_end_and_break_where_they_should() {
        let quoted = |text: &str| encoded(text).split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(quoted("ü\r\n\ra\n\n=\r"), "=C3=BC\r\n\r\na\r\n\r\n=3D\r\n");
        let (line, soft) = ("x".repeat(QP_LINE), "=\r\n");
        assert_eq!(quoted(&format!("{line}x ü")), format!("{line}{soft}x =C3=BC\r\n"));
        assert_eq!(quoted(&format!("{}\u{1}", &line[2..])), format!("{}{soft}=01\r\n", &line[2..]));
        assert_eq!(quoted(&format!("{} \n\u{1}", &line[1..])), format!("{}{soft}=20\r\n=01\r\n", &line[1..]));
    }

    #[test]
    fn every_octet_that_does_not_stand_for_itself_is_found_at_every_place() {
        for byte in 0..=u8::MAX {
            let literal = (b' '..127).contains(&byte) && byte != b'=';
            for at in 0..BLOCK {
                let mut block = [b'~'; BLOCK];
                block[at] = byte;
                assert_eq!(specials(&block), u64::from(!literal) << at, "{byte} at {at}");
                assert_eq!(specials(&block[..=at]), u64::from(!literal) << at, "{byte} at the end, {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_short_seven_bit_lines(text in "[\\PC\\r\\n\\t\u{0}=ü ]{0,400}") {
            let message = format!("Content-Type: text/plain; charset=utf-8\r\n{}", encoded(&text));
            for row in message.split("\r\n") {
                prop_assert!(row.len() <= line::MOST && row.bytes().all(|b| b < 127 && b != b'\r' && b != b'\n'));
            }
            if message.contains("quoted-printable") {
                let body = message.split_once("\r\n\r\n").unwrap().1;
                prop_assert!(body.lines().all(|line| line.len() <= QP_LINE + 1 && !line.ends_with([' ', '\t'])));
            }
            let parsed = mail_parser::MessageParser::default().parse(&message).unwrap();
            let lines = |t: &str| t.replace("\r\n", "\n").replace('\r', "\n").trim_end_matches('\n').to_owned();
            prop_assert_eq!(lines(&parsed.body_text(0).unwrap()), lines(&text));
        }
    }
}
