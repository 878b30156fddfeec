//! Keeps back what may have been sent already, because the database is a copy of an earlier time.

use crate::config::{self, ProjectFiles};
use crate::domain::campaign::When;
use crate::domain::occasion;
use crate::domain::run::RunState;
use crate::domain::time::Micros;
use crate::domain::waves::Wave;
use crate::store::runs::{self, NewRun, Run};
use crate::store::{Result, Session, expired, nodes, notices, versions, waves};

/// What was kept back.
#[derive(Debug, Default)]
pub struct Held {
    /// Runs that wait for a person's word.
    pub runs: Vec<Run>,
    /// Messages and notices that were on their way: whether they arrived is not known.
    pub unknown: u64,
}

/// Pauses every run that is not over, and makes those whose time has come meanwhile, paused as well: nothing goes out
/// before somebody resumes them. Claims of nodes that are gone wait again, what was on the wire is `unknown`; so are
/// notices, for nobody wants to be asked twice to confirm.
///
/// # Errors
/// When the database refuses.
pub async fn hold(tx: &mut Session, reason: &str, now: Micros) -> Result<Held> {
    let mut held = Held::default();
    let mut gone: Vec<_> = nodes::all(tx).await?.into_iter().map(|node| node.id).collect();
    gone.extend(nodes::orphans(tx).await?);
    for node in gone {
        held.unknown += nodes::bury(tx, node, now).await?.unknown;
    }
    held.unknown += notices::abandon(tx, reason, now).await?;
    expired::keep(tx, now).await?;
    make_missing(tx, now).await?;
    for run in runs::open(tx).await? {
        if run.state != RunState::Paused {
            runs::change(tx, run.id, run.state, RunState::Paused, Some(reason), now).await?;
        }
    }
    held.runs = runs::open(tx).await?;
    Ok(held)
}

/// Makes the runs whose occasions the applied version has had since the copy.
async fn make_missing(tx: &mut Session, now: Micros) -> Result<()> {
    let Some((version, since)) = versions::applied(tx).await? else { return Ok(()) };
    // A version that cannot be used is not sent by the service either.
    let Ok(loaded) = config::load(&ProjectFiles::Frozen(versions::files(tx, version).await?)) else { return Ok(()) };
    for campaign in loaded.campaigns.values() {
        let Some(schedule) = &campaign.schedule else { continue };
        let recurs = matches!(schedule.when, When::Every(_));
        for occasion in occasion::current(schedule, &campaign.timing, now) {
            if !versions::is_missing(tx, &campaign.name, occasion, recurs, since).await? {
                continue;
            }
            let late = now.since(occasion.last()) > schedule.latest_start;
            let new = NewRun {
                campaign: &campaign.name,
                topic: &campaign.topic,
                occasion: &occasion.to_string(),
                version,
                // One that is late has no end, so that it stays expired whatever the clock shows later.
                state: if late { RunState::Expired } else { RunState::Scheduled },
                at: now,
            };
            create(tx, new, &occasion.waves(&campaign.timing)).await?;
        }
    }
    Ok(())
}

async fn create(tx: &mut Session, new: NewRun<'_>, parts: &[Wave]) -> Result<()> {
    if runs::create(tx, new).await?
        && let Some(run) = runs::by_occasion(tx, new.campaign, new.occasion).await?
    {
        waves::create(tx, run.id, parts).await?;
    }
    Ok(())
}
