//! For whom a mail is shown: some of the audience, whoever is asked for, or one who is made up.

use serde_json::{Map, Value};

use crate::domain::address::Address;
use crate::domain::campaign::Campaign;
use crate::domain::id::RecipientId;
use crate::domain::profile::Profile;
use crate::domain::project::{AttributeType, Project};
use crate::domain::score::Scale;
use crate::domain::time::Micros;
use crate::render::Mailing;
use crate::store::audience::{self, Audience};
use crate::store::{Result, Store, profiles, recipients, score};

/// The address of the one who is made up.
pub const MADE_UP: &str = "sample@recipient.example";

/// Recipients of the audience that are offered.
const SAMPLES: u32 = 12;

/// The people of a campaign at an instant.
pub struct People<'a> {
    /// Where they are.
    pub store: &'a Store,
    /// Whose rules they are scored by.
    pub project: &'a Project,
    /// Whose audience it is.
    pub campaign: &'a Campaign,
    /// The instant.
    pub at: Micros,
}

impl People<'_> {
    /// The first of the audience.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn samples(&self) -> Result<Vec<Profile>> {
        let mut session = self.store.read().await?;
        let scale = self.scale(score::scale(&mut session).await?);
        let (condition, at) = (self.campaign.audience.as_ref(), self.at);
        let everybody = Audience { condition, at, joined_by: at, scale: &scale, zones: None, resend: None };
        let ids = audience::page(&mut session, &everybody, RecipientId(0), SAMPLES).await?;
        profiles::profiles_at(&mut session, &ids, at, &scale, true).await
    }

    /// The recipient with this address, in the audience or not.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn find(&self, address: &Address) -> Result<Option<Profile>> {
        let mut session = self.store.read().await?;
        let Some(recipient) = recipients::find(&mut session, address).await? else { return Ok(None) };
        let scale = self.scale(score::scale(&mut session).await?);
        let found = profiles::profiles_at(&mut session, &[recipient.id], self.at, &scale, true).await?;
        Ok(found.into_iter().next())
    }

    /// How the stored sums are to be read; before anything was scored, as the rules say.
    fn scale(&self, stored: Option<Scale>) -> Scale {
        stored.unwrap_or_else(|| Scale::of(&self.project.score, &self.project.cluster, self.at))
    }
}

/// A recipient who has every attribute that the templates use.
#[must_use]
pub fn made_up(project: &Project, mailing: &Mailing) -> Profile {
    let sample = |name: &str| match project.attributes.get(name).map(|a| a.kind).unwrap_or_default() {
        AttributeType::Text => Value::from(mailing.stand_in(name)),
        AttributeType::Number => Value::from(1),
        AttributeType::Date => Value::from("2000-02-29"),
        AttributeType::Bool => Value::from(true),
    };
    let attributes: Map<_, _> = mailing.variables().iter().map(|name| (name.clone(), sample(name))).collect();
    Profile {
        recipient: RecipientId(0),
        address: Address::from_normalised(MADE_UP.to_owned()),
        attributes,
        revision: 0,
        score: 0.0,
        cluster: project.categories.keys().next().cloned(),
        affinities: Vec::new(),
        tracking: true,
    }
}
