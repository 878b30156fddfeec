//! Signed tokens of tracked links, the pixel and the recipient's pages.
//!
//! A token is base64url of a postcard body and the first 128 bits of its HMAC-SHA256 (RFC 2104,
//! truncated as RFC 2104 §5 allows). It carries everything that answering needs: no look-up, no
//! open redirect, no enumeration. Tokens stay in mails for years, so a test freezes the layout.

use std::time::Duration;

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::id::{RecipientId, RunId};
use super::time::Micros;

const FORMAT: u8 = 1;
const TAG: usize = 16;

/// How long a link that was mailed on request is good: mails get forwarded.
pub const LIFE: Duration = Duration::from_secs(3_600);
/// Octets that most tokens fit in.
const ROOM: usize = 192;

/// Longest token that is looked at, in characters.
pub const MAX_TOKEN: usize = 4_096;

/// What a token is good for. A token of one kind is nothing under another's path. `T` holds texts: whoever signs may
/// borrow them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose<T = String> {
    /// `/c/`: a tracked link.
    Click {
        /// The link's number within the compiled template, from 1.
        link: u16,
        /// The offer's number within the campaign, from 1; 0 for no offer.
        item: u16,
        /// The link's category, empty for none.
        category: T,
        /// Where it leads.
        url: T,
    },
    /// `/o/`: the pixel.
    Open,
    /// `/u/`: leaves the campaign's topic.
    Unsubscribe,
    /// `/p/`: the preferences page.
    Preferences,
    /// `/v/`: the message in the browser.
    View,
    /// `/d/`: what is stored about the person, and changing it. Good for [`LIFE`].
    OwnData {
        /// When it was asked for.
        at: Micros,
        /// The first octets of a keyed digest of the address that it was mailed to; it is good for no other.
        from: [u8; 8],
    },
    /// `/a/`: mails to another address from now on. Mailed to that one, and good for [`LIFE`].
    NewAddress {
        /// When it was asked for.
        at: Micros,
        /// The new one.
        address: T,
        /// The same of the one before: only that one is given up for it.
        from: [u8; 8],
    },
    /// `/k/`: keeps a consent that would lapse.
    Keep,
    /// `/j/`: confirms a request to join; the number of the request stands in the recipient's place.
    Confirm,
}

impl Purpose {
    /// Whether it is good at this instant. What was signed by a clock that is ahead, is.
    #[must_use]
    pub fn is_good(&self, now: Micros) -> bool {
        match self {
            Self::OwnData { at, .. } | Self::NewAddress { at, .. } => now <= at.plus(LIFE),
            _ => true,
        }
    }
}

/// What a token says: for whose message, and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token<T = String> {
    /// The message's run.
    pub run: RunId,
    /// The message's recipient.
    pub recipient: RecipientId,
    /// What it is good for.
    pub purpose: Purpose<T>,
}

struct Key {
    id: u8,
    /// Has taken the secret in already: a mail has many links, and each begins from here.
    hmac: Hmac<Sha256>,
}

impl Key {
    fn new(id: u8, secret: &[u8]) -> Self {
        let hmac = Hmac::new_from_slice(secret).expect("HMAC takes secrets of any length (RFC 2104 §2)");
        Self { id, hmac }
    }

    fn digest(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut hmac = self.hmac.clone();
        pieces.iter().for_each(|piece| hmac.update(piece));
        hmac.finalize().into_bytes().into()
    }
}

/// The signing keys. The first signs; all verify, so that keys can rotate.
pub struct Keyring(Vec<Key>);

