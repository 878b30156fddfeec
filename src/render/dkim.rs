//! Signs a finished message (RFC 6376): relaxed/relaxed, the whole body, one signature per algorithm.

use aws_lc_rs::digest::{Context, SHA256};
use mail_auth::common::crypto::Algorithm as Tag;
use mail_auth::common::headers::Writable as _;
use mail_auth::dkim::{Canonicalization, Signature};

use crate::domain::alignment::signs_for;
use crate::domain::dkim::{Algorithm, DkimConfig, SigningKey};
use crate::domain::time::Micros;

/// Fields that are listed once more than they are there, so that none can be added on the way
/// (RFC 6376 §8.15).
const SEALED: [&str; 8] = ["From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type"];

/// Fields that are signed as they are (RFC 8058 §4 asks for the two of unsubscribing). Some relays
/// add a `List-Unsubscribe` of their own, which is no reason for a signature to fail.
const SIGNED: [&str; 5] = ["List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "Content-Language"];

/// A field's name and what stands behind its colon.
type Field<'a> = (&'a [u8], &'a [u8]);

const RELAXED: Canonicalization = Canonicalization::Relaxed;

/// Octets of a signature's field: enough for an RSA key of 4096 bits.
const FIELD: usize = 1_280;

/// Octets that a line should not be longer than.
const LINE: usize = 76;

/// The library could not sign. The message must not go out without the signature it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message could not be signed")]
pub struct SigningError;

/// The keys that sign, in the order of the file.
#[derive(Default)]
pub struct Signer(Vec<(DkimConfig, SigningKey)>);

impl Signer {
    /// Takes all keys of a project.
    #[must_use]
    pub fn new(keys: Vec<(DkimConfig, SigningKey)>) -> Self {
        Self(keys)
    }

    /// All keys, in the order of the file.
    #[must_use]
    pub fn keys(&self) -> &[(DkimConfig, SigningKey)] {
        &self.0
    }

    /// The keys that sign mail from a domain: of each algorithm the first that aligns with it, RSA,
    /// which everybody verifies, before Ed25519.
    pub fn of<'a>(&'a self, from: &'a str) -> impl Iterator<Item = &'a (DkimConfig, SigningKey)> {
        let first = move |algorithm| {
            self.0.iter().find(move |(config, key)| key.algorithm() == algorithm && signs_for(&config.domain, from))
        };
        [Algorithm::Rsa, Algorithm::Ed25519].into_iter().filter_map(first)
    }

    /// Whether mail from a domain is signed.
    #[must_use]
    pub fn signs(&self, from: &str) -> bool {
        self.of(from).next().is_some()
    }

    /// The message with its signatures in front. Takes tenths of a millisecond of a processor, so it
    /// belongs off the async threads. Unchanged when no key aligns with `from`.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, message: Vec<u8>, from: &str, at: Micros) -> Result<Vec<u8>, SigningError> {
        let mut keys = self.of(from).peekable();
        if keys.peek().is_none() {
            return Ok(message);
        }
        let (fields, body) = split(&message);
        let mut hash = Context::new(&SHA256);
        RELAXED.canonical_body(body, u64::MAX).write(&mut hash);
        let body_hash = hash.finish();
        let (names, covered) = cover(&fields);
        let mut signed = Vec::with_capacity(2 * FIELD + message.len());
        for (config, key) in keys {
            let mut signature = Signature {
                v: 1,
                a: tag(key.algorithm()),
                d: config.domain.clone(),
                s: config.selector.clone(),
                bh: body_hash.as_ref().to_vec(),
                h: names.clone(),
                t: u64::try_from(at.0 / 1_000_000).unwrap_or(0),
                ch: RELAXED,
                cb: RELAXED,
                ..Signature::default()
            };
            let mut data = covered.clone();
            signature.write(&mut data, false);
            signature.b = key.sign(&data).ok_or(SigningError)?;
            let start = signed.len();
            signature.write(&mut signed, true);
            fold(&mut signed, start);
        }
        signed.extend_from_slice(&message);
        Ok(signed)
    }
}

