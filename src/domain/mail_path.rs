//! Signed local parts on the bounce domain: where reports of a message come back to, where mail that unsubscribes goes,
//! and where answers go.
//!
//! A letter for the use, `-`, and lower-case base32 (RFC 4648 §6, without padding) of format, key
//! id, run, recipient, and the first 96 bits of an HMAC-SHA256 over these and the use. Mail systems
//! may change the case of it, so that case means nothing. Reports come for weeks, so a test freezes
//! the layout.

use aws_lc_rs::constant_time;

use super::id::{RecipientId, RunId};
use super::token::Keyring;

const FORMAT: u8 = 1;
const TAG: usize = 12;

/// Most octets of a local part (RFC 5321 §4.5.3.1.1).
const LONGEST: usize = 64;

/// Fewest octets behind the letter: format, key and tag alone take more.
const SHORTEST: usize = 22;
/// Places that may be an address of ours and are looked at, in one text.
const MOST_LOOKED_AT: usize = 64;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What mail to such an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailUse {
    /// `b-`: the envelope's sender of a message, to which reports come back.
    Bounce,
    /// `u-`: mail to it unsubscribes, whatever it says (RFC 2369).
    Unsubscribe,
    /// `r-`: where answers go.
    Reply,
}

impl MailUse {
    const ALL: [Self; 3] = [Self::Bounce, Self::Unsubscribe, Self::Reply];

    fn prefix(self) -> &'static str {
        match self {
            Self::Bounce => "b-",
            Self::Unsubscribe => "u-",
            Self::Reply => "r-",
        }
    }

    /// Keeps uses apart: the tag of one is nothing under another's letter.
    fn label(self) -> &'static str {
        match self {
            Self::Bounce => "mail-bounce",
            Self::Unsubscribe => "mail-unsubscribe",
            Self::Reply => "mail-reply",
        }
    }
}

/// Whose message an address speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailPath {
    /// What mail to it is.
    pub purpose: MailUse,
    /// The message's run.
    pub run: RunId,
    /// The message's recipient.
    pub recipient: RecipientId,
}

impl MailPath {
    /// The local part: at most 57 characters.
    #[must_use]
    pub fn sign(&self, keyring: &Keyring) -> String {
        let key_id = keyring.newest_key();
        let mut bytes = postcard::to_extend(&(self.run, self.recipient), vec![FORMAT, key_id]).unwrap_or_default();
        let tag = keyring.digest(key_id, self.purpose.label(), &bytes).unwrap_or_default();
        bytes.extend_from_slice(&tag[..TAG]);
        let mut local = String::with_capacity(LONGEST);
        local.push_str(self.purpose.prefix());
        encode(&bytes, &mut local);
        local
    }

    /// A signed local part that stands anywhere in a text, such as the copy of a mail that a report brings: a return path
    /// rather than another. Only so many places are looked at as a mail of ours has, and some more.
    #[must_use]
    pub fn find(text: &[u8], keyring: &Keyring) -> Option<Self> {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric();
        let starts = memchr::memchr_iter(b'-', text).filter(|at| {
            let letter = at.checked_sub(1).map(|at| text[at].to_ascii_lowercase());
            let begins = at.checked_sub(2).is_none_or(|at| !is_part(&text[at]) && text[at] != b'-');
            begins && letter.is_some_and(|letter| b"bur".contains(&letter))
        });
        let locals = starts.filter_map(|at| {
            let end = text[at + 1..].iter().take(LONGEST).take_while(|byte| is_part(byte)).count();
            let is_address = text.get(at + 1 + end) == Some(&b'@');
            str::from_utf8(&text[at - 1..at + 1 + end]).ok().filter(|_| is_address && end >= SHORTEST)
        });
        let found: Vec<Self> = locals.take(MOST_LOOKED_AT).filter_map(|local| Self::verify(local, keyring)).collect();
        MailUse::ALL.into_iter().find_map(|purpose| found.iter().find(|path| path.purpose == purpose).copied())
    }

    /// Reads a local part in any case. A forged, cut or foreign one is `None`, whatever is wrong with
    /// it.
    #[must_use]
    pub fn verify(local: &str, keyring: &Keyring) -> Option<Self> {
        if local.len() > LONGEST {
            return None;
        }
        let local = local.to_ascii_lowercase();
        let read = |purpose: MailUse| Some((purpose, local.strip_prefix(purpose.prefix())?));
        let (purpose, text) = MailUse::ALL.into_iter().find_map(read)?;
        let bytes = decode(text)?;
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        let &[FORMAT, key_id, ref body @ ..] = signed else { return None };
        let expected = keyring.digest(key_id, purpose.label(), signed)?;
        constant_time::verify_slices_are_equal(&expected[..TAG], tag).ok()?;
        let (run, recipient) = postcard::from_bytes(body).ok()?;
        Some(Self { purpose, run, recipient })
    }
}