impl Keyring {
    /// Takes keys as (id, secret), the one that signs first. Secrets should have 32 octets.
    ///
    /// # Panics
    /// When there is no key: a checked project has one.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = (u8, &'a [u8])>) -> Self {
        let keys: Vec<Key> = keys.into_iter().map(|(id, secret)| Key::new(id, secret)).collect();
        assert!(!keys.is_empty(), "a keyring needs a key");
        Self(keys)
    }

    /// The token's text.
    #[must_use]
    pub fn sign(&self, token: &Token) -> String {
        self.sign_behind(&[], token)
    }

    /// The token's text behind others, such as the address of the page that takes it.
    #[must_use]
    pub fn sign_behind<T: Serialize>(&self, front: &[&str], token: &Token<T>) -> String {
        let key = &self.0[0];
        let mut bytes = Vec::with_capacity(ROOM);
        bytes.extend([FORMAT, key.id]);
        let mut bytes = postcard::to_extend(token, bytes).unwrap_or_default();
        let tag = key.digest(&[&bytes]);
        bytes.extend_from_slice(&tag[..TAG]);
        let mut text = String::with_capacity(front.iter().map(|f| f.len()).sum::<usize>() + bytes.len() * 4 / 3 + 1);
        text.extend(front.iter().copied());
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        text
    }

    /// Reads a token. A forged, cut or foreign one is `None`, whatever is wrong with it.
    #[must_use]
    pub fn verify(&self, text: &str) -> Option<Token> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        let &[FORMAT, key_id, ref body @ ..] = signed else { return None };
        let key = self.0.iter().find(|k| k.id == key_id)?;
        constant_time::verify_slices_are_equal(&key.digest(&[signed])[..TAG], tag).ok()?;
        postcard::from_bytes(body).ok()
    }

    /// The id of the key that signs.
    #[must_use]
    pub fn newest_key(&self) -> u8 {
        self.0[0].id
    }

    /// The id of the key that has been there longest, for digests that must outlast a new key.
    #[must_use]
    pub fn oldest_key(&self) -> u8 {
        self.0[self.0.len() - 1].id
    }

    /// A keyed digest for things other than tokens (Message-IDs, suppressed addresses), under the
    /// key with this id; `label` keeps uses apart.
    #[must_use]
    pub fn digest(&self, key_id: u8, label: &str, data: &[u8]) -> Option<[u8; 32]> {
        let key = self.0.iter().find(|k| k.id == key_id)?;
        Some(key.digest(&[label.as_bytes(), &[0], data]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring() -> Keyring {
        Keyring::new([(1, [7; 32].as_slice())])
    }

    fn click(url: &str) -> Token {
        Token {
            run: RunId(42),
            recipient: RecipientId(1_000_000),
            purpose: Purpose::Click { link: 3, item: 1, category: "trail".into(), url: url.into() },
        }
    }

    #[test]
    fn the_layout_never_changes() {
        assert_eq!(
            ring().sign(&click("https://shop.example.org/trail/1?a=b")),
            "AQFUgIl6AAMBBXRyYWlsJGh0dHBzOi8vc2hvcC5leGFtcGxlLm9yZy90cmFpbC8xP2E9YtiK_JZTsA_PIVEqr2mQeS0"
        );
    }

    #[test]
    fn a_link_that_is_for_a_while_is_good_to_the_end_of_it_and_others_for_ever() {
        let asked = Micros(1_800_000_000_000_000);
        let own = Purpose::OwnData { at: asked, from: [1; 8] };
        let moved = Purpose::NewAddress { at: asked, address: "anna@example.org".into(), from: [1; 8] };
        for (seconds, good) in [(-60, true), (3_600, true), (3_601, false)] {
            let now = Micros(asked.0 + seconds * 1_000_000);
            assert_eq!((own.is_good(now), moved.is_good(now)), (good, good), "{seconds}");
        }
        assert!(Purpose::Unsubscribe.is_good(Micros(i64::MAX)) && Purpose::Preferences.is_good(Micros(i64::MAX)));
    }

    #[test]
    fn a_rotated_key_still_verifies_and_a_dropped_one_does_not() {
        let old = ring().sign(&click("https://example.org/"));
        let rotated = Keyring::new([(2, [9; 32].as_slice()), (1, [7; 32].as_slice())]);
        assert_eq!(rotated.verify(&old), Some(click("https://example.org/")));
        assert_eq!(Keyring::new([(2, [9; 32].as_slice())]).verify(&old), None);
        assert_eq!(Keyring::new([(1, [9; 32].as_slice())]).verify(&old), None);
    }

    proptest! {
        #[test]
        fn what_was_signed_comes_back(url in "\\PC{0,300}", link: u16, run: i64, recipient: i64) {
            let mut token = click(&url);
            token.run = RunId(run);
            token.recipient = RecipientId(recipient);
            if let Purpose::Click { link: l, .. } = &mut token.purpose { *l = link; }
            prop_assert_eq!(ring().verify(&ring().sign(&token)), Some(token));
        }

        #[test]
        fn one_changed_character_is_a_forgery(at in 0usize..90, to in "[A-Za-z0-9_-]") {
            let good = ring().sign(&click("https://example.org/running?x=1"));
            let at = at % good.len();
            let mut bad = good.clone();
            bad.replace_range(at..=at, &to);
            prop_assume!(bad != good);
            prop_assert_eq!(ring().verify(&bad), None);
            prop_assert_eq!(ring().verify(&good[..at]), None);
        }

        #[test]
        fn noise_is_never_a_token(text in "\\PC{0,200}") {
            prop_assert_eq!(ring().verify(&text), None);
        }
    }
}
