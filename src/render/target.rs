//! What a link's target is: counted or not, fixed or from data, and fit for a URL.

use handlebars::{Context, Handlebars, RenderContext, RenderError, Renderable as _, Template};

use super::html::decode;
use super::tag::{Kind, Tag, scan};

/// The house's own pages; their links are not counted.
const OWN_PAGES: [&str; 4] = ["unsubscribe_url", "preferences_url", "view_url", "keep_url"];

/// A link's target as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Not counted: mail, telephone, anchors, the house's own pages.
    Plain,
    /// Without a scheme.
    Relative,
    /// The same for everyone.
    Fixed(String),
    /// Template text whose output is the URL.
    Dynamic(String),
}

impl Target {
    /// Reads the value of an attribute.
    pub fn read(written: &str) -> Self {
        Self::with(written, decode)
    }

    /// Reads what stands in plain text.
    pub fn read_text(written: &str) -> Self {
        Self::with(written, str::to_owned)
    }

    fn with(written: &str, decode: fn(&str) -> String) -> Self {
        let written = written.trim();
        let tags = scan(written).unwrap_or_default();
        let names_own_page =
            |t: &Tag| t.kind == Kind::Value && OWN_PAGES.iter().any(|page| t.body(written).ends_with(page));
        let head = &written[..tags.first().map_or(written.len(), |t| t.range.start)];
        let lower = head.to_ascii_lowercase();
        if tags.iter().any(names_own_page) || head.starts_with('#') {
            Self::Plain
        } else if lower.starts_with("http://") || lower.starts_with("https://") || (head.is_empty() && !tags.is_empty())
        {
            if tags.is_empty() {
                Self::Fixed(fit(&decode(written)))
            } else {
                Self::Dynamic(dynamic(written, &tags, decode))
            }
        } else if head
            .split_once(':')
            .is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)))
        {
            Self::Plain
        } else {
            Self::Relative
        }
    }
}

/// The target with its fixed parts decoded and its `{{{…}}}` made `{{…}}`: it is written unescaped
/// and escaped as a whole.
fn dynamic(written: &str, tags: &[Tag], decode: fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut at = 0;
    for tag in tags {
        out.push_str(&decode(&written[at..tag.range.start]));
        let text = &written[tag.range.clone()];
        let double = text.strip_prefix("{{{").and_then(|t| t.strip_suffix("}}}"));
        out.push_str(&double.map_or_else(|| text.to_owned(), |inner| format!("{{{{{inner}}}}}")));
        at = tag.range.end;
    }
    out.push_str(&decode(&written[at..]));
    out
}

/// Where a URL in plain text ends: before space, brackets or quotes, and without the sentence's
/// punctuation.
pub(super) fn end_of_url(source: &str, tags: &[Tag], start: usize) -> usize {
    let mut at = start;
    loop {
        if let Some(tag) = tags.iter().find(|t| t.range.start == at) {
            if tag.kind != Kind::Value {
                return at;
            }
            at = tag.range.end;
            continue;
        }
        let stop = tags.iter().map(|t| t.range.start).find(|s| *s > at).unwrap_or(source.len());
        let text = &source[at..stop];
        let end = text.find(|c: char| c.is_whitespace() || "<>\"'()[]|".contains(c));
        if let Some(end) = end {
            return at + text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?']).len();
        }
        if stop == source.len() || tags.iter().any(|t| t.range.start == stop && t.kind != Kind::Value) {
            return at + text.trim_end_matches(['.', ',', ';', ':', '!', '?']).len();
        }
        at = stop;
    }
}

/// What a block holds, not escaped: an address that is to be looked at before it is written.
pub(super) fn unescaped<'reg: 'rc, 'rc>(
    inner: &'rc Template,
    r: &'reg Handlebars<'reg>,
    ctx: &'rc Context,
    rc: &mut RenderContext<'reg, 'rc>,
) -> Result<String, RenderError> {
    let escapes = !rc.is_disable_escape();
    rc.set_disable_escape(true);
    let done = inner.renders(r, ctx, rc);
    rc.set_disable_escape(!escapes);
    done
}

