//! A campaign's compiled templates and what rendering them gives.

use std::collections::{BTreeMap, BTreeSet};

use super::lint::Lint;
use super::problem::{RenderError, TemplateProblem};
use crate::domain::campaign::{Campaign, OfferItem};
use crate::domain::id::RunId;
use crate::domain::profile::Profile;
use crate::domain::project::Project;
use crate::domain::time::Micros;
use crate::domain::token::Keyring;

/// A campaign ready to render: compiled once, shared by all who send.
pub struct Mailing {}

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

/// Buffers that one worker keeps from message to message.
#[derive(Default)]
pub struct Scratch {}

/// A message, ready for a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The whole message (RFC 5322), lines ended by CRLF and at most 998 octets long, 7-bit except
    /// for the local part of an internationalised address.
    pub bytes: Vec<u8>,
    /// The envelope's sender (RFC 5321 MAIL FROM).
    pub return_path: String,
    /// The Message-ID with its angle brackets, the same on every attempt.
    pub message_id: String,
}

/// A message with what plans, previews and checks tell of it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The message.
    pub message: Rendered,
    /// The subject, decoded.
    pub subject: String,
    /// The HTML part, decoded.
    pub html: String,
    /// The text part, decoded.
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
        let _ = (campaign, project, files);
        Err(Vec::new())
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
        self.render_explained(profile, envelope, keyring, scratch).map(|e| e.message)
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
        let _ = (profile, envelope, keyring, scratch);
        Err(RenderError { file: String::new(), line: 1, column: 1, variable: None, message: String::new() })
    }

    /// The recipients' attributes that the templates use, for comparing with samples.
    #[must_use]
    pub fn variables(&self) -> &BTreeSet<String> {
        const { &BTreeSet::new() }
    }

    /// What a rendered sample should not go out with.
    #[must_use]
    pub fn lint(&self, explained: &Explained) -> Vec<Lint> {
        let _ = explained;
        Vec::new()
    }
}
