//! The fields of a posted form, URL-encoded or multipart (RFC 7578). RFC 8058 allows both.

/// The usual encoding, which the part of an address behind `?` has, too.
pub(super) const URL_ENCODED: &str = "application/x-www-form-urlencoded";

/// Field names and values in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads what can be read; a body of another type has no fields.
    pub(super) fn parse(content_type: &str, body: &[u8]) -> Self {
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        match kind.trim().to_ascii_lowercase().as_str() {
            URL_ENCODED => {
                Self(url::form_urlencoded::parse(body).map(|(k, v)| (k.into_owned(), v.into_owned())).collect())
            }
            "multipart/form-data" => boundary(parameters).map(|b| multipart(body, &b)).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn boundary(parameters: &str) -> Option<String> {
    let value = parameters.split(';').find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (!value.is_empty() && value.len() <= 70).then(|| value.to_owned())
}

fn multipart(body: &[u8], boundary: &str) -> Form {
    let delimiter = format!("--{boundary}");
    let text = String::from_utf8_lossy(body);
    // The first piece is the preamble; the closing delimiter leaves a piece that starts with "--".
    Form(text.split(&delimiter).skip(1).take_while(|part| !part.starts_with("--")).filter_map(field).collect())
}

fn field(part: &str) -> Option<(String, String)> {
    let (head, value) = part.split_once("\r\n\r\n").or_else(|| part.split_once("\n\n"))?;
    let name = head.lines().find_map(|line| {
        let (header, value) = line.split_once(':')?;
        header.trim().eq_ignore_ascii_case("content-disposition").then_some(())?;
        value.split(';').find_map(|p| p.trim().strip_prefix("name=")).map(|n| n.trim_matches('"'))
    })?;
    let value = value.strip_suffix("\r\n").or_else(|| value.strip_suffix('\n')).unwrap_or(value);
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MULTIPART: &str = "multipart/form-data; boundary=\"x-1\"";

    #[test]
    fn both_encodings_carry_the_same_fields() {
        let encoded = Form::parse("application/x-www-form-urlencoded; charset=utf-8", b"a=1&b=x+%C3%BC&a=2");
        let parts = "preamble\r\n--x-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
            --x-1\r\ncontent-disposition: form-data; name=\"b\"\r\nContent-Type: text/plain\r\n\r\nx ü\r\n\
            --x-1\r\nContent-Disposition: form-data; name=a\r\n\r\n2\r\n--x-1--\r\nepilogue";
        assert_eq!(Form::parse(MULTIPART, parts.as_bytes()), encoded);
        assert_eq!(encoded.all("a").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn what_is_no_form_has_no_fields() {
        for content_type in ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary="] {
            assert_eq!(Form::parse(content_type, b"List-Unsubscribe=One-Click"), Form::default(), "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn no_body_is_too_strange(body: Vec<u8>, cut in 0usize..200) {
            Form::parse(MULTIPART, &body);
            let parts = b"--x-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x-1--\r\n";
            Form::parse(MULTIPART, &parts[..cut.min(parts.len())]);
        }
    }
}
