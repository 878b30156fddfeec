//! Computes all scores from the stored actions, a number of people at a time.

use std::collections::{BTreeMap, BTreeSet};

use tracing::info;

use super::compare::{Account, Comparison};
use super::{Difference, Error, Footing, Scorer};
use crate::clock;
use crate::domain::action::LedgerEntry;
use crate::domain::cluster::shares;
use crate::domain::hex::hex;
use crate::domain::id::RecipientId;
use crate::domain::ledger::{Changes, Entry, Rules};
use crate::domain::score::Scale;
use crate::domain::time::Micros;
use crate::store::score::{Facts, Lock, Person, Rebuild, Saved};
use crate::store::{Session, score};

/// People a transaction.
const PEOPLE: i64 = 256;
/// Differences that a report names; all are counted.
const NAMED: usize = 20;

/// What to do with a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Report it.
    Check,
    /// Store what the ledger says, under the present rules, with the population as it is now.
    Rewrite,
}

/// What a rebuild found.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Report {
    /// People with a score.
    pub people: u64,
    /// People for whom something else was stored than the ledger says.
    pub differing: u64,
    /// The first of the differences.
    pub differences: Vec<Difference>,
    /// The largest difference of a sum, as a share of its person's Σ|points|.
    pub worst: f64,
    /// Actions that waited for the scorer, which a rebuild does not see. It is told by who asked for it.
    pub waiting: u64,
}

/// Under what a rebuild computes.
struct Ground {
    rules: Rules,
    scale: Scale,
    now: Micros,
}

impl Scorer {
    /// Computes every score from the stored actions, and compares or rewrites what is stored. Runs
    /// beside everything else, in short transactions; a rewrite keeps scorers waiting, and keeps
    /// readers waiting if half-lives have changed. `progress` hears how many recipients were seen.
    ///
    /// # Errors
    /// When the database fails, when another rebuild is under way or begins, or when a check meets
    /// rules that have changed.
    pub async fn rebuild(&self, mode: Mode, mut progress: impl FnMut(u64)) -> Result<Report, Error> {
        let token = match mode {
            Mode::Check => None,
            Mode::Rewrite => Some(self.begin_rebuild().await?),
        };
        if let Some(token) = &token {
            self.renew_population(token).await?;
        }
        let (mut report, mut seen, mut after) = (Report::default(), 0, RecipientId(0));
        while let Some((mut session, ground, people)) = self.page(after, token.as_deref()).await? {
            let differing = examine(&mut session, &people, &ground, mode, &mut report).await?;
            if mode == Mode::Rewrite {
                let cleared: Vec<_> = differing.iter().map(|person| person.recipient).collect();
                score::clear(&mut session, &cleared).await?;
                score::save(&mut session, &differing).await?;
            }
            session.commit().await?;
            after = people.last().map_or(after, |last| last.recipient);
            seen += people.len() as u64;
            progress(seen);
        }
        if let Some(token) = &token {
            self.change_facts(token, |facts| facts.rebuild = None).await?;
            info!(people = report.people, differing = report.differing, "the scores are rebuilt");
        }
        Ok(report)
    }

    /// Keeps scorers out, and adopts the rules.
    async fn begin_rebuild(&self) -> Result<String, Error> {
        let token = hex(&clock::secret::<8>());
        let now = self.clock.now();
        let mut session = self.store.write().await?;
        let old = score::facts(&mut session, Lock::Exclusive).await?;
        let mut facts = self.options.facts(now, self.fingerprint.clone());
        let mut rescales = false;
        if let Some(old) = old {
            let kept = Scale { landmark: old.scale.landmark, ..facts.scale };
            rescales = kept != old.scale || old.scale.is_stale(now) || old.rebuild.is_some_and(|r| r.rescales);
            if !rescales {
                facts.scale = kept;
            }
            facts.population = old.population;
        }
        facts.rebuild = Some(Rebuild { token: token.clone(), rescales });
        score::save_facts(&mut session, &facts).await?;
        session.commit().await?;
        Ok(token)
    }

    /// Sums the affinities of all people.
    async fn renew_population(&self, token: &str) -> Result<(), Error> {
        let (mut totals, mut after) = (BTreeMap::new(), RecipientId(0));
        while let Some((mut session, ground, people)) = self.page(after, Some(token)).await? {
            let ledgers = ledgers(&mut session, &people, &ground).await?;
            session.commit().await?;
            after = people.last().map_or(after, |last| last.recipient);
            for entries in ledgers.values() {
                let mut sums: BTreeMap<&String, f64> = BTreeMap::new();
                for entry in entries {
                    if let Some(category) = &entry.action.category {
                        *sums.entry(category).or_default() += entry.fa;
                    }
                }
                for (category, sum) in sums.into_iter().filter(|(_, sum)| *sum > 0.0) {
                    match totals.get_mut(category) {
                        Some(total) => *total += sum,
                        None => drop(totals.insert(category.clone(), sum)),
                    }
                }
            }
        }
        let population = if totals.is_empty() { self.options.uniform() } else { shares(&totals) };
        self.change_facts(token, |facts| facts.population = population).await
    }