fn encode(bytes: &[u8], out: &mut String) {
    let (mut bits, mut held) = (0u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            out.push(char::from(ALPHABET[(bits >> held & 31) as usize]));
        }
    }
    if held > 0 {
        out.push(char::from(ALPHABET[(bits << (5 - held) & 31) as usize]));
    }
}

/// `None` for what [`encode`] does not write, so that an address has one spelling but for its case.
fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held) = (0u32, 0);
    let mut bytes = Vec::with_capacity(LONGEST);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 255) as u8);
        }
    }
    (held < 5 && bits & ((1 << held) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring() -> Keyring {
        Keyring::new([(1, [7; 32].as_slice())])
    }

    fn path(purpose: MailUse) -> MailPath {
        MailPath { purpose, run: RunId(42), recipient: RecipientId(1_000_000) }
    }

    #[test]
    fn the_layout_never_changes() {
        assert_eq!(path(MailUse::Bounce).sign(&ring()), "b-aeavjaejplkwrqdeqp4i6n2hl5vwo");
        assert_eq!(path(MailUse::Unsubscribe).sign(&ring()), "u-aeavjaejpllvdyu4dgbqbwbvqozoi");
    }

    #[test]
    fn one_use_is_nothing_under_the_letter_of_another() {
        let bounce = path(MailUse::Bounce).sign(&ring());
        assert_eq!(MailPath::verify(&bounce, &ring()), Some(path(MailUse::Bounce)));
        assert_eq!(MailPath::verify(&bounce.replacen("b-", "u-", 1), &ring()), None);
    }

    #[test]
    fn a_rotated_key_still_verifies_and_a_dropped_one_does_not() {
        let old = path(MailUse::Bounce).sign(&ring());
        let rotated = Keyring::new([(2, [9; 32].as_slice()), (1, [7; 32].as_slice())]);
        assert_eq!(MailPath::verify(&old, &rotated), Some(path(MailUse::Bounce)));
        assert_ne!(path(MailUse::Bounce).sign(&rotated), old);
        assert_eq!(MailPath::verify(&old, &Keyring::new([(2, [9; 32].as_slice())])), None);
        assert_eq!(MailPath::verify(&old, &Keyring::new([(1, [9; 32].as_slice())])), None);
    }

    proptest! {
        #[test]
        fn what_was_signed_comes_back_in_any_case_and_fits_a_local_part(run: i64, recipient: i64, upper: u64) {
            let path = MailPath { purpose: MailUse::Bounce, run: RunId(run), recipient: RecipientId(recipient) };
            let local = path.sign(&ring());
            prop_assert!(local.len() <= LONGEST && local.bytes().all(|b| b.is_ascii_lowercase() || b"-234567".contains(&b)));
            let change = |(n, c): (usize, char)| if upper >> (n % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c };
            let mixed: String = local.chars().enumerate().map(change).collect();
            prop_assert_eq!(MailPath::verify(&mixed, &ring()), Some(path));
        }

        #[test]
        fn one_changed_character_is_a_forgery(at in 0usize..64, to in "[a-z2-7-]") {
            let good = path(MailUse::Bounce).sign(&ring());
            let at = at % good.len();
            let mut bad = good.clone();
            bad.replace_range(at..=at, &to);
            prop_assume!(bad != good);
            prop_assert_eq!(MailPath::verify(&bad, &ring()), None);
            prop_assert_eq!(MailPath::verify(&good[..at], &ring()), None);
            prop_assert_eq!(MailPath::verify(&format!("{good}{to}"), &ring()), None);
        }

        #[test]
        fn it_is_found_in_a_text_and_a_forged_one_before_it_does_not_matter(before in "[ -~\n]{0,80}", after in "[^@]{0,20}") {
            let good = path(MailUse::Bounce).sign(&ring());
            let text = format!("{before} <b-aeavjaejplkwrqdeqp4i6n2hl5vwa@x.example> <{}@b.example>{after}", good.to_uppercase());
            prop_assert_eq!(MailPath::find(text.as_bytes(), &ring()), Some(path(MailUse::Bounce)));
            prop_assert_eq!(MailPath::find(format!("{before}x{good}@b.example").as_bytes(), &ring()), None);
            prop_assert_eq!(MailPath::find(good.as_bytes(), &ring()), None);
        }

        #[test]
        fn noise_is_never_an_address_of_ours(text in "[bur]-[a-z2-7]{0,62}|\\PC{0,80}") {
            prop_assert_eq!(MailPath::verify(&text, &ring()), None);
        }
    }
}
