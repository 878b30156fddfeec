//! Decides who made a hit, and turns human hits into actions.
//!
//! A message is always judged whole: all its hits, old ones too. So a late hit that makes a burst
//! changes the verdicts of earlier ones, and judging again changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::agent;
use super::pace::Pace;
use crate::clock::Clock;
use crate::domain::action::kind;
use crate::domain::hit::{HitKind, Verdict};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::judge::{Evidence, Judgement, Limits, bursts, judge};
use crate::domain::time::Micros;
use crate::metrics::Metrics;
use crate::store::actions::NewAction;
use crate::store::verdicts::{self, Evident, MAX_BATCH, MessageKey};
use crate::store::{Result, Store, hits};

/// A message with more hits than this is being hammered: further ones are judged unseen.
const FLOOD: u64 = 1_000;
/// Hits held in memory at a time.
const MAX_HITS: u64 = 20_000;

/// Settings of the judge.
#[derive(Clone, Copy, Debug)]
pub struct JudgeOptions {
    /// How long a hit settles, on the service's clock, so that a burst is complete when it is judged.
    pub settle: Duration,
    /// How often hits are looked for.
    pub poll: Duration,
    /// Where the lines are drawn.
    pub limits: Limits,
}

impl Default for JudgeOptions {
    fn default() -> Self {
        Self { settle: Duration::from_secs(3), poll: Duration::from_secs(1), limits: Limits::default() }
    }
}

/// Judges hits.
#[derive(Debug)]
pub struct Judge {
    store: Store,
    clock: Clock,
    metrics: Metrics,
    options: JudgeOptions,
}

impl Judge {
    /// A judge; several do no harm.
    #[must_use]
    pub fn new(store: Store, clock: Clock, metrics: Metrics, options: JudgeOptions) -> Self {
        Self { store, clock, metrics, options }
    }

    /// Judges until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut pace = Pace::new(self.options.poll);
        loop {
            let step = self.step().await.map(|judged| judged > 0);
            if !pace.after(step, "judging hits", &shutdown).await {
                return;
            }
        }
    }

    /// Judges some messages whose hits have settled; how many verdicts were written.
    ///
    /// # Errors
    /// When the database refuses; nothing is half done.
    pub async fn step(&self) -> Result<usize> {
        let until = self.clock.now().minus(self.options.settle);
        let messages = verdicts::unjudged(&mut self.store.read().await?, until, MAX_BATCH).await?;
        self.settle(&messages, until).await
    }

    /// Judges all settled hits of a run again, under the rules of today, and corrects the actions;
    /// how many verdicts changed.
    ///
    /// # Errors
    /// When the database refuses; what was corrected stays so.
    pub async fn rejudge(&self, run: RunId) -> Result<usize> {
        let until = self.clock.now().minus(self.options.settle);
        let (mut after, mut changed) = (RecipientId(i64::MIN), 0);
        loop {
            let messages = verdicts::of_run(&mut self.store.read().await?, run, after, MAX_BATCH).await?;
            let Some(&(_, last)) = messages.last() else { return Ok(changed) };
            changed += self.settle(&messages, until).await?;
            after = last;
        }
    }

    async fn settle(&self, messages: &[MessageKey], until: Micros) -> Result<usize> {
        let counts = verdicts::counts(&mut self.store.read().await?, messages).await?;
        let (floods, calm): (Vec<_>, Vec<_>) = counts.into_iter().partition(|(_, hits)| *hits > FLOOD);
        let mut judged = 0;
        for (message, _) in floods {
            judged += self.flood(message, until).await?;
        }
        let mut calm = calm.into_iter().peekable();
        while calm.peek().is_some() {
            let mut room = MAX_HITS;
            let mut portion = Vec::new();
            while let Some((message, hits)) = calm.next_if(|(_, hits)| *hits <= room) {
                room -= hits;
                portion.push(message);
            }
            judged += self.portion(&portion, until).await?;
        }
        Ok(judged)
    }

    async fn flood(&self, message: MessageKey, until: Micros) -> Result<usize> {
        let mut session = self.store.write().await?;
        let judged = verdicts::flood(&mut session, message, until).await?;
        session.commit().await?;
        if judged > 0 {
            tracing::warn!(run = %message.0, recipient = %message.1, judged, "a message is flooded with hits");
        }
        Ok(usize::try_from(judged).unwrap_or(usize::MAX))
    }

    async fn portion(&self, messages: &[MessageKey], until: Micros) -> Result<usize> {
        let evidence = verdicts::evidence(&mut self.store.read().await?, messages).await?;
        let mut findings = Findings::default();
        for message in evidence.chunk_by(|a, b| (a.hit.run, a.hit.recipient) == (b.hit.run, b.hit.recipient)) {
            findings.add(message, until, &self.options.limits);
        }
        let recipients: Vec<_> = {
            let mut all: Vec<_> = messages.iter().map(|(_, recipient)| *recipient).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let mut session = self.store.write().await?;
        let tracked = hits::tracked(&mut session, &recipients).await?;
        let actions: Vec<_> =
            findings.actions.into_values().filter(|a| tracked.binary_search(&a.recipient).is_ok()).collect();
        verdicts::write(&mut session, &findings.verdicts).await?;
        verdicts::put_actions(&mut session, &actions).await?;
        verdicts::void_actions(&mut session, &findings.void).await?;
        session.commit().await?;
        for (&(kind, verdict), &hits) in &findings.first_verdicts {
            self.metrics.judged(kind, verdict, hits);
        }
        Ok(findings.verdicts.len())
    }
}

