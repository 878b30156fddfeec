//! Mail addresses: read as typed, kept in one normal form.

use std::fmt;

use aws_lc_rs::hmac;

/// What suppressed addresses are kept as: HMAC-SHA256 under the project's suppression key.
pub type AddressHash = [u8; 32];

/// What copying leaves around an address: zero-width space, word joiner, byte order mark.
const ZERO_WIDTH: [char; 3] = ['\u{200b}', '\u{2060}', '\u{feff}'];

/// An address in normal form: local part as typed, domain in lower-case A-labels (IDNA 2008).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    text: String,
    at: usize,
}

impl Address {
    /// Reads and normalises an address (RFC 5321 `Mailbox` with a dot-atom local part, RFC 6531
    /// for characters outside ASCII).
    ///
    /// # Errors
    /// A short sentence that names the fault; it never repeats the address.
    pub fn parse(typed: &str) -> Result<Self, &'static str> {
        let typed = typed.trim_matches(|c: char| c.is_whitespace() || ZERO_WIDTH.contains(&c));
        if typed.is_empty() {
            return Err("the address is empty");
        }
        let (local, domain) = typed.rsplit_once('@').ok_or("the address has no @")?;
        check_local(local)?;
        let domain = normalise_domain(domain)?;
        let text = format!("{local}@{domain}");
        if text.len() > 254 {
            return Err("the address is longer than 254 octets");
        }
        Ok(Self { at: local.len(), text })
    }

    /// Takes an address that this type has normalised before, as the store keeps it.
    #[must_use]
    pub fn from_normalised(text: String) -> Self {
        let at = text.rfind('@').unwrap_or(text.len());
        Self { text, at }
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the @.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// What tells people apart: the address with its ASCII letters lowered, because no provider gives
    /// `Anna@…` and `anna@…` to two persons. Mail goes to the address as it was typed.
    #[must_use]
    pub fn folded(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// The keyed hash that suppressions are compared with. It covers the address in lower case: whoever
    /// asks not to be mailed at `Anna@…` does not want `anna@…` to be mailed either.
    #[must_use]
    pub fn hash(&self, key: &hmac::Key) -> AddressHash {
        let tag = match self.local().bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
            true => hmac::sign(key, self.text.to_lowercase().as_bytes()),
            false => hmac::sign(key, self.text.as_bytes()),
        };
        let mut hash = AddressHash::default();
        hash.copy_from_slice(tag.as_ref());
        hash
    }

    /// The address without what follows a `+` before its @ (RFC 5233): most providers put what comes to such
    /// addresses into one mailbox.
    #[must_use]
    pub fn without_detail(&self) -> Self {
        match self.local().split_once('+') {
            Some((user, _)) if !user.is_empty() => Self { text: format!("{user}@{}", self.domain()), at: user.len() },
            _ => self.clone(),
        }
    }

    /// The domain, in lower-case A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or("")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn check_local(local: &str) -> Result<(), &'static str> {
    if local.is_empty() {
        return Err("nothing stands before the @");
    }
    if local.len() > 64 {
        return Err("the part before the @ is longer than 64 octets");
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err("the part before the @ has a misplaced dot");
    }
    if local.chars().any(is_invisible) {
        return Err("the part before the @ has an invisible character; type it anew");
    }
    let allowed = |c: char| {
        c.is_ascii_alphanumeric()
            || ".!#$%&'*+/=?^_`{|}~-".contains(c)
            || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
    };
    if !local.chars().all(allowed) {
        return Err("the part before the @ has a character that does not belong there");
    }
    Ok(())
}

/// Whether a character shows nothing by itself, so that two addresses that look alike are not the same: those
/// of format (Unicode `Cf`, as the controls of writing direction) and others that programs ignore, without
/// variation selectors, which stand in emoji.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{e0fff}')
}

fn normalise_domain(domain: &str) -> Result<String, &'static str> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_empty() {
        return Err("nothing stands after the @");
    }
    let ascii = if domain.is_ascii() {
        domain.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii_strict(domain).map_err(|_| "the domain is not a valid international name")?
    };
    let label_ok = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if ascii.len() > 253 || !ascii.split('.').all(label_ok) {
        return Err("the domain is not a valid host name");
    }
    let last = ascii.rsplit('.').next().unwrap_or("");
    if !ascii.contains('.') || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err("the domain is not a full name such as example.org");
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::{Class, HirKind};

    #[test]
    fn the_domain_is_lowered_and_converted_and_the_local_part_kept() {
        let a = Address::parse(" Anna.Bér@Bücher.Example ").unwrap();
        assert_eq!(a.as_str(), "Anna.Bér@xn--bcher-kva.example");
        assert_eq!((a.local(), a.domain()), ("Anna.Bér", "xn--bcher-kva.example"));
    }

    #[test]
    fn what_follows_a_plus_is_a_detail_of_the_address() {
        let bare = |text: &str| Address::parse(text).unwrap().without_detail();
        let anna = Address::parse("Anna@example.org").unwrap();
        assert_eq!(
            ["Anna@example.org", "Anna+1@example.org", "Anna+a+b@example.org"].map(bare),
            [(); 3].map(|()| anna.clone())
        );
        assert_eq!(bare("+1@example.org").as_str(), "+1@example.org");
    }

    #[test]
    fn addresses_that_differ_in_case_have_the_same_hash_under_the_same_key() {
        let hash =
            |key: u8, text: &str| Address::parse(text).unwrap().hash(&hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]));
        assert_eq!(hash(1, "Änne@Example.org"), hash(1, "änne@example.org"));
        assert_ne!(hash(1, "anne@example.org"), hash(1, "anna@example.org"));
        assert_ne!(hash(1, "anne@example.org"), hash(2, "anne@example.org"));
    }

    #[test]
    fn an_invisible_character_is_refused_within_and_taken_away_around() {
        let class = r"[[\p{Cf}\p{Default_Ignorable_Code_Point}]--\p{Variation_Selector}]";
        let class = regex_syntax::parse(class).unwrap();
        let HirKind::Class(Class::Unicode(invisible)) = class.kind() else { panic!("{class:?}") };
        for c in invisible.iter().flat_map(|range| range.start()..=range.end()) {
            let fault = Address::parse(&format!("an{c}na@example.org")).unwrap_err();
            assert!(fault.contains("invisible"), "{c:?}: {fault}");
        }
        for other in ["an\u{2764}\u{fe0f}na", "b\u{e9}r", "\u{5d0}\u{5e0}\u{5d4}"] {
            assert!(Address::parse(&format!("{other}@example.org")).is_ok(), "{other:?}");
        }
        let around = Address::parse("\u{feff} \u{200b}anna@example.org\u{2060} \u{200b}").unwrap();
        assert_eq!(around.as_str(), "anna@example.org");
        assert!(Address::parse("\u{202e}anna@example.org").is_err());
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        for bad in [
            "",
            "anna",
            "@example.org",
            "anna@",
            "anna@localhost",
            "anna@[127.0.0.1]",
            "a b@example.org",
            "anna@exa mple.org",
            ".a@example.org",
            "a..b@example.org",
            "anna@-x.example",
            "anna@x..example",
            "a\r\nBcc: x@example.org",
            "anna@1.2.3.4",
            "<anna@example.org>",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(Address::parse(&format!("{}@example.org", "a".repeat(65))).is_err());
    }
}
