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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_found_wherever_it_stands() {
        let many = "y\r\n".repeat(700);
        for (before, after) in [("", ""), ("", "\r\n"), ("\r\n", "\r\nx"), ("x\r\n", "\r\n\r\n"), (&many, "\r\nz\r\n")]
        {
            let long = |length| is_long_in(format!("{before}{}{after}", "x".repeat(length)).as_bytes());
            assert_eq!(
                [long(0), long(997), long(998), long(999), long(1_000), long(3_000)],
                [false, false, false, true, true, true]
            );
        }
        assert!(!is_long_in(b""));
    }
}
