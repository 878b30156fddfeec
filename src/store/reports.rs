//! What became of runs, and how the recipients stand: what `report`, `status` and the live view
//! show. Each figure of all runs comes from one grouped statement.

mod clusters;
mod counts;
mod hits;
mod left;
mod links;
mod messages;
mod population;
mod queue;
mod returned;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::runs::{self, Run};
use super::{Error, Result, Session, Value, keys};
use crate::domain::id::RunId;
use crate::domain::run::RunState;
use crate::domain::time::Micros;

pub use counts::{Bounces, ClusterFigures, CodeCount, HitCount, HitCounts, LinkFigures, MessageCounts, Unsubscribed};
pub(super) use messages::STATEMENTS as SKIPPED_STATEMENTS;
pub use messages::skipped_because;
pub use population::{ClusterSize, Population, population};
pub use queue::{Queue, queue};

pub(super) const STATEMENTS: &[&str] = queue::STATEMENTS;

/// Runs in a status beside the open ones.
const STATUS_RUNS: usize = 10;
/// Runs of a campaign in a report.
const CAMPAIGN_RUNS: usize = 100;

/// Which runs a report is about, newest first.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All that are open, and the last ten; without links and clusters.
    Status,
    /// The last hundred of a campaign.
    Campaign(&'a str),
    /// This one.
    Run(RunId),
}

/// One run and what became of its messages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// Its number.
    pub run: RunId,
    /// The campaign's name.
    pub campaign: String,
    /// What tells it from the campaign's other runs.
    pub occasion: String,
    /// The topic that its recipients are subscribed to.
    pub topic: String,
    /// Where it stands.
    #[serde(serialize_with = "counts::state")]
    pub state: RunState,
    /// Why it was paused, cancelled or expired.
    pub reason: Option<String>,
    /// Why nothing leaves at present: `window`, `blackout` or `wave`.
    pub waits_for: Option<String>,
    /// When it goes on.
    #[serde(serialize_with = "counts::maybe_time")]
    pub waits_until: Option<Micros>,
    /// The instant at which its audience is judged; RFC 3339 in JSON, like all times here.
    #[serde(serialize_with = "counts::time")]
    pub at: Micros,
    /// When the first node began.
    #[serde(serialize_with = "counts::maybe_time")]
    pub started_at: Option<Micros>,
    /// When it ended.
    #[serde(serialize_with = "counts::maybe_time")]
    pub ended_at: Option<Micros>,
    /// How many messages were expected at the start; none until that was counted.
    pub planned: Option<i64>,
    /// Messages by state.
    #[serde(flatten)]
    pub messages: MessageCounts,
    /// People of the audience who got no message, by reason.
    pub excluded: BTreeMap<String, i64>,
    /// Messages that were skipped, by reason.
    pub skipped_because: BTreeMap<String, i64>,
    /// Messages deferred and rejected by the relay's answer, the most frequent first.
    pub codes: Vec<CodeCount>,
    /// Requests for the pixel.
    pub opens: HitCounts,
    /// Requests for tracked links.
    pub clicks: HitCounts,
    /// Messages that came back, by what that means.
    pub bounces: Bounces,
    /// Messages that were reported as unwanted.
    pub complaints: i64,
    /// Messages that a person answered.
    pub replies: i64,
    /// Who left by these messages; empty in a status.
    pub unsubscribed: Unsubscribed,
    /// The hundred links that most people followed, those first; empty in a status.
    pub links: Vec<LinkFigures>,
    /// By the cluster that recipients were in at the run's instant; empty in a status.
    pub clusters: Vec<ClusterFigures>,
}

impl RunReport {
    fn new(run: Run) -> Self {
        let (waits_for, waits_until) = run.wait.map(|wait| (wait.reason.as_str().to_owned(), wait.until)).unzip();
        Self {
            waits_for,
            waits_until,
            run: run.id,
            campaign: run.campaign,
            occasion: run.occasion,
            topic: run.topic,
            state: run.state,
            reason: run.reason,
            at: run.at,
            started_at: run.started_at,
            ended_at: run.ended_at,
            planned: run.planned,
            messages: MessageCounts::default(),
            excluded: BTreeMap::new(),
            skipped_because: BTreeMap::new(),
            codes: Vec::new(),
            opens: HitCounts::default(),
            clicks: HitCounts::default(),
            bounces: Bounces::default(),
            complaints: 0,
            replies: 0,
            unsubscribed: Unsubscribed::default(),
            links: Vec::new(),
            clusters: Vec::new(),
        }
    }
}

/// The reports of some runs, newest first.
///
/// # Errors
/// When the database refuses.
pub async fn runs_report(session: &mut Session, which: Which<'_>) -> Result<Vec<RunReport>> {
    let found = match which {
        Which::Status => status(session).await?,
        Which::Campaign(name) => runs::recent(session, Some(name)).await?.into_iter().take(CAMPAIGN_RUNS).collect(),
        Which::Run(run) => runs::by_id(session, run).await?.into_iter().collect(),
    };
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut reports = Reports::new(found);
    messages::count(session, &mut reports).await?;
    messages::exclusions(session, &mut reports).await?;
    hits::count(session, &mut reports).await?;
    returned::count(session, &mut reports).await?;
    if !matches!(which, Which::Status) {
        left::count(session, &mut reports).await?;
        links::count(session, &mut reports).await?;
        clusters::count(session, &mut reports).await?;
    }
    Ok(reports.list)
}

async fn status(session: &mut Session) -> Result<Vec<Run>> {
    let mut found = runs::open(session).await?;
    let open: HashSet<RunId> = found.iter().map(|run| run.id).collect();
    let last = runs::recent(session, None).await?.into_iter().take(STATUS_RUNS);
    found.extend(last.filter(|run| !open.contains(&run.id)));
    found.sort_by_key(|run| Reverse(run.id));
    Ok(found)
}

/// Reports that are being filled, found by their run.
struct Reports {
    list: Vec<RunReport>,
    places: HashMap<i64, usize>,
}

impl Reports {
    fn new(runs: Vec<Run>) -> Self {
        let places = runs.iter().enumerate().map(|(place, run)| (run.id.0, place)).collect();
        Self { list: runs.into_iter().map(RunReport::new).collect(), places }
    }

    fn of(&mut self, run: i64) -> Result<&mut RunReport> {
        let place =
            self.places.get(&run).ok_or_else(|| Error::Corrupt(format!("a run {run} that was not asked for")))?;
        Ok(&mut self.list[*place])
    }

    /// Placeholders from `$first` on for all runs, and their values.
    fn among(&self, first: usize) -> (String, Vec<Value>) {
        let runs: Vec<RunId> = self.list.iter().map(|report| report.run).collect();
        keys(first, &runs)
    }
}
