//! What helpers need to know of the message that is being rendered, and the signing of its links.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::links::{Link, rule_for};
use super::mailing::{Envelope, Mailing, RenderedLink};
use super::offers;
use crate::domain::profile::Profile;
use crate::domain::token::{Keyring, MAX_TOKEN, Purpose, Token};

/// One message. Helpers see it through a shared reference.
pub(super) struct Job<'a> {
    pub mailing: &'a Mailing,
    pub profile: &'a Profile,
    pub envelope: &'a Envelope<'a>,
    pub keyring: &'a Keyring,
    order: OnceLock<Vec<u16>>,
    /// Number of the offer that is being written, 0 for none.
    offer: AtomicU16,
    taken: Mutex<Taken>,
}

/// What the templates have used so far.
#[derive(Default)]
pub(super) struct Taken {
    /// Links with what stands for them in the mail.
    pub links: Vec<(RenderedLink, String)>,
    /// Indices of offers.
    pub offers: Vec<u16>,
}

impl<'a> Job<'a> {
    /// A message of which nothing is rendered yet.
    pub fn new(mailing: &'a Mailing, profile: &'a Profile, envelope: &'a Envelope<'a>, keyring: &'a Keyring) -> Self {
        Self {
            mailing,
            profile,
            envelope,
            keyring,
            order: OnceLock::new(),
            offer: AtomicU16::new(0),
            taken: Mutex::default(),
        }
    }

    /// The address of one of the recipient's pages, or of the pixel.
    pub fn page(&self, path: &str, purpose: Purpose) -> String {
        self.keyring.sign_behind(&[&self.mailing.base_url, path], &self.token(purpose))
    }

    /// The offers' indices in the recipient's order, from `skip` on and at most `limit`.
    pub fn take_offers(&self, skip: usize, limit: usize) -> &[u16] {
        let order = self.order.get_or_init(|| {
            let seed = offers::seed(&self.mailing.campaign.name, self.envelope.occasion, self.profile.recipient);
            offers::order(&self.mailing.campaign.offers, self.profile, seed)
        });
        let taken = order.get(skip..).unwrap_or_default();
        let taken = &taken[..limit.min(taken.len())];
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for index in taken {
            if !all.offers.contains(index) {
                all.offers.push(*index);
            }
        }
        taken
    }

    /// Says which offer is being written from now on (from 1, 0 for none); returns the one before.
    pub fn enter_offer(&self, number: u16) -> u16 {
        self.offer.swap(number, Ordering::Relaxed)
    }

    /// Where a link leads, if that is the same for everyone.
    pub fn fixed_target(&self, number: u16) -> Option<&'a str> {
        self.numbered(number)?.url.as_deref()
    }

    /// Writes what a link's target becomes: signed with consent to tracking, else as it is.
    pub fn link(&self, number: u16, url: &str, escape: &dyn Fn(&str) -> String, write: &mut dyn FnMut(&str)) {
        let item = self.offer.load(Ordering::Relaxed);
        let (matched, url) = (url, &*self.tagged(number, url));
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let known = taken.links.iter().find(|(l, _)| l.number == number && l.item == item && l.url == url);
        if let Some((_, target)) = known {
            return if target.is_empty() { write(&escape(url)) } else { write(target) };
        }
        let link = RenderedLink { number, item, url: url.to_owned(), category: self.category(number, item, matched) };
        let target = if self.profile.tracking { self.sign(&link) } else { String::new() };
        if target.is_empty() {
            write(&escape(url));
        } else {
            write(&target);
        }
        taken.links.push((link, target));
    }

    /// What was used.
    pub fn into_taken(self) -> Taken {
        self.taken.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// A target that only the message knows, with the campaign's parameters.
    fn tagged<'u>(&self, number: u16, url: &'u str) -> Cow<'u, str> {
        let tagged = |link: &Link| link.utm && link.url.is_none();
        let tagger = self.mailing.utm.as_ref().filter(|_| self.numbered(number).is_some_and(tagged));
        tagger.map_or(Cow::Borrowed(url), |tagger| tagger.tagged(url))
    }

    fn numbered(&self, number: u16) -> Option<&'a Link> {
        self.mailing.links.get(usize::from(number).checked_sub(1)?)
    }

    fn category(&self, number: u16, item: u16, url: &str) -> Option<String> {
        let link = self.numbered(number)?;
        let offer = usize::from(item).checked_sub(1).and_then(|i| self.mailing.campaign.offers.items.get(i));
        let own = link.category.as_deref().or(offer.map(|o| o.category.as_str()));
        let by_rule = || match link.url {
            Some(_) => link.by_rule.as_deref(),
            None => rule_for(&self.mailing.campaign.links, url),
        };
        own.or_else(by_rule).map(str::to_owned)
    }

    /// Empty when the target is too long for a token: such a link stays plain.
    fn sign(&self, link: &RenderedLink) -> String {
        let purpose = Purpose::Click {
            link: link.number,
            item: link.item,
            category: link.category.clone().unwrap_or_default(),
            url: link.url.clone(),
        };
        let target = self.page("/c/", purpose);
        if target.len() - self.mailing.base_url.len() > MAX_TOKEN { String::new() } else { target }
    }

    fn token(&self, purpose: Purpose) -> Token {
        Token { run: self.envelope.run, recipient: self.profile.recipient, purpose }
    }
}
