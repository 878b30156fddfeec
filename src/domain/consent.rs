//! Consent: permissions with their proof, one hash chain per recipient.
//!
//! Each entry commits to its payload (who agreed to what, where and how) under a salt of its own, and
//! the chain runs over the commitments. Erasing a person drops payloads and salts: nothing about the
//! person can be guessed from what stays, and the order and number of entries can still be proved.

use aws_lc_rs::{digest, hmac};

use super::time::Micros;

/// Octets of a salt.
pub const SALT: usize = 16;

/// A link of the chain, or a commitment: SHA-256.
pub type Digest = [u8; 32];

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// May be mailed on a topic.
    Contact,
    /// Hits may be kept with the person.
    Tracking,
    /// How often: granted as they come, else a limit or a pause of the person's own, which the payload tells.
    Frequency,
    /// Where to: the payload tells the address, and the one before.
    Address,
}

impl Purpose {
    /// The word in the database and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Tracking => "tracking",
            Self::Frequency => "frequency",
            Self::Address => "address",
        }
    }

    /// The purpose of a word from the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Contact, Self::Tracking, Self::Frequency, Self::Address].into_iter().find(|p| p.as_str() == word)
    }
}

/// What the chain covers in the open, beside the commitment to the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms<'a> {
    /// Number within the person's chain, from 1.
    pub seq: i64,
    /// When the person decided.
    pub at: Micros,
    /// What the permission is for.
    pub purpose: Purpose,
    /// The topic; empty for `tracking`.
    pub topic: &'a str,
    /// Given, or withdrawn.
    pub granted: bool,
}

/// Commits to a payload: SHA-256 of salt and payload.
#[must_use]
pub fn commitment(salt: &[u8; SALT], payload: &str) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt);
    context.update(payload.as_bytes());
    finish(context)
}

/// The chain's next link over the link before (zeros before the first), the commitment and the terms.
#[must_use]
pub fn link(previous: &Digest, commitment: &Digest, terms: &Terms<'_>) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    covered(previous, commitment, terms, |octets| context.update(octets));
    finish(context)
}

/// The octets that a link is the SHA-256 of.
#[must_use]
pub fn chained(previous: &Digest, commitment: &Digest, terms: &Terms<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    covered(previous, commitment, terms, |octets| all.extend_from_slice(octets));
    all
}

fn covered(previous: &Digest, commitment: &Digest, terms: &Terms<'_>, mut take: impl FnMut(&[u8])) {
    take(previous);
    take(commitment);
    take(&terms.seq.to_be_bytes());
    take(&terms.at.0.to_be_bytes());
    take(&[u8::from(terms.granted)]);
    take(terms.purpose.as_str().as_bytes());
    take(&[0]);
    take(terms.topic.as_bytes());
}

fn finish(context: digest::Context) -> Digest {
    let mut out = Digest::default();
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// A stored entry, as far as verifying needs it.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// What stands in the open.
    pub terms: Terms<'a>,
    /// The payload; none once the person is erased, or where it is the one of the entry before.
    pub payload: Option<&'a str>,
    /// Its salt; none where there is no payload.
    pub salt: Option<&'a [u8]>,
    /// Whether the person is not erased: then the proof must be there.
    pub living: bool,
    /// The stored commitment.
    pub commitment: &'a [u8],
    /// The stored link.
    pub chain: &'a [u8],
}

/// Verifies a person's chain, entries in order.
///
/// # Errors
/// The number of the first entry that is missing or does not fit, and why.
pub fn verify<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Result<(), (i64, &'static str)> {
    let mut chain = Chain::default();
    entries.into_iter().try_for_each(|entry| chain.take(&entry))
}

/// A chain that is verified entry by entry.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// How many entries were taken.
    seq: i64,
    /// The link of the last.
    previous: Digest,
    /// Its commitment.
    commitment: Option<Digest>,
}

