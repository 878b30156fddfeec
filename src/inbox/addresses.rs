//! Whose mail is taken from the network.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::mail_path::MailPath;
use crate::domain::token::Keyring;

/// Local parts that are taken at the bounce domain; the first two must be (RFC 5321 §4.5.1, RFC 2142).
const USUAL: [&str; 3] = ["postmaster", "abuse", "bounces"];

/// Knows our addresses. Mail to any other is refused while its sender still holds it: nothing is passed on and nobody is
/// answered by mail.
#[derive(Clone)]
pub struct Addresses {
    keyring: Arc<Keyring>,
    listed: HashSet<String>,
    domain: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl Addresses {
    /// Those that these keys signed, those `listed`, and the usual ones at the domain of return paths, which may change.
    pub fn new(
        keyring: Arc<Keyring>,
        listed: &[String],
        domain: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let listed = listed.iter().map(|address| address.to_lowercase()).collect();
        Self { keyring, listed, domain: Arc::new(domain) }
    }

    /// Whether mail to this address is for us. A signed address is ours at whatever domain: reports come for weeks, and
    /// domains may change meanwhile.
    pub(super) fn are_ours(&self, address: &str) -> bool {
        let Some((local, domain)) = address.rsplit_once('@') else {
            return address.eq_ignore_ascii_case("postmaster");
        };
        let usual = || USUAL.iter().any(|name| local.eq_ignore_ascii_case(name));
        let at_home = || (self.domain)().is_some_and(|own| domain.eq_ignore_ascii_case(&own));
        MailPath::verify(local, &self.keyring).is_some()
            || self.listed.contains(&address.to_lowercase())
            || usual() && at_home()
    }
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addresses").field("listed", &self.listed.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{RecipientId, RunId};
    use crate::domain::mail_path::MailUse;

    #[test]
    fn signed_listed_and_usual_addresses_are_ours_and_no_others() {
        let keyring = Arc::new(Keyring::new([(1, [7; 32].as_slice())]));
        let path = MailPath { purpose: MailUse::Bounce, run: RunId(1), recipient: RecipientId(2) };
        let signed = path.sign(&keyring);
        let listed = ["FBL@news.example".to_owned()];
        let ours = Addresses::new(keyring, &listed, || Some("b.news.example".to_owned()));
        for own in [
            &format!("{signed}@b.news.example"),
            &format!("{}@former.example", signed.to_uppercase()),
            "fbl@NEWS.example",
            "Postmaster@b.news.example",
            "abuse@b.news.example",
            "bounces@B.news.example",
            "postmaster",
        ] {
            assert!(ours.are_ours(own), "{own}");
        }
        for foreign in [
            "",
            "@",
            "anna@example.org",
            "bounces@example.org",
            "postmaster@news.example",
            "fbl@b.news.example",
            &format!("{signed}x@b.news.example"),
            &format!("anna%example.org@{signed}"),
            "abuse",
        ] {
            assert!(!ours.are_ours(foreign), "{foreign}");
        }
    }
}
