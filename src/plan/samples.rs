//! Rendered samples from the beginning, the middle and the end of an audience.

use serde::Serialize;
use serde_json::{Value, json};

use super::moment::Moment;
use super::{Error, Planner};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::profile::Profile;
use crate::render::{Envelope, Explained, RenderError, Scratch};
use crate::store::profiles::profiles_at;
use crate::store::{Session, forecast};

const SAMPLES: u32 = 3;

/// A rendered message.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// To whom.
    pub address: String,
    /// In which language (BCP 47).
    pub language: String,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
    /// The numbered links: `{number, url, category}`.
    pub links: Vec<Value>,
    /// The offers in it: `{category, title, url}`.
    pub offers: Vec<Value>,
    /// Octets of the whole message.
    pub size: usize,
}

impl Planner<'_> {
    /// Renders three people's messages; what is wrong with them is added to `warnings`.
    pub(super) async fn samples(
        &self,
        session: &mut Session,
        moment: &Moment,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Sample>, Error> {
        let people = self.sampled(session, moment).await?;
        let profiles = profiles_at(session, &people, moment.at, moment.scale(), true).await?;
        let mut samples = Vec::new();
        let mut scratch = Scratch::default();
        for profile in &profiles {
            match self.render(profile, moment, &mut scratch) {
                Ok(message) => {
                    let lints = self.mailing.lint(&message);
                    warnings.extend(lints.iter().map(|lint| format!("{lint}; {}", lint.hint())));
                    samples.push(Sample {
                        address: profile.address.to_string(),
                        links: links(&message, true),
                        offers: offers(&message),
                        size: message.message.bytes.len(),
                        language: message.language,
                        subject: message.subject,
                        html: message.html,
                        text: message.text,
                    });
                }
                Err(error) => warnings.push(format!("a sample cannot be rendered: {error}")),
            }
        }
        let mut seen = Vec::new();
        warnings.retain(|warning| {
            let new = !seen.contains(warning);
            seen.push(warning.clone());
            new
        });
        Ok(samples)
    }

    async fn sampled(&self, session: &mut Session, moment: &Moment) -> Result<Vec<RecipientId>, Error> {
        let (audience, permission) = (moment.audience(self), moment.permission(self));
        let third = forecast::last_recipient(session).await?.0 / i64::from(SAMPLES);
        let first = forecast::eligible(session, &audience, &permission, RecipientId(0), SAMPLES).await?;
        let mut people: Vec<RecipientId> = first.first().copied().into_iter().collect();
        for part in 1..i64::from(SAMPLES) {
            people.extend(forecast::eligible(session, &audience, &permission, RecipientId(third * part), 1).await?);
        }
        people.extend(first.iter().skip(1));
        let mut distinct = Vec::new();
        for id in people {
            if !distinct.contains(&id) && distinct.len() < SAMPLES as usize {
                distinct.push(id);
            }
        }
        Ok(distinct)
    }

    pub(super) fn render(
        &self,
        profile: &Profile,
        moment: &Moment,
        scratch: &mut Scratch,
    ) -> Result<Explained, RenderError> {
        // A run that is not there yet has no number; nothing but tokens shows it.
        let run = moment.run.as_ref().map_or(RunId(0), |run| run.id);
        let envelope = Envelope { run, occasion: &moment.occasion, at: moment.at };
        self.mailing.render_explained(profile, &envelope, self.keyring, scratch)
    }
}

pub(super) fn links(message: &Explained, numbered: bool) -> Vec<Value> {
    let one = |link: &crate::render::RenderedLink| {
        let mut value = json!({"url": link.url, "category": link.category});
        if numbered {
            value["number"] = link.number.into();
        }
        value
    };
    message.links.iter().map(one).collect()
}

pub(super) fn offers(message: &Explained) -> Vec<Value> {
    let one = |offer: &crate::domain::campaign::OfferItem| json!({"category": offer.category, "title": offer.title, "url": offer.url});
    message.offers.iter().map(one).collect()
}
