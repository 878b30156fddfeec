//! A campaign's compiled templates and what rendering them gives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::compile::compile;
use super::edition::{Edition, choose};
use super::headers::Fixed;
use super::links::Link;
use super::lint::{Lint, lint, lint_template};
use super::message;
use super::problem::{RenderError, TemplateProblem};
use super::utm::Tagger;
use super::variables::Names;
use crate::domain::address::Address;
use crate::domain::campaign::{Campaign, OfferItem};
use crate::domain::id::RunId;
use crate::domain::profile::Profile;
use crate::domain::project::Project;
use crate::domain::time::Micros;
use crate::domain::token::Keyring;

pub use super::message::Scratch;

/// Stands for the text of an attribute that nobody has told.
pub(super) const STAND_IN: &str = "Sample";

/// A campaign ready to render: compiled once, shared by all who send.
pub struct Mailing {
    pub(super) campaign: Campaign,
    /// Without trailing slash.
    pub(super) base_url: String,
    /// Share that makes a recipient interested.
    pub(super) min_share: f64,
    pub(super) postal_address: Option<String>,
    pub(super) bounce_domain: Option<String>,
    /// The display name in From.
    pub(super) sender_name: String,
    pub(super) fixed: Fixed,
    /// By language; the campaign's own comes first.
    pub(super) editions: Vec<Edition>,
    /// Of all editions, by number, from 1: a number means one link of one edition.
    pub(super) links: Vec<Link>,
    /// What appends the campaign's parameters to links.
    pub(super) utm: Option<Tagger>,
    pub(super) names: Names,
    /// What all recipients' templates see: offers and sender.
    pub(super) data: Arc<Map<String, Value>>,
}

/// What a message is besides its recipient.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The run that it belongs to.
    pub run: RunId,
    /// The run's occasion; part of the seed that draws offers.
    pub occasion: &'a str,
    /// The instant in the Date header.
    pub at: Micros,
}

/// A message, ready for a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The whole message (RFC 5322), lines ended by CRLF and at most 998 octets long, 7-bit except
    /// for the local part of an internationalised address (RFC 6532).
    pub bytes: Vec<u8>,
    /// The envelope's sender (RFC 5321 MAIL FROM).
    pub return_path: Address,
    /// The Message-ID with its angle brackets, the same on every attempt.
    pub message_id: String,
}

/// A message with what plans, previews and checks tell of it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The message.
    pub message: Rendered,
    /// Its language (BCP 47).
    pub language: String,
    /// The subject, decoded.
    pub subject: String,
    /// The HTML part, decoded, its lines ended by LF.
    pub html: String,
    /// The text part, decoded, its lines ended by LF.
    pub text: String,
    /// The numbered links as they appear, once per number and target.
    pub links: Vec<RenderedLink>,
    /// The offers that the templates took, in order.
    pub offers: Vec<OfferItem>,
}

/// A numbered link of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedLink {
    /// Its number in the template, from 1.
    pub number: u16,
    /// The offer's number in the campaign, from 1; 0 for no offer.
    pub item: u16,
    /// Where it leads.
    pub url: String,
    /// Its category.
    pub category: Option<String>,
}

impl Mailing {
    /// Compiles a campaign's templates; `files` holds the project's template sources by path under
    /// the project root (`templates/spring.hbs`).
    ///
    /// # Errors
    /// Everything that is wrong with them, with file, line and column.
    pub fn compile(
        campaign: &Campaign,
        project: &Project,
        files: &BTreeMap<String, String>,
    ) -> Result<Self, Vec<TemplateProblem>> {
        compile(campaign, project, files)
    }

    /// Renders a recipient's message.
    ///
    /// # Errors
    /// Names the place and the variable when the templates cannot be rendered for this recipient.
    pub fn render(
        &self,
        profile: &Profile,
        envelope: &Envelope<'_>,
        keyring: &Keyring,
        scratch: &mut Scratch,
    ) -> Result<Rendered, RenderError> {
        message::render(self, profile, envelope, keyring, scratch).map(|(rendered, _)| rendered)
    }

    /// Renders a recipient's message and tells what is in it.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_explained(
        &self,
        profile: &Profile,
        envelope: &Envelope<'_>,
        keyring: &Keyring,
        scratch: &mut Scratch,
    ) -> Result<Explained, RenderError> {
        let (message, taken) = message::render(self, profile, envelope, keyring, scratch)?;
        let (subject, html, text) = scratch.parts();
        Ok(Explained {
            message,
            language: choose(&self.editions, profile).tag.clone(),
            subject: subject.to_owned(),
            html: html.replace("\r\n", "\n"),
            text: text.replace("\r\n", "\n"),
            links: taken.links.into_iter().map(Into::into).collect(),
            offers: taken.offers.iter().map(|i| self.campaign.offers.items[usize::from(*i)].clone()).collect(),
        })
    }

    /// The domain of From, in lower-case A-labels: whose keys sign.
    #[must_use]
    pub fn from_domain(&self) -> &str {
        &self.fixed.domain
    }

    /// The HTML part of a rendered message as a browser shows it: its pictures are at `base`, each under its id.
    #[must_use]
    pub fn with_pictures_at(&self, html: &str, base: &str) -> String {
        let images = self.editions.iter().flat_map(|edition| &edition.images);
        images.fold(html.to_owned(), |html, image| {
            let shown = format!("cid:{}", image.id);
            if html.contains(&shown) { html.replace(&shown, &format!("{base}/{}", image.id)) } else { html }
        })
    }

    /// The pictures that messages carry: ids, media types, octets. One that several languages show comes as often.
    pub fn pictures(&self) -> impl Iterator<Item = (&str, &str, Vec<u8>)> {
        let images = self.editions.iter().flat_map(|edition| &edition.images);
        images.map(|image| (image.id.as_str(), image.media.as_str(), image.octets()))
    }

    /// The pictures that messages link: addresses, media types, octets.
    pub fn linked(&self) -> impl Iterator<Item = (&str, &str, Vec<u8>)> {
        let images = self.editions.iter().flat_map(|edition| &edition.linked);
        images.map(|image| (image.id.as_str(), image.media.as_str(), image.octets()))
    }

    /// The languages that it is written in (BCP 47), the campaign's own first.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.editions.iter().map(|edition| edition.tag.as_str())
    }

    /// The recipients' attributes that the templates use, for comparing with samples. Those that are
    /// used only where they are given (`default`, `has`, `if`) are among them.
    #[must_use]
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.names.attributes
    }

    /// A text that an attribute could hold as far as the helpers know that are called with it.
    #[must_use]
    pub fn stand_in(&self, attribute: &str) -> &'static str {
        match attribute {
            name if self.names.dates.contains(name) => "2000-02-29",
            name if self.names.numbers.contains(name) => "1",
            _ => STAND_IN,
        }
    }

    /// What a mailing should not go out with, judged by a rendered sample.
    #[must_use]
    pub fn lint(&self, sample: &Explained) -> Vec<Lint> {
        lint(self, sample)
    }

    /// What the template of the HTML part should not go out with, with its place. Warnings, no errors.
    #[must_use]
    pub fn lint_template(&self) -> Vec<TemplateProblem> {
        lint_template(self)
    }
}