/// Folds the first line of a signature that is too long (RFC 5322 §2.1.1). Its canonical form stays
/// as it was, since that knows one kind of space.
fn fold(signed: &mut Vec<u8>, start: usize) {
    let line = memchr::memchr(b'\r', &signed[start..]).unwrap_or(0);
    if line > LINE
        && let Some(at) = memchr::memmem::find(&signed[start..start + line], b" d=")
    {
        signed.splice(start + at..=start + at, *b"\r\n\t");
    }
}

fn tag(algorithm: Algorithm) -> Tag {
    match algorithm {
        Algorithm::Rsa => Tag::RsaSha256,
        Algorithm::Ed25519 => Tag::Ed25519Sha256,
    }
}

/// The fields of a message, each with what stands behind its colon, and the body.
fn split(message: &[u8]) -> (Vec<Field<'_>>, &[u8]) {
    let mut fields = Vec::with_capacity(16);
    let (mut start, mut at) = (0, 0);
    for end in memchr::memchr_iter(b'\n', message) {
        let line = &message[at..=end];
        at = end + 1;
        if line == b"\r\n" {
            break;
        }
        if message.get(at).is_some_and(|next| b" \t".contains(next)) {
            continue;
        }
        let field = &message[start..at];
        if let Some(colon) = memchr::memchr(b':', field) {
            fields.push((&field[..colon], &field[colon + 1..]));
        }
        start = at;
    }
    (fields, &message[at..])
}

/// The names as a signature lists them, and the fields in canonical form. Of a field that is there
/// more than once, the last comes first (RFC 6376 §5.4.2).
fn cover(fields: &[Field<'_>]) -> (Vec<String>, Vec<u8>) {
    let mut names = Vec::with_capacity(SEALED.len() * 2 + SIGNED.len());
    let mut covered = Vec::with_capacity(2 * FIELD);
    let sealed = SEALED.iter().map(|name| (name, true));
    for (name, sealed) in sealed.chain(SIGNED.iter().map(|name| (name, false))) {
        let present = fields.iter().rev().copied().filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
        let before = names.len();
        names.extend(present.clone().map(|_| (*name).to_owned()));
        if names.len() > before {
            RELAXED.canonicalize_headers(present, &mut covered);
        }
        if sealed {
            names.push((*name).to_owned());
        }
    }
    (names, covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str =
        "From: a@shop.example\r\nSubject: a\r\n  folded  line\r\nList-Id: <x>\r\nlist-id: <y>\r\n\r\nHi\r\n";

    fn signer() -> Signer {
        // The private key of RFC 8463 §A.2.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
        let config = DkimConfig { domain: "shop.example".into(), selector: "e1".into(), key_file: "unused.pem".into() };
        Signer::new(vec![(config, SigningKey::from_pem(pem).unwrap())])
    }

    fn signed(from: &str) -> String {
        let signed = signer().sign(MAIL.as_bytes().to_vec(), from, Micros(1_796_115_600_000_000)).unwrap();
        String::from_utf8(signed).unwrap()
    }

    #[test]
    fn a_signature_stands_before_the_message_as_it_was_and_tells_the_time_that_it_was_given() {
        let text = signed("shop.example");
        let field = text.strip_suffix(MAIL).unwrap();
        assert!(field.starts_with("DKIM-Signature: v=1; a=ed25519-sha256; s=e1;"), "{field}");
        assert!(field.contains("; t=1796115600;") && !field.contains("l="), "{field}");
        assert!(field.split("\r\n").all(|line| line.len() <= 78), "{field}");
        assert_eq!(signed("other.example"), MAIL);
    }

    #[test]
    fn absent_fields_are_sealed_and_repeated_ones_are_signed_from_the_bottom() {
        let (fields, body) = split(MAIL.as_bytes());
        assert_eq!((fields.len(), body), (4, &b"Hi\r\n"[..]));
        let (names, covered) = cover(&fields);
        let expected =
            "From From To Subject Subject Date Message-ID Reply-To MIME-Version Content-Type List-Id List-Id";
        assert_eq!(names.join(" "), expected);
        let covered = String::from_utf8(covered).unwrap();
        assert_eq!(covered, "from:a@shop.example\r\nsubject:a folded line\r\nlist-id:<y>\r\nlist-id:<x>\r\n");
    }
}
