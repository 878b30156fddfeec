//! Passwords that somebody wrote where none belongs: hidden in what is shown, taken out of what is kept.

use std::ops::Range;

const SCHEME_END: &str = "://";

/// The line with a `*` for each character of a password, so that columns stay true. What only looks like one is hidden,
/// too.
pub(super) fn masked(line: &str) -> String {
    let hidden = passwords(line);
    let shown = |(at, c)| if hidden.iter().any(|range| range.contains(&at)) { '*' } else { c };
    line.char_indices().map(shown).collect()
}

/// An address without its password; none where it holds none.
pub(super) fn without_password(address: &str) -> Option<String> {
    let start = address.find(SCHEME_END)? + SCHEME_END.len();
    let Range { start, end } = password(address, start..address.len())?;
    Some(format!("{}{}", &address[..start - 1], &address[end..]))
}

/// A text whose well-formed addresses hold no password, those in comments among them.
pub(super) fn without_passwords(mut text: String) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'');
    let starts = text.match_indices(SCHEME_END).map(|(at, found)| at + found.len());
    let found = starts.filter_map(|start| {
        let end = text[start..].find(ends).map_or(text.len(), |length| start + length);
        password(&text, start..end)
    });
    for Range { start, end } in found.collect::<Vec<_>>().into_iter().rev() {
        text.replace_range(start - 1..end, "");
    }
    text
}

fn passwords(line: &str) -> Vec<Range<usize>> {
    let strings = strings(line);
    let mut found = named(line, &strings);
    for (at, separator) in line.match_indices(SCHEME_END) {
        let start = at + separator.len();
        // One may hold the quote that ends the string, or a space.
        let run = line[start..].find(char::is_whitespace).map_or(line.len(), |length| start + length);
        let string = strings.iter().find(|string| string.contains(&start)).map_or(run, |string| string.end);
        found.extend([run, string].into_iter().filter_map(|end| password(line, start..end)));
    }
    let mut start = 0;
    for word in line.split_inclusive(char::is_whitespace) {
        let range = start..start + word.len();
        start = range.end;
        if !word.contains(SCHEME_END) && !word.contains("mailto:") {
            found.extend(password(line, range));
        }
    }
    found
}

/// From the first colon to the last `@`: a password may hold either, and a slash.
fn password(line: &str, range: Range<usize>) -> Option<Range<usize>> {
    let address = &line[range.clone()];
    let end = address.rfind('@')?;
    let start = address[..end].find(':')? + 1;
    (start < end).then(|| range.start + start..range.start + end)
}

/// What stands behind `password =`, be it a key of the file or of a query.
fn named(line: &str, strings: &[Range<usize>]) -> Vec<Range<usize>> {
    let value = |(at, word): (usize, &str)| {
        let rest = line[at + word.len()..].trim_start_matches(['"', '\'']).trim_start();
        let value = rest.strip_prefix('=')?.trim_start();
        let bare = value.trim_start_matches(['"', '\'']);
        let start = line.len() - bare.len();
        let string = strings.iter().find(|string| (string.start..=string.end).contains(&start));
        let end = string.map_or(line.len(), |string| string.end);
        if bare.len() < value.len() {
            return Some(start..end);
        }
        let length = line[start..end].find(|c: char| c.is_whitespace() || c == '&');
        Some(start..length.map_or(end, |length| start + length))
    };
    line.to_ascii_lowercase().match_indices("password").filter_map(value).collect()
}

/// What stands between quotes; the last may lack its end.
fn strings(line: &str) -> Vec<Range<usize>> {
    let mut strings = Vec::new();
    let mut open: Option<(char, usize)> = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match open {
            _ if escaped => escaped = false,
            Some(('"', _)) if c == '\\' => escaped = true,
            Some((quote, start)) if c == quote => {
                strings.push(start..at);
                open = None;
            }
            None if matches!(c, '"' | '\'') => open = Some((c, at + 1)),
            _ => {}
        }
    }
    strings.extend(open.map(|(_, start)| start..line.len()));
    strings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_character_by_character() {
        for (line, shown) in [
            ("url = \"postgress://bob:s3cr3t@db/x\" # x", "url = \"postgress://bob:******@db/x\" # x"),
            ("url = \"mysql://bob:s3/c@r:ét@db/x\"", "url = \"mysql://bob:*********@db/x\""),
            ("url = \"pg://bob:s3 c'r\\\"t@db/x\" # a@b", "url = \"pg://bob:*********@db/x\" # a@b"),
            ("url = 'pg://bob:s3\"t@db/x'", "url = 'pg://bob:****@db/x'"),
            ("url = \"pg://bob:s3\"t@db/x\"", "url = \"pg://bob:****@db/x\""),
            ("url = \"pg://bob:s3t@db/x", "url = \"pg://bob:***@db/x"),
            ("url = [\"smtp://a:pw@h\", \"smtp://b:pw@h\"]", "url = [\"smtp://a:**@h\", \"smtp://b:**@h\"]"),
            ("url = \"joe:pw@h\"", "url = \"joe:**@h\""),
            ("url = \"pg:/joe:pw@h\"", "url = \"pg:*******@h\""),
            ("url = \"pg://h/x?Password=s3't&a=b\"", "url = \"pg://h/x?Password=****&a=b\""),
            ("password = \"s3 cr\" # x", "password = \"*****\" # x"),
            ("\"password\"='''s3'''", "\"password\"='''**'''"),
            ("password = 17 # x", "password = ** # x"),
        ] {
            assert_eq!(masked(line), shown);
            assert_eq!(line.chars().count(), shown.chars().count(), "{line}");
        }
    }

    #[test]
    fn a_line_without_a_password_is_shown_as_it_is() {
        for line in [
            "password_env = \"RELAY_PASSWORD\"",
            "url = \"postgres://bob@[::1]:5432/x\"",
            "url = \"smtp+starttls://relay.example:587\" # ask joe@x.example",
            "from = \"Shop: all of it <news@shop.example>\"",
            "list = \"mailto:leave@shop.example\"",
            "a password does not belong into the URL's query",
            "",
        ] {
            assert_eq!(masked(line), line);
        }
    }

    #[test]
    fn an_address_loses_its_password_and_nothing_else() {
        assert_eq!(without_password("pg://bob:s3/c@r:t@db:1/x?y=z").as_deref(), Some("pg://bob@db:1/x?y=z"));
        for plain in ["pg://bob@db:1/x", "pg://db:1/x", "sqlite:a:b@c"] {
            assert_eq!(without_password(plain), None, "{plain}");
        }
        assert_eq!(
            without_passwords("# \"pg://a:pw@h/x\", https://h:80/@me\n'pg://b:ü@h'".into()),
            "# \"pg://a@h/x\", https://h:80/@me\n'pg://b@h'"
        );
    }
}