    /// The next people, held by a transaction, and under what they are computed. None at the end, or
    /// when nothing was ever scored.
    async fn page(
        &self,
        after: RecipientId,
        token: Option<&str>,
    ) -> Result<Option<(Session, Ground, Vec<Person>)>, Error> {
        let now = self.clock.now();
        let mut session = self.store.write().await?;
        let facts = match token {
            Some(token) => Some(mine(score::facts(&mut session, Lock::Shared).await?, token)?),
            None => match self.footing(&mut session, now, Lock::Shared).await? {
                Footing::Missing => None,
                Footing::Firm(facts) | Footing::Stale(facts) => Some(facts),
            },
        };
        let people = score::people(&mut session, after, PEOPLE).await?;
        let Some(facts) = facts.filter(|_| !people.is_empty()) else {
            session.rollback().await?;
            return Ok(None);
        };
        let ground = Ground { rules: self.options.rules(facts.population), scale: facts.scale, now };
        Ok(Some((session, ground, people)))
    }

    async fn change_facts(&self, token: &str, change: impl FnOnce(&mut Facts)) -> Result<(), Error> {
        let mut session = self.store.write().await?;
        let mut facts = mine(score::facts(&mut session, Lock::Exclusive).await?, token)?;
        change(&mut facts);
        score::save_facts(&mut session, &facts).await?;
        Ok(session.commit().await?)
    }
}

fn mine(facts: Option<Facts>, token: &str) -> Result<Facts, Error> {
    facts.filter(|facts| facts.rebuild.as_ref().is_some_and(|r| r.token == token)).ok_or(Error::Superseded)
}

/// The ledgers of those who may have a score.
async fn ledgers(
    session: &mut Session,
    people: &[Person],
    ground: &Ground,
) -> Result<BTreeMap<RecipientId, Vec<Entry>>, Error> {
    let tracked: Vec<_> = people.iter().filter(|person| person.tracked).map(|person| person.recipient).collect();
    let actions = score::actions(session, &tracked).await?;
    let entries = |actions: Vec<LedgerEntry>| -> Vec<Entry> {
        actions.into_iter().filter_map(|action| ground.rules.entry(action, &ground.scale)).collect()
    };
    Ok(actions.into_iter().map(|(recipient, actions)| (recipient, entries(actions))).collect())
}

/// Compares people; those who differ, as they should be stored. A check leaves out whose ledger a
/// scorer is about to replay.
async fn examine(
    session: &mut Session,
    people: &[Person],
    ground: &Ground,
    mode: Mode,
    report: &mut Report,
) -> Result<Vec<Saved>, Error> {
    let Ground { rules, scale, now } = ground;
    let mut ledgers = ledgers(session, people, ground).await?;
    let recipients: Vec<_> = people.iter().map(|person| person.recipient).collect();
    let mut states = score::states(session, &recipients).await?;
    let mut entries = score::entries(session, &recipients).await?;
    let mut moments = score::moments(session, &recipients).await?;
    let mut spans = score::spans(session, &recipients).await?;
    let left_out = match mode {
        Mode::Check => score::under_revision(session, &recipients).await?,
        Mode::Rewrite => BTreeSet::new(),
    };
    let mut differing = Vec::new();
    for recipient in recipients.into_iter().filter(|recipient| !left_out.contains(recipient)) {
        let ledger = ledgers.remove(&recipient).unwrap_or_default();
        report.people += u64::from(!ledger.is_empty());
        let changes = Changes {
            moments: moments.remove(&recipient).unwrap_or_default(),
            spans: spans.remove(&recipient).unwrap_or_default(),
        };
        let state = states.remove(&recipient).unwrap_or_default();
        // The sweep may have come by with a clock that is ahead of this one.
        let at = state.last.map_or(*now, |(last, _)| last.max(*now));
        let entries = entries.remove(&recipient).unwrap_or_default();
        let stored = Account { state, entries, changes }.at(at, rules);
        let expected = Account::from_ledger(ledger, rules, scale, at);
        if stored == expected {
            continue;
        }
        let comparison = Comparison::of(recipient, &stored, &expected, rules, scale);
        report.worst = report.worst.max(comparison.worst);
        report.differing += u64::from(!comparison.differences.is_empty());
        let room = NAMED.saturating_sub(report.differences.len());
        report.differences.extend(comparison.differences.into_iter().take(room));
        let Account { state, entries: added, changes } = expected;
        differing.push(Saved { recipient, state, changes, added, removed: Vec::new(), replayed: false });
    }
    Ok(differing)
}