/// The scheme of a URL that a mail may lead to, else nothing.
pub(super) fn scheme(url: &str) -> &str {
    url.split_once(':').map_or("", |(scheme, _)| match scheme {
        s if s.eq_ignore_ascii_case("https") => "https",
        s if s.eq_ignore_ascii_case("http") => "http",
        s if s.eq_ignore_ascii_case("mailto") => "mailto",
        s if s.eq_ignore_ascii_case("tel") => "tel",
        _ => "",
    })
}

/// The URL with nothing in it that no URL may contain (RFC 3986 §2), so that values from data can
/// neither end an attribute nor a header.
pub(super) fn fit(url: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if url.bytes().all(fits) {
        return url.to_owned();
    }
    let url = url::Url::parse(url).map_or_else(|_| url.to_owned(), String::from);
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        if fits(byte) {
            out.push(char::from(byte));
        } else {
            escape(byte, &mut out);
        }
    }
    out
}

/// The address with parameters behind those that it has, before its fragment. Names and values are
/// percent-encoded (RFC 3986 §2.1).
pub(super) fn with_parameters<'a>(url: &str, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let (mut out, fragment) = match url.find('#') {
        Some(at) => (url[..at].to_owned(), &url[at..]),
        None => (url.to_owned(), ""),
    };
    let mut first = !out.contains('?');
    let empty = out.ends_with(['?', '&']);
    for (i, (name, value)) in parameters.into_iter().enumerate() {
        if first {
            out.push('?');
        } else if i > 0 || !empty {
            out.push('&');
        }
        first = false;
        percent(name, &mut out);
        out.push('=');
        percent(value, &mut out);
    }
    out.push_str(fragment);
    out
}

fn percent(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            escape(byte, out);
        }
    }
}

fn escape(byte: u8, out: &mut String) {
    out.push('%');
    out.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789ABCDEF"[usize::from(half)])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_into_the_web_is_counted() {
        for plain in ["mailto:a@b.example", "tel:+49", "#top", "{{unsubscribe_url}}", "{{{ view_url }}}", "sms:{{x}}"] {
            assert_eq!(Target::read(plain), Target::Plain, "{plain}");
        }
        for relative in ["", "/shop", "www.example.org", "a/b:c", "shop?x={{y}}"] {
            assert_eq!(Target::read(relative), Target::Relative, "{relative}");
        }
        assert_eq!(Target::read(" HTTPS://x.example/?a=1&amp;b "), Target::Fixed("HTTPS://x.example/?a=1&b".into()));
        assert_eq!(Target::read("{{{url}}}&amp;u={{id}}"), Target::Dynamic("{{url}}&u={{id}}".into()));
        assert_eq!(Target::read_text("https://x.example/?a&amp;"), Target::Fixed("https://x.example/?a&amp;".into()));
    }

    #[test]
    fn a_url_keeps_its_meaning_when_it_is_made_fit() {
        assert_eq!(fit("https://bücher.example/ü b?q=\"x|"), "https://xn--bcher-kva.example/%C3%BC%20b?q=%22x%7C");
        assert_eq!(fit("https://x.example/%C3%BC"), "https://x.example/%C3%BC");
        assert_eq!(fit("not a <url>"), "not%20a%20%3Curl%3E");
    }

    #[test]
    fn parameters_stand_behind_those_that_are_there_and_before_the_fragment() {
        let with = |url| with_parameters(url, [("a", "1 ü"), ("b&", "")]);
        assert_eq!(with("https://x.example"), "https://x.example?a=1%20%C3%BC&b%26=");
        assert_eq!(with("https://x.example/?q=1#top?"), "https://x.example/?q=1&a=1%20%C3%BC&b%26=#top?");
        assert_eq!(with("https://x.example/?"), "https://x.example/?a=1%20%C3%BC&b%26=");
        assert_eq!(with_parameters("https://x.example/#x", []), "https://x.example/#x");
    }

    #[test]
    fn a_url_in_a_sentence_ends_before_the_punctuation() {
        let end = |text: &str| text[..end_of_url(text, &scan(text).unwrap(), 0)].to_owned();
        assert_eq!(end("https://x.example/a?b=1, then"), "https://x.example/a?b=1");
        assert_eq!(end("https://x.example/{{a}}/b{{c}}. Then"), "https://x.example/{{a}}/b{{c}}");
        assert_eq!(end("https://x.example/a.{{#if b}}"), "https://x.example/a");
        assert_eq!(end("{{url}}: {{title}}"), "{{url}}");
    }
}
