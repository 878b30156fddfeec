//! A run with what its messages share.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Result, RunContext, Sender};
use crate::config::{self, Loaded, ProjectFiles};
use crate::domain::campaign::{Campaign, Timing};
use crate::domain::resend::Resend;
use crate::domain::score::Scale;
use crate::domain::segment::Condition;
use crate::domain::time::Micros;
use crate::render::Mailing;
use crate::store::audience::{Audience, Zones};
use crate::store::runs::Run;
use crate::store::{self, Session, score, versions};

/// A run ready to be sent.
pub struct Prepared {
    /// What its messages share.
    pub context: Arc<RunContext>,
    pub(super) condition: Option<Condition>,
    /// How sums are read before anything was scored.
    pub(super) unscored: Scale,
    /// Whether the templates ask what a recipient cares about.
    pub(super) affinities: bool,
    /// What the run sends again, if it does.
    pub(super) resend: Option<Resend>,
    /// The share of rejections at which the run pauses itself, where the campaign has one of its own.
    pub(super) pause_at_rejections: Option<f64>,
    pub(super) times: Times,
}

/// When a campaign's messages may leave.
pub(super) struct Times {
    pub timing: Timing,
    /// How late a scheduled run may begin.
    pub latest_start: Option<Duration>,
}

impl Times {
    fn of(campaign: &Campaign) -> Self {
        let latest_start = campaign.schedule.as_ref().map(|schedule| schedule.latest_start);
        Self { timing: campaign.timing.clone(), latest_start }
    }
}

impl Sender {
    /// When messages of `run` may leave, by its frozen version.
    pub(super) async fn times(&self, run: &Run) -> Result<Times> {
        let files = versions::files(&mut self.store.read().await?, run.version).await?;
        Ok(Times::of(campaign_of(run, &frozen(run, files)?)?))
    }

    /// What messages of `run` share, compiled from its frozen version.
    ///
    /// # Errors
    /// When the version cannot be read or compiled.
    pub async fn prepare(&self, run: &Run) -> Result<Prepared> {
        let files = versions::files(&mut self.store.read().await?, run.version).await?;
        let loaded = frozen(run, files.clone())?;
        let mut campaign = Cow::Borrowed(campaign_of(run, &loaded)?);
        if let Some(subject) = run.resend.as_ref().and_then(|resend| resend.subject.as_ref()) {
            campaign.to_mut().content.subject.clone_from(subject);
        }
        let mailing = Mailing::compile(&campaign, &loaded.project, &files).map_err(|problems| {
            refused(run, problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        let unscored = Scale::of(&loaded.project.score, &loaded.project.cluster, run.at);
        self.throttle.set_campaign(&run.campaign, campaign.throttle);
        let context =
            RunContext::new(run.id, run.campaign.clone(), run.occasion.clone(), run.at, campaign.throttle, mailing);
        let affinities = !campaign.offers.items.is_empty() || files.values().any(|text| text.contains("interested"));
        Ok(Prepared {
            context: Arc::new(context),
            condition: campaign.audience.clone(),
            unscored,
            affinities,
            pause_at_rejections: campaign.pause_at_rejections,
            resend: run.resend.clone(),
            times: Times::of(&campaign),
        })
    }
}

/// What the frozen files of a run say.
fn frozen(run: &Run, files: BTreeMap<String, String>) -> Result<Loaded> {
    config::load(&ProjectFiles::Frozen(files)).map_err(|problems| refused(run, problems.to_string()))
}

fn campaign_of<'a>(run: &Run, loaded: &'a Loaded) -> Result<&'a Campaign> {
    let missing = || refused(run, format!("there is no campaign '{}'", run.campaign));
    loaded.campaigns.get(&run.campaign).ok_or_else(missing)
}

fn refused(run: &Run, problems: String) -> Error {
    Error::Version { run: run.id, problems }
}

impl Prepared {
    /// Whom the run's campaign finds at an instant among those who had joined at the run's, by sums of this scale.
    #[must_use]
    pub fn audience<'a>(&'a self, scale: &'a Scale, at: Micros, zones: Option<&'a Zones>) -> Audience<'a> {
        let resend = self.resend.as_ref();
        Audience { condition: self.condition.as_ref(), at, joined_by: self.context.at, scale, zones, resend }
    }

    /// How sums are to be read now.
    pub(super) async fn scale(&self, session: &mut Session) -> store::Result<Scale> {
        Ok(score::scale(session).await?.unwrap_or(self.unscored))
    }

    /// Makes sure that what was read since [`Self::scale`] is of one scale.
    pub(super) async fn still(&self, session: &mut Session, scale: Scale) -> store::Result<()> {
        if self.scale(session).await? == scale { Ok(()) } else { Err(store::Error::Rebuilding) }
    }
}
