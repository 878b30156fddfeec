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
    taken: Mutex<Taken<'a>>,
}

/// What the templates have used so far.
pub(super) struct Taken<'a> {
    pub links: Vec<TakenLink<'a>>,
    /// Indices of offers.
    pub offers: Vec<u16>,
}

/// A link, with what stands for it in the mail.
pub(super) struct TakenLink<'a> {
    number: u16,
    item: u16,
    url: Cow<'a, str>,
    category: Option<&'a str>,
    /// Empty when it stays plain.
    target: String,
}

impl From<TakenLink<'_>> for RenderedLink {
    fn from(link: TakenLink<'_>) -> Self {
        let TakenLink { number, item, url, category, .. } = link;
        Self { number, item, url: url.into_owned(), category: category.map(str::to_owned) }
    }
}

impl<'a> Job<'a> {
    /// A message of which nothing is rendered yet.
    pub fn new(mailing: &'a Mailing, profile: &'a Profile, envelope: &'a Envelope<'a>, keyring: &'a Keyring) -> Self {
        let links = Vec::with_capacity(mailing.links.len() / mailing.editions.len().max(1));
        Self {
            mailing,
            profile,
            envelope,
            keyring,
            order: OnceLock::new(),
            offer: AtomicU16::new(0),
            taken: Mutex::new(Taken { links, offers: Vec::new() }),
        }
    }

    /// The address of one of the recipient's pages, or of the pixel.
    pub fn page(&self, path: &str, purpose: Purpose<&str>) -> String {
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
    pub fn link(&self, number: u16, url: Cow<'a, str>, escape: &dyn Fn(&str) -> String, write: &mut dyn FnMut(&str)) {
        let item = self.offer.load(Ordering::Relaxed);
        let category = self.category(number, item, &url);
        let url = self.tagged(number, url);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let known = taken.links.iter().position(|l| l.number == number && l.item == item && l.url == url);
        let at = known.unwrap_or_else(|| {
            let mut link = TakenLink { number, item, url, category, target: String::new() };
            if self.profile.tracking {
                link.target = self.sign(&link);
            }
            taken.links.push(link);
            taken.links.len() - 1
        });
        let TakenLink { url, target, .. } = &taken.links[at];
        if target.is_empty() { write(&escape(url)) } else { write(target) }
    }

    /// Writes the picture by which an open is seen, with consent to tracking.
    pub fn pixel(&self, write: &mut dyn FnMut(&str)) {
        if self.profile.tracking {
            write("<img src=\"");
            write(&self.page("/o/", Purpose::Open));
            write(".gif\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\">");
        }
    }

    /// What was used.
    pub fn into_taken(self) -> Taken<'a> {
        self.taken.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// A target that only the message knows, with the campaign's parameters.
    fn tagged(&self, number: u16, url: Cow<'a, str>) -> Cow<'a, str> {
        let tagged = |link: &Link| link.utm && link.url.is_none();
        let tagger = self.mailing.utm.as_ref().filter(|_| self.numbered(number).is_some_and(tagged));
        match tagger {
            Some(tagger) => tagger.tagged(&url).into_owned().into(),
            None => url,
        }
    }

    fn numbered(&self, number: u16) -> Option<&'a Link> {
        self.mailing.links.get(usize::from(number).checked_sub(1)?)
    }

    fn category(&self, number: u16, item: u16, url: &str) -> Option<&'a str> {
        let link = self.numbered(number)?;
        let offer = usize::from(item).checked_sub(1).and_then(|i| self.mailing.campaign.offers.items.get(i));
        let own = link.category.as_deref().or(offer.map(|o| o.category.as_str()));
        own.or_else(|| match link.url {
            Some(_) => link.by_rule.as_deref(),
            None => rule_for(&self.mailing.campaign.links, url),
        })
    }

    /// Empty when the target is too long for a token: such a link stays plain.
    fn sign(&self, link: &TakenLink<'_>) -> String {
        let (link, item, category, url) = (link.number, link.item, link.category.unwrap_or_default(), &*link.url);
        let target = self.page("/c/", Purpose::Click { link, item, category, url });
        if target.len() - self.mailing.base_url.len() > MAX_TOKEN { String::new() } else { target }
    }

    fn token<'t>(&self, purpose: Purpose<&'t str>) -> Token<&'t str> {
        Token { run: self.envelope.run, recipient: self.profile.recipient, purpose }
    }
}
