//! What a server offers in its answer to `EHLO`.

/// The extensions that we use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    /// RFC 2920: commands may be sent without waiting for each answer.
    pub(super) pipelining: bool,
    /// RFC 6152.
    pub(super) eight_bit_mime: bool,
    /// RFC 6531.
    pub(super) smtp_utf8: bool,
    /// RFC 3461.
    pub(super) dsn: bool,
    /// RFC 1870: the size may be announced.
    pub(super) size: bool,
    /// RFC 1870: the most octets that the server takes, where it says so.
    pub(super) max_size: Option<u64>,
}

impl Features {
    /// Reads the lines of an answer, without their codes. Keywords know no case (RFC 5321 §2.4).
    pub(super) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut features = Self::default();
        for line in lines {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or("").to_ascii_uppercase().as_str() {
                "PIPELINING" => features.pipelining = true,
                "8BITMIME" => features.eight_bit_mime = true,
                "SMTPUTF8" => features.smtp_utf8 = true,
                "DSN" => features.dsn = true,
                "SIZE" => {
                    features.size = true;
                    // Zero means no limit.
                    features.max_size = words.next().and_then(|max| max.parse().ok()).filter(|max| *max > 0);
                }
                _ => {}
            }
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case_and_unknown_ones_skipped() {
        let lines =
            ["relay.example at your service", "pipelining", "SIZE 10240000", "VRFY", "8BITMIME", "", "X-SMTPUTF8"];
        let expected = Features {
            pipelining: true,
            size: true,
            max_size: Some(10_240_000),
            eight_bit_mime: true,
            ..Features::default()
        };
        assert_eq!(Features::parse(lines.into_iter()), expected);
    }

    #[test]
    fn a_size_of_zero_or_none_is_no_limit() {
        for line in ["SIZE", "SIZE 0", "SIZE many"] {
            let features = Features::parse(std::iter::once(line));
            assert_eq!((features.size, features.max_size), (true, None), "{line}");
        }
    }
}
