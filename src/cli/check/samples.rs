//! Sample recipients, on whom a campaign's templates are tried.

use std::collections::BTreeSet;

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::app::App;
use crate::domain::campaign::Campaign;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::profile::Profile;
use crate::preview::made_up;
use crate::render::{Envelope, Explained, Mailing, Scratch};
use crate::store::audience::Audience;
use crate::store::eligibility::Permission;
use crate::store::{self, Store, forecast, profiles};

/// Recipients that each campaign is rendered for.
const SAMPLES: u32 = 20;

/// Where samples come from.
pub struct Samples<'a> {
    app: &'a App,
    /// Opened once somebody is looked for. A database that does not exist is not made.
    store: OnceCell<Option<Store>>,
}

/// What became of a campaign's samples.
pub struct Tried {
    /// Why there is no message, for whom there is none.
    pub errors: BTreeSet<String>,
    /// Whether any of those whom it may reach gets a message.
    pub reaches: bool,
}

impl<'a> Samples<'a> {
    /// Out of the project's database, which the caller may hold open already.
    pub fn new(app: &'a App, held: Option<&Store>) -> Self {
        Self { app, store: OnceCell::new_with(held.map(|store| Some(store.clone()))) }
    }

    /// Renders a campaign's message for each sample, and for each language that none of them reads.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn try_on(
        &self,
        campaign: &Campaign,
        mailing: &Mailing,
        mut look: impl FnMut(&Explained),
    ) -> Result<Tried> {
        let keyring = self.app.secrets()?.keyring();
        let mut scratch = Scratch::default();
        let envelope = Envelope { run: RunId(0), occasion: "check", at: self.app.clock.now() };
        let made_up = || made_up(&self.app.loaded.project, mailing);
        let real = self.eligible(campaign).await?;
        let samples = if real.is_empty() { vec![made_up()] } else { real };
        let mut errors = BTreeSet::new();
        let mut languages = BTreeSet::new();
        let mut render = |profile: &Profile| match mailing.render_explained(profile, &envelope, &keyring, &mut scratch)
        {
            Ok(explained) => {
                look(&explained);
                Some(explained.language)
            }
            Err(error) => {
                errors.insert(error.to_string());
                None
            }
        };
        let mut failed = 0;
        for profile in &samples {
            match render(profile) {
                Some(language) => drop(languages.insert(language)),
                None => failed += 1,
            }
        }
        for language in mailing.languages().filter(|language| !languages.contains(*language)) {
            // Who reads another language need not have what this one asks for.
            let mut profile = made_up();
            profile.attributes.insert("language".to_owned(), language.into());
            render(&profile);
        }
        if failed > 0 {
            errors.insert(format!("{failed} of {} sample recipients would get no message", samples.len()));
        }
        Ok(Tried { errors, reaches: failed < samples.len() })
    }

    /// Some of those whom the campaign may reach now.
    async fn eligible(&self, campaign: &Campaign) -> Result<Vec<Profile>> {
        let open = async || match self.app.site().has_database() {
            true => self.app.store().await.map(Some),
            false => Ok(None),
        };
        let Some(store) = self.store.get_or_try_init(open).await? else { return Ok(Vec::new()) };
        let mut session = store.read().await?;
        let at = self.app.clock.now();
        let scale = match self.app.scale(&mut session).await {
            Err(error) if matches!(error.downcast_ref(), Some(store::Error::Rebuilding)) => return Ok(Vec::new()),
            scale => scale?,
        };
        let condition = campaign.audience.as_ref();
        let everybody = Audience { condition, at, joined_by: at, scale: &scale, zones: None, resend: None };
        let permission = Permission { topic: &campaign.topic, at, run: None, cap: None };
        let people = forecast::eligible(&mut session, &everybody, &permission, RecipientId(0), SAMPLES).await?;
        Ok(profiles::profiles_at(&mut session, &people, at, &scale, true).await?)
    }
}
