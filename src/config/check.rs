//! Small readers that several sections share: names, web addresses, zones, durations.

use std::net::SocketAddr;
use std::time::Duration;

use icu_locale::{LanguageIdentifier, Locale, LocaleExpander, TransformResult};
use jiff::tz::TimeZone;
use url::Url;

use super::problem::Complaint;
use crate::domain::address::Address;
use crate::domain::campaign::Pictures;
use crate::domain::time::parse_duration;

/// A name that may stand in a List-Id (RFC 2919), a path, and a segment without quoting.
pub fn name(text: &str) -> Result<(), Complaint> {
    let fits = (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        return Ok(());
    }
    Err(Complaint::new(format!("`{text}` cannot be a name"))
        .hint("a name has up to 63 letters a-z, digits, - and _, and starts with a letter or digit"))
}

/// A web page's address: http or https, with a host, without user or password.
pub fn web_url(text: &str) -> Result<Url, Complaint> {
    let bad = || Complaint::new(format!("'{text}' is not a web address")).hint("as in https://example.org/page");
    let url = Url::parse(text).map_err(|_| bad())?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && !text.contains(char::is_whitespace);
    if fits { Ok(url) } else { Err(bad()) }
}

/// The base of public links, without its trailing slash.
pub fn base_url(text: &str) -> Result<String, Complaint> {
    let url = web_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Complaint::new("a base address has no query and no fragment").hint("as in https://t.example.org"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// An address to listen on.
pub fn listen(text: &str) -> Result<SocketAddr, Complaint> {
    let complaint = || Complaint::new(format!("'{text}' is not an address to listen on"));
    text.parse().map_err(|_| complaint().hint("write IP and port, as in 127.0.0.1:8080 or [::]:8080"))
}

/// A zone that the time zone database knows.
pub fn zone(text: &str) -> Result<TimeZone, Complaint> {
    TimeZone::get(text).map_err(|_| {
        let complaint = Complaint::new(format!("'{text}' is not a time zone"));
        let known: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        match super::problem::nearest(text, known.iter().map(String::as_str)) {
            Some(near) => complaint.hint(format!("did you mean `{near}`?")),
            None => complaint.hint("use an IANA name such as Europe/Berlin"),
        }
    })
}

/// A language tag (BCP 47) in its usual capitals, whose language is known to the Unicode CLDR.
pub fn language(text: &str) -> Result<String, Complaint> {
    let complaint = |what: &str| Complaint::new(format!("'{text}' {what}")).hint("as in en, de-DE or pt-BR");
    let locale = Locale::try_from_str(text).map_err(|_| complaint("is not a language tag"))?;
    let mut language = LanguageIdentifier { language: locale.id.language, ..LanguageIdentifier::UNKNOWN };
    // Whose usual script is not known is no language.
    if LocaleExpander::new_extended().maximize(&mut language) == TransformResult::Unmodified {
        return Err(complaint("names no language that is known"));
    }
    Ok(locale.id.to_string())
}

/// A duration above zero.
pub fn span(text: &str) -> Result<Duration, Complaint> {
    match parse_duration(text)? {
        Duration::ZERO => Err("it must be longer than nothing".into()),
        duration => Ok(duration),
    }
}

/// A share above zero, such as `5%`.
pub fn percent(text: &str) -> Result<f64, Complaint> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let complaint = || Complaint::new(format!("'{text}' is not a share such as 5%")).hint("above 0% and up to 100%");
    number.filter(|number| *number > 0.0 && *number <= 100.0).map(|number| number / 100.0).ok_or_else(complaint)
}

/// How readers get pictures.
pub fn pictures(text: &str) -> Result<Pictures, Complaint> {
    match text {
        "embedded" => Ok(Pictures::Embedded),
        "linked" => Ok(Pictures::Linked),
        _ => Err(Complaint::new(format!("'{text}' is no way for pictures"))
            .hint("embedded: they go with each mail; linked: they are served below base_url")),
    }
}

/// An address without a display name.
pub fn address(text: &str) -> Result<String, Complaint> {
    let hint = "write the address alone, as in service@example.org";
    Address::parse(text).map(|a| a.as_str().to_owned()).map_err(|fault| Complaint::new(fault).hint(hint))
}

/// A mail domain in lower-case A-labels (IDNA 2008).
pub fn domain(text: &str) -> Result<String, Complaint> {
    match Address::parse(&format!("x@{text}")) {
        Ok(address) if !text.contains('@') => Ok(address.domain().to_owned()),
        _ => Err(Complaint::new(format!("'{text}' is not a domain")).hint("as in example.org")),
    }
}

/// A domain for return paths, with room for their signed local parts (RFC 5321 §4.5.3.1.3).
pub fn bounce_domain(text: &str) -> Result<String, Complaint> {
    match domain(text)? {
        long if long.len() > 190 => Err("this domain is too long for signed return paths".into()),
        domain => Ok(domain),
    }
}

/// An address without a display name that everybody can write to.
pub fn ascii_address(text: &str) -> Result<String, Complaint> {
    ascii(address(text)?)
}

/// As [`mailbox`], of an address that everybody can write to.
pub fn ascii_mailbox(text: &str) -> Result<(String, String), Complaint> {
    let (name, address) = mailbox(text)?;
    Ok((name, ascii(address)?))
}

fn ascii(address: String) -> Result<String, Complaint> {
    if address.is_ascii() {
        return Ok(address);
    }
    Err(Complaint::new("the part before the @ has letters that not every mail server takes")
        .hint("a-z, digits, dots and dashes reach everybody (RFC 6531); the domain may be international"))
}

/// `Name <address>` or an address alone, as (name, normalised address).
pub fn mailbox(text: &str) -> Result<(String, String), Complaint> {
    let hint = "as in News <news@example.org>";
    let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    if name.contains(char::is_control) {
        return Err(Complaint::new("the name has a control character").hint(hint));
    }
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    let address = Address::parse(address).map_err(|fault| Complaint::new(fault).hint(hint))?;
    Ok((name.to_owned(), address.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_has_an_address_and_perhaps_a_name() {
        let pair = |name: &str, address: &str| Ok((name.to_owned(), address.to_owned()));
        assert_eq!(mailbox("Alpenlauf <news@Alpenlauf.example>"), pair("Alpenlauf", "news@alpenlauf.example"));
        assert_eq!(mailbox("\"Alpen, Lauf\" <n@a.example>"), pair("Alpen, Lauf", "n@a.example"));
        assert_eq!(mailbox("n@bücher.example"), pair("", "n@xn--bcher-kva.example"));
        for bad in ["", "News", "News <news>", "News news@a.example", "a\nb <n@a.example>", "<n@a.example> News"] {
            assert!(mailbox(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn only_public_web_addresses_are_taken() {
        assert_eq!(base_url("https://t.example.org/"), Ok("https://t.example.org".into()));
        assert_eq!(base_url("http://localhost:8080/mail/"), Ok("http://localhost:8080/mail".into()));
        for bad in ["", "t.example.org", "ftp://t.example.org", "https://u:p@t.example.org", "https://t.example.org/?a"]
        {
            assert!(base_url(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_language_is_well_formed_and_known() {
        for (text, read) in [("de-de", "de-DE"), ("PT-br", "pt-BR"), ("zh-hant-tw", "zh-Hant-TW"), ("gsw", "gsw")] {
            assert_eq!(language(text), Ok(read.to_owned()));
        }
        for bad in ["", "d", "german", "dx-DE", "de_DE.UTF-8", "de-", "und"] {
            assert!(language(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_zone_spelled_nearly_right_is_proposed() {
        assert!(zone("Europe/Berlin").is_ok());
        assert_eq!(zone("Europe/Berlim").unwrap_err().hint.unwrap(), "did you mean `Europe/Berlin`?");
        assert!(domain("a@b.example").is_err() && domain("b.example").is_ok());
    }
}
