//! What a client may say.

/// A command, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// `EHLO` or `HELO`; whether extensions are asked for.
    Smtp(bool),
    /// `LHLO`.
    Lmtp,
    /// `MAIL FROM`, with the path; empty for none.
    Mail(&'a str),
    /// `RCPT TO`, with the path.
    Rcpt(&'a str),
    Data,
    Reset,
    Nothing,
    Verify,
    Quit,
    /// Known, with something wrong: the answer.
    Wrong(&'static str),
}

/// Reads a line without its end.
pub(super) fn parse(line: &str) -> Command<'_> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match verb.to_ascii_uppercase().as_str() {
        "EHLO" | "HELO" | "LHLO" if rest.trim().is_empty() => Command::Wrong("501 5.5.4 say your name"),
        "EHLO" => Command::Smtp(true),
        "HELO" => Command::Smtp(false),
        "LHLO" => Command::Lmtp,
        "MAIL" => match path(rest, "FROM:") {
            Some((path, parameters)) if parameters.split_whitespace().all(is_known) => Command::Mail(path),
            Some(_) => Command::Wrong("555 5.5.4 unknown parameter"),
            None => Command::Wrong("501 5.5.4 expected MAIL FROM:<path>"),
        },
        "RCPT" => match path(rest, "TO:") {
            Some(("", _)) | None => Command::Wrong("501 5.5.4 expected RCPT TO:<path>"),
            Some((path, parameters)) if parameters.trim().is_empty() => Command::Rcpt(path),
            Some(_) => Command::Wrong("555 5.5.4 unknown parameter"),
        },
        "DATA" if rest.trim().is_empty() => Command::Data,
        "DATA" => Command::Wrong("501 5.5.4 DATA stands alone"),
        "RSET" => Command::Reset,
        "NOOP" => Command::Nothing,
        "VRFY" => Command::Verify,
        "QUIT" => Command::Quit,
        "AUTH" | "BDAT" | "EXPN" | "HELP" | "STARTTLS" => Command::Wrong("502 5.5.1 not offered"),
        _ => Command::Wrong("500 5.5.1 unknown command"),
    }
}

/// The path of `KEYWORD<path> PARAMETERS`, without a route, and the parameters. A quoted part may hold `>`.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let rest = rest.trim_start();
    let head = rest.get(..keyword.len()).filter(|head| head.eq_ignore_ascii_case(keyword))?;
    let rest = rest[head.len()..].trim_start().strip_prefix('<')?;
    let (mut quoted, mut escaped) = (false, false);
    let end = rest.find(|c| {
        let ends = c == '>' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let (path, parameters) = (&rest[..end], &rest[end + 1..]);
    let path = if path.starts_with('@') { path.split_once(':')?.1 } else { path };
    (parameters.is_empty() || parameters.starts_with(' ')).then_some((path, parameters))
}

/// Parameters of `MAIL` that belong to what is offered.
fn is_known(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    match name.to_ascii_uppercase().as_str() {
        "SIZE" => !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()),
        "BODY" => ["7BIT", "8BITMIME"].iter().any(|known| value.eq_ignore_ascii_case(known)),
        "SMTPUTF8" => value.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_read_in_every_form_that_servers_write() {
        for (line, path) in [
            ("MAIL FROM:<>", ""),
            ("mail from: <anna@example.org> SIZE=1000 BODY=8BITMIME SMTPUTF8", "anna@example.org"),
            ("MAIL FROM:<\"a>\\\"b\"@example.org>", "\"a>\\\"b\"@example.org"),
            ("MAIL FROM:<@a.example,@b.example:anna@example.org>", "anna@example.org"),
        ] {
            assert_eq!(parse(line), Command::Mail(path), "{line}");
        }
        assert_eq!(parse("RCPT TO:<Postmaster>"), Command::Rcpt("Postmaster"));
    }

    #[test]
    fn what_is_wrong_or_not_offered_is_said() {
        for (line, code) in [
            ("", "500"),
            ("GET / HTTP/1.1", "500"),
            ("EHLO ", "501"),
            ("MAIL FROM:anna@example.org", "501"),
            ("MAIL FROM:<anna@example.org", "501"),
            ("MAIL FROM:<a>x", "501"),
            ("MAIL FROM:<a> RET=HDRS", "555"),
            ("MAIL FROM:<a> SIZE=x", "555"),
            ("MAIL FROM:<a> BODY=BINARYMIME", "555"),
            ("RCPT TO:<>", "501"),
            ("RCPT TO:<a> NOTIFY=NEVER", "555"),
            ("DATA x", "501"),
            ("BDAT 5 LAST", "502"),
            ("STARTTLS", "502"),
        ] {
            let Command::Wrong(answer) = parse(line) else { panic!("{line} was taken") };
            assert!(answer.starts_with(code), "{line}: {answer}");
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_reader(line in "\\PC{0,60}|(MAIL FROM:|RCPT TO:)?[<>@:\"\\\\a =]{0,20}") {
            let _ = parse(&line);
        }
    }
}
