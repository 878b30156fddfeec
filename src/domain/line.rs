//! How long a line of a mail may be.

/// Most octets of a line, without its CRLF (RFC 5322 §2.1.1).
pub const MOST: usize = 998;

/// Whether a line of a text whose lines end with CRLF is longer than [`MOST`]. Looks for the last end in what may be one
/// line, not for each.
#[must_use]
pub fn is_long_in(mut text: &[u8]) -> bool {
    while text.len() > MOST {
        let longest = &text[..text.len().min(MOST + 2)];
        match memchr::memrchr(b'\n', longest) {
            Some(end) => text = &text[end + 1..],
            None => return true,
        }
    }
    false
}
