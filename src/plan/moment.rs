//! Which run a plan speaks of, and as of when.

use super::{Error, Planner};
use crate::domain::run::RunState;
use crate::domain::score::Scale;
use crate::domain::time::Micros;
use crate::store::audience::Audience;
use crate::store::eligibility::Permission;
use crate::store::runs::{self, Run};
use crate::store::{Session, score};

/// Which run a plan speaks of, and as of when.
pub(super) struct Moment {
    /// The instant at which the audience is judged.
    pub at: Micros,
    /// Who joined later is not in it.
    pub joined_by: Micros,
    /// The instant at which permission is asked: nothing is sent in the past.
    pub permission: Micros,
    /// The occasion of the run.
    pub occasion: String,
    /// The unfinished run that would go on.
    pub run: Option<Run>,
    /// The run before it.
    pub last: Option<Run>,
    scale: Scale,
}

impl Moment {
    pub async fn find(planner: &Planner<'_>, session: &mut Session) -> Result<Self, Error> {
        let Planner { project, campaign, now, .. } = *planner;
        let runs = runs::recent(session, Some(&campaign.name)).await?;
        let (open, over): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| !run.state.is_final());
        let run = open.into_iter().next();
        let last = over.into_iter().find(|run| run.state != RunState::Expired);
        let occasion = match &run {
            Some(run) => run.occasion.clone(),
            None => (runs::count(session, &campaign.name).await? + 1).to_string(),
        };
        let occasion = planner.resend.map_or(occasion, |(_, occasion)| occasion.to_owned());
        let at = planner.at.or(run.as_ref().map(|run| run.at)).unwrap_or(now);
        let scale = score::scale(session).await?.unwrap_or_else(|| Scale::of(&project.score, &project.cluster, at));
        // Whoever asks about the past asks how today's people stood then.
        let joined_by = if planner.at.is_some() { at.max(now) } else { at };
        Ok(Self { at, joined_by, permission: at.max(now), occasion, run, last, scale })
    }

    pub fn audience<'a>(&'a self, planner: &Planner<'a>) -> Audience<'a> {
        Audience {
            condition: planner.campaign.audience.as_ref(),
            at: self.at,
            joined_by: self.joined_by,
            scale: &self.scale,
            resend: planner.resend.map(|(resend, _)| resend),
            zones: None,
        }
    }

    pub fn permission<'a>(&self, planner: &Planner<'a>) -> Permission<'a> {
        Permission {
            topic: &planner.campaign.topic,
            at: self.permission,
            run: self.run.as_ref().map(|run| run.id),
            cap: planner.project.frequency_cap,
        }
    }

    /// How stored sums are to be read.
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// What to know about the run that goes on.
    pub fn warning(&self) -> Option<String> {
        self.run.as_ref().map(|run| {
            format!(
                "run {} ({}) is not over: it is {} and goes on with the files as they were when it began",
                run.id,
                run.occasion,
                run.state.as_str()
            )
        })
    }
}