impl Chain {
    /// Verifies the next entry.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn take(&mut self, entry: &Entry<'_>) -> Result<(), (i64, &'static str)> {
        let seq = self.seq + 1;
        if entry.terms.seq != seq {
            return Err((seq, "the entry is missing"));
        }
        let stored: Digest = entry.commitment.try_into().map_err(|_| (seq, "the commitment is no SHA-256"))?;
        match (entry.payload, entry.salt) {
            (Some(payload), Some(salt)) => {
                let salt = salt.try_into().map_err(|_| (seq, "the salt is cut"))?;
                if commitment(salt, payload) != stored {
                    return Err((seq, "the payload is not what was committed to"));
                }
            }
            (None, None) if !entry.living || self.commitment == Some(stored) => {}
            (None, None) => return Err((seq, "the proof is missing")),
            (None, Some(_)) => return Err((seq, "the payload is missing")),
            (Some(_), None) => return Err((seq, "the salt is missing")),
        }
        let next = link(&self.previous, &stored, &entry.terms);
        if next != entry.chain {
            return Err((seq, "the chain is broken"));
        }
        *self = Self { seq, previous: next, commitment: Some(stored) };
        Ok(())
    }
}

/// Salts expanded from one secret seed, so that a bulk write asks the machine for randomness once.
/// Whoever holds the seed forgets it with this value.
pub struct Salts(hmac::Key);

impl Salts {
    /// Takes 32 octets fit for keys.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, seed))
    }

    /// The salt of a place; a pair must be used for one payload only.
    #[must_use]
    pub fn salt(&self, major: i64, minor: i64) -> [u8; SALT] {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&major.to_be_bytes());
        place[8..].copy_from_slice(&minor.to_be_bytes());
        let mut salt = [0; SALT];
        salt.copy_from_slice(&hmac::sign(&self.0, &place).as_ref()[..SALT]);
        salt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stored {
        seq: i64,
        topic: &'static str,
        granted: bool,
        proof: Option<(String, [u8; SALT])>,
        commitment: Digest,
        chain: Digest,
    }

    fn terms(seq: i64, topic: &str, granted: bool) -> Terms<'_> {
        Terms { seq, at: Micros(seq * 10), purpose: Purpose::Contact, topic, granted }
    }

    fn person() -> Vec<Stored> {
        let salts = Salts::new(&[1; 32]);
        let mut previous = Digest::default();
        [("offers", true), ("news", true), ("offers", false)]
            .into_iter()
            .zip(1..)
            .map(|((topic, granted), seq)| {
                let (payload, salt) = (format!("payload {seq}"), salts.salt(7, seq));
                let commitment = commitment(&salt, &payload);
                previous = link(&previous, &commitment, &terms(seq, topic, granted));
                Stored { seq, topic, granted, proof: Some((payload, salt)), commitment, chain: previous }
            })
            .collect()
    }

    fn check(stored: &[Stored], living: bool) -> Result<(), (i64, &'static str)> {
        verify(stored.iter().map(|s| Entry {
            terms: terms(s.seq, s.topic, s.granted),
            payload: s.proof.as_ref().map(|(payload, _)| payload.as_str()),
            salt: s.proof.as_ref().map(|(_, salt)| salt.as_slice()),
            living,
            commitment: &s.commitment,
            chain: &s.chain,
        }))
    }

    #[test]
    fn an_honest_chain_verifies_before_and_after_erasure() {
        let mut stored = person();
        assert_eq!(check(&stored, true), Ok(()));
        stored.iter_mut().for_each(|s| s.proof = None);
        assert_eq!(check(&stored, false), Ok(()));
        assert_eq!(check(&stored, true), Err((1, "the proof is missing")));
    }

    #[test]
    fn a_changed_removed_or_reordered_entry_breaks_the_chain() {
        let broken = |change: fn(&mut Vec<Stored>)| {
            let mut stored = person();
            change(&mut stored);
            check(&stored, true).unwrap_err().0
        };
        assert_eq!(broken(|s| s[1].proof = None), 2);
        assert_eq!(broken(|s| s[1].granted = false), 2);
        assert_eq!(broken(|s| s[2].topic = "news"), 3);
        assert_eq!(broken(|s| s[1].proof.as_mut().unwrap().0.push('!')), 2);
        assert_eq!(broken(|s| s[1].proof.as_mut().unwrap().1[0] ^= 1), 2);
        assert_eq!(broken(|s| s[0].commitment[3] ^= 1), 1);
        assert_eq!(broken(|s| drop(s.remove(1))), 2);
        assert_eq!(broken(|s| s.swap(0, 1)), 1);
    }

    #[test]
    fn a_link_stays_what_it_was_in_the_first_release() {
        let link = link(&[0; 32], &commitment(&[7; SALT], "{}"), &terms(1, "offers", true));
        let hex: String = link.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "bd120ba1aa1e9980324db1653e85d5d48d9690277f4d1aac2e4167eaabf9f28c");
    }
}
