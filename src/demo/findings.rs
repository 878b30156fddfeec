//! What the demonstration found, read from the database and from what the readers received.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};

use super::crowd::Crowd;
use super::readers::Received;
use crate::app::App;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::profile::Profile;
use crate::domain::score::Scale;
use crate::domain::time::Micros;
use crate::score;
use crate::store::Store;
use crate::store::audience::{self, Audience};
use crate::store::profiles::profiles_at;
use crate::store::reports::{HitCounts, Population, RunReport, Which, population, runs_report};

/// Recipients that are looked up at once.
const PAGE: u32 = 500;

/// One mailing of the demonstration.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its run.
    pub run: RunId,
    /// When it began, on the demonstration's clock.
    pub at: Micros,
    /// Messages of the first pass.
    pub outcomes: u64,
    /// How long that took, in real seconds.
    pub seconds: f64,
}

/// How a hidden interest was found out: people by interest and cluster.
pub type Matrix = BTreeMap<&'static str, BTreeMap<Option<String>, usize>>;

/// What the second mailing was for the members of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differing {
    /// How many got it.
    pub mails: usize,
    /// Their subject line.
    pub subject: String,
    /// How many saw an offer of a category first.
    pub first_offers: BTreeMap<String, usize>,
}

/// Everything that the report tells.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The two runs, as `colloquy report` has them.
    pub runs: Vec<RunReport>,
    /// Their messages per second of real time, retries left out.
    pub rates: Vec<f64>,
    /// The recipients at the end.
    pub people: Population,
    /// The scores above zero at the end.
    pub scores: Vec<f64>,
    /// Interests against clusters at the end, of those who may be tracked.
    pub matrix: Matrix,
    /// The second mailing by the cluster at its instant; none for those in none.
    pub second: BTreeMap<Option<String>, Differing>,
    /// Titles of the categories by name.
    pub categories: BTreeMap<String, String>,
    /// What a check of all scores against the ledger found.
    pub checked: score::Report,
    /// Hits that readers were answered.
    pub hits: u64,
    /// Readers who left with one click.
    pub left: u64,
    /// Requests that were not answered as they should be.
    pub failed: u64,
    /// The whole demonstration, in real seconds.
    pub seconds: f64,
    /// Somebody worth looking at: a member of a cluster with the highest score.
    pub example: Option<String>,
}

impl Findings {
    /// Members of clusters, and those of them whose cluster is their interest.
    #[must_use]
    pub fn clustered(&self) -> (usize, usize) {
        let found = || self.matrix.iter().flat_map(|(interest, row)| row.iter().map(move |cell| (*interest, cell)));
        let of = |wanted: &dyn Fn(&str, &str) -> bool| {
            found()
                .filter(|(interest, (cluster, _))| cluster.as_deref().is_some_and(|cluster| wanted(interest, cluster)))
                .map(|(_, (_, people))| people)
                .sum()
        };
        (of(&|_, _| true), of(&|interest, cluster| interest == cluster))
    }
}

/// All hits, whoever made them.
#[must_use]
pub fn total(hits: &HitCounts) -> i64 {
    [hits.human, hits.proxy, hits.machine, hits.unknown, hits.unjudged].iter().map(|count| count.total).sum()
}

pub(super) async fn gather(
    store: &Store,
    app: &App,
    crowd: &Crowd,
    received: &[Received],
    sent: [Sent; 2],
) -> Result<Findings> {
    let (mut session, now) = (store.read().await?, app.clock.now());
    let mut runs = Vec::new();
    for Sent { run, .. } in sent {
        runs.extend(runs_report(&mut session, Which::Run(run)).await?);
    }
    let second = runs.last().context("nothing was sent")?;
    let scale = app.scale(&mut session).await?;
    let people = population(&mut session, Some(&scale), app.loaded.project.score.warm, now).await?;
    drop(session);

    let mut findings = Findings { people, categories: app.loaded.project.categories.clone(), ..Findings::default() };
    let then: HashMap<String, Option<String>> = profiles(store, second.at, &scale)
        .await?
        .into_iter()
        .map(|profile| (profile.address.as_str().to_owned(), profile.cluster))
        .collect();
    for letter in received.iter().filter(|letter| letter.campaign == second.campaign) {
        let differing = findings.second.entry(then.get(&letter.address).cloned().flatten()).or_default();
        differing.mails += 1;
        differing.subject.clone_from(&letter.subject);
        if let Some(category) = &letter.first_offer {
            *differing.first_offers.entry(category.clone()).or_default() += 1;
        }
    }
    let mut best = 0.0;
    for Profile { address, score, cluster, tracking, .. } in profiles(store, now, &scale).await? {
        findings.scores.extend(Some(score).filter(|score| *score > 0.0));
        if cluster.is_some() && score > best {
            (best, findings.example) = (score, Some(address.as_str().to_owned()));
        }
        if let Some(reader) = crowd.find(address.as_str()).filter(|_| tracking) {
            *findings.matrix.entry(reader.interest).or_default().entry(cluster).or_default() += 1;
        }
    }
    findings.rates = sent.iter().map(|sent| sent.outcomes as f64 / sent.seconds).collect();
    findings.runs = runs;
    Ok(findings)
}

/// Everybody as they were at an instant.
async fn profiles(store: &Store, at: Micros, scale: &Scale) -> Result<Vec<Profile>> {
    let mut session = store.read().await?;
    let everybody = Audience { condition: None, at, joined_by: at, scale, zones: None, resend: None };
    let (mut all, mut after) = (Vec::new(), RecipientId(0));
    loop {
        let page = audience::page(&mut session, &everybody, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = *last;
        all.extend(profiles_at(&mut session, &page, at, scale, false).await?);
    }
}