/// What judging some messages comes to.
#[derive(Default)]
struct Findings {
    /// New and changed verdicts.
    verdicts: Vec<(uuid::Uuid, Verdict, &'static str)>,
    /// Of hits that had none, for the counters.
    first_verdicts: std::collections::HashMap<(HitKind, Verdict), u64>,
    /// The earliest human hit of each key.
    actions: BTreeMap<String, NewAction>,
    /// Keys whose human hits are none after all.
    void: Vec<String>,
}

impl Findings {
    /// Judges the hits of one message, in the order of their instants.
    fn add(&mut self, message: &[Evident], until: Micros, limits: &Limits) {
        let mut lost = Vec::new();
        for (evident, (verdict, rule)) in message.iter().zip(judge_message(message, limits)) {
            if evident.hit.at > until {
                continue;
            }
            let before = evident.verdict.as_ref().map(|(verdict, rule)| (*verdict, rule.as_str()));
            if before != Some((verdict, rule)) {
                self.verdicts.push((evident.id, verdict, rule));
            }
            if before.is_none() {
                *self.first_verdicts.entry((evident.hit.kind, verdict)).or_default() += 1;
            }
            if verdict == Verdict::Human {
                let action = action(evident);
                self.actions.entry(action.key.clone()).or_insert(action);
            } else if before.is_some_and(|(verdict, _)| verdict == Verdict::Human) {
                lost.push(action(evident).key);
            }
        }
        lost.retain(|key| !self.actions.contains_key(key));
        self.void.append(&mut lost);
    }
}

/// Judges the hits of one message, in the order of their instants.
fn judge_message(message: &[Evident], limits: &Limits) -> Vec<Judgement> {
    let clicks = || message.iter().filter(|e| e.hit.kind == HitKind::Click);
    let followed: Vec<_> = clicks().map(|e| (e.hit.at, (e.hit.link, e.hit.item))).collect();
    let mut in_burst = bursts(&followed, limits).into_iter();
    message
        .iter()
        .map(|e| {
            let burst = e.hit.kind == HitKind::Click && in_burst.next().unwrap_or(false);
            let evidence = Evidence {
                kind: e.hit.kind,
                method: e.hit.method,
                agent: agent(&e.hit.user_agent),
                seconds_since_acceptance: e.accepted_at.map(|at| e.hit.at.seconds_since(at)),
                burst,
            };
            judge(&evidence, limits)
        })
        .collect()
}

/// The action that a human hit is: an open once per message, a click once per message and link.
fn action(evident: &Evident) -> NewAction {
    let hit = &evident.hit;
    let (run, recipient) = (hit.run, hit.recipient);
    let (key, kind) = match hit.kind {
        HitKind::Open => (format!("o:{run}:{recipient}"), kind::OPEN),
        HitKind::Click => (format!("c:{run}:{recipient}:{}:{}", hit.link, hit.item), kind::CLICK),
    };
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    NewAction {
        key,
        recipient,
        kind: kind.to_owned(),
        category: filled(&hit.category),
        at: hit.at,
        run: Some(run),
        url: filled(&hit.url),
    }
}
