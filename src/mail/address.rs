//! Addresses in free text, as reports write them.

use std::ops::Range;

/// An address and where it stands in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) address: &'a str,
    pub(super) range: Range<usize>,
}

/// Addresses in the order of the text; quotes around a local part that needs none are left out.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = Found<'_>> {
    memchr::memchr_iter(b'@', text.as_bytes()).filter_map(|at| address_at(text, at))
}

/// The last address of a field of a report: of a source route, its end.
pub(super) fn last_address(value: &str) -> Option<&str> {
    addresses(value).last().map(|found| found.address)
}

fn address_at(text: &str, at: usize) -> Option<Found<'_>> {
    let (before, after) = (&text[..at], &text[at + 1..]);
    let domain = after.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))).unwrap_or(after.len());
    let domain = after[..domain].trim_end_matches(['.', '-', '_']);
    if domain.is_empty() || domain.starts_with(['.', '-']) {
        return None;
    }
    let end = at + 1 + domain.len();
    if let Some(quoted) = before.strip_suffix('"') {
        let begin = quoted.rfind('"').filter(|begin| quoted.len() - begin < 66)?;
        let local = &quoted[begin + 1..];
        if local.is_empty() {
            return None;
        }
        return Some(Found { address: &text[begin..end], range: begin..end });
    }
    let begin = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(*c))
        .last()?
        .0;
    let begin = end_of_prefix(&text[begin..at]) + begin;
    let local = &text[begin..at];
    // An encoded word is kept whole.
    let trimmed = local.trim_start_matches(['\'', '=', '`', '*', '|', '{', '.', '-', '/', '#', '&']);
    let local = if local.starts_with("=?") { local } else { trimmed };
    (!local.is_empty() && local.len() <= 128).then(|| {
        let begin = at - local.len();
        Found { address: &text[begin..end], range: begin..end }
    })
}

/// "SMTP=a@example.org" is how X.400 gateways write an address.
fn end_of_prefix(local: &str) -> usize {
    let prefix = |word: &str| local.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    ["smtp=", "rfc822=", "mailto="].iter().find(|word| prefix(word)).map_or(0, |word| word.len())
}

/// The address without quotes that its local part does not need.
pub(super) fn plain(address: &str) -> String {
    let unquoted = address.strip_prefix('"').and_then(|rest| rest.split_once("\"@"));
    match unquoted {
        Some((local, domain)) if local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c)) => {
            format!("{local}@{domain}")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_the_ways_that_reports_write_them() {
        for (text, expected) in [
            ("<a@example.org>:", vec!["a@example.org"]),
            ("addressed to 'a.b@example.org',", vec!["a.b@example.org"]),
            ("[SMTP:a@example.org]", vec!["a@example.org"]),
            ("o=X;dda:SMTP=a@example.org; on Fri", vec!["a@example.org"]),
            ("a@example.org=20", vec!["a@example.org"]),
            ("to a+b=c@example.org.", vec!["a+b=c@example.org"]),
            ("@relay.example:a@host", vec!["a@host"]),
            ("\"a b\"@example.org", vec!["\"a b\"@example.org"]),
            ("a@b@example.org @ x@ @y", vec!["a@b", "b@example.org"]),
            ("müller@bücher.example", vec!["müller@bücher.example"]),
            ("\"\"@example.org ''@example.org", vec![]),
        ] {
            let found: Vec<_> = addresses(text).map(|found| found.address).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn needless_quotes_go() {
        assert_eq!(plain("\"a..b\"@example.org"), "a..b@example.org");
        assert_eq!(plain("\"a b\"@example.org"), "\"a b\"@example.org");
    }
}
