//! Decides who made a hit, and turns human hits into actions.
//!
//! New hits are judged beside their neighbours in time. When one of them shows that a hit which was
//! taken for human belongs to a burst, the whole message is judged again, and its actions are
//! corrected: verdicts and actions never depend on the order in which hits arrive.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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
use crate::store::verdicts::{self, Evident, MAX_BATCH, MessageKey, Replace, Since};
use crate::store::{Result, Store, hits};

/// A message with more hits than this to look at is being hammered: they are judged unseen.
const FLOOD: u64 = 1_000;
/// Unjudged hits that a step looks at.
const STEP: usize = 4_096;
/// Since when a message is looked at that is judged whole.
const EVER: Micros = Micros(i64::MIN);
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

    /// Judges some hits that have settled; how many verdicts were written.
    ///
    /// # Errors
    /// When the database refuses; what was judged stays so, and the rest waits.
    pub async fn step(&self) -> Result<usize> {
        let until = self.clock.now().minus(self.options.settle);
        let mut fresh = verdicts::unjudged(&mut self.store.read().await?, until, STEP).await?;
        for (_, since) in &mut fresh {
            *since = since.minus(self.options.limits.burst_window);
        }
        let mut unsettled = Vec::new();
        let judged = self.settle(&fresh, until, &mut |message| unsettled.push((message, EVER))).await?;
        let judged_again = self.settle(&unsettled, until, &mut |_| {}).await?;
        Ok(judged + judged_again)
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
            let Some(&((_, last), _)) = messages.last() else { return Ok(changed) };
            let whole: Vec<_> = messages.into_iter().map(|(message, _)| (message, EVER)).collect();
            changed += self.settle(&whole, until, &mut |_| {}).await?;
            after = last;
        }
    }

    /// Judges messages since an instant each. Those that must be judged whole are told to `unsettled`.
    async fn settle(
        &self,
        messages: &[Since],
        until: Micros,
        unsettled: &mut (dyn FnMut(MessageKey) + Send),
    ) -> Result<usize> {
        let mut judged = 0;
        for messages in messages.chunks(MAX_BATCH) {
            let counts = verdicts::counts(&mut self.store.read().await?, messages).await?;
            let (floods, calm): (Vec<_>, Vec<_>) = counts.into_iter().partition(|(_, hits)| *hits > FLOOD);
            for ((message, _), _) in floods {
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
                judged += self.portion(&portion, until, unsettled).await?;
            }
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

    async fn portion(
        &self,
        messages: &[Since],
        until: Micros,
        unsettled: &mut (dyn FnMut(MessageKey) + Send),
    ) -> Result<usize> {
        let evidence = verdicts::evidence(&mut self.store.read().await?, messages).await?;
        let since: BTreeMap<MessageKey, Micros> = messages.iter().copied().collect();
        let (mut recent, mut whole) = (Findings::default(), Findings::default());
        for hits in evidence.chunk_by(|a, b| key(a) == key(b)) {
            let judgements = judge_message(hits, &self.options.limits);
            if since.get(&key(&hits[0])) == Some(&EVER) {
                whole.add_whole(hits, &judgements, until);
            } else if belies(hits, &judgements) {
                unsettled(key(&hits[0]));
            } else {
                recent.add_new(hits, &judgements, until);
            }
        }
        let mut recipients: Vec<_> = messages.iter().map(|((_, recipient), _)| *recipient).collect();
        recipients.sort_unstable();
        recipients.dedup();

        let mut session = self.store.write().await?;
        let tracked = hits::tracked(&mut session, &recipients).await?;
        for (findings, replace) in [(&recent, Replace::Later), (&whole, Replace::Other)] {
            let may_score = |action: &&NewAction| tracked.binary_search(&action.recipient).is_ok();
            let actions: Vec<_> = findings.actions.values().filter(may_score).cloned().collect();
            verdicts::write(&mut session, &findings.verdicts).await?;
            verdicts::put_actions(&mut session, &actions, replace).await?;
            verdicts::void_actions(&mut session, &findings.void).await?;
        }
        session.commit().await?;
        for (&(kind, verdict), &hits) in recent.first_verdicts.iter().chain(&whole.first_verdicts) {
            self.metrics.judged(kind, verdict, hits);
        }
        Ok(recent.verdicts.len() + whole.verdicts.len())
    }
}

/// What judging some messages comes to.
#[derive(Default)]
struct Findings {
    /// New and changed verdicts.
    verdicts: Vec<(Uuid, Verdict, &'static str)>,
    /// Of hits that had none, for the counters.
    first_verdicts: HashMap<(HitKind, Verdict), u64>,
    /// The earliest human hit of each key.
    actions: BTreeMap<String, NewAction>,
    /// Keys whose human hits are none after all.
    void: Vec<String>,
}

impl Findings {
    /// Takes in the hits that have no verdict yet, in the order of their instants.
    fn add_new(&mut self, hits: &[Evident], judgements: &[Judgement], until: Micros) {
        let settled = hits.iter().zip(judgements).filter(|(evident, _)| evident.hit.at <= until);
        for (evident, &judgement) in settled.filter(|(evident, _)| evident.verdict.is_none()) {
            self.judge(evident, judgement);
        }
    }

    /// Takes in all hits of a message, in the order of their instants.
    fn add_whole(&mut self, hits: &[Evident], judgements: &[Judgement], until: Micros) {
        let mut lost = Vec::new();
        for (evident, &judgement) in hits.iter().zip(judgements).filter(|(evident, _)| evident.hit.at <= until) {
            self.judge(evident, judgement);
            if judgement.0 != Verdict::Human && was_human(evident) {
                lost.push(action(evident).key);
            }
        }
        lost.retain(|key| !self.actions.contains_key(key));
        self.void.append(&mut lost);
    }

    fn judge(&mut self, evident: &Evident, (verdict, rule): Judgement) {
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
        }
    }
}

fn key(evident: &Evident) -> MessageKey {
    (evident.hit.run, evident.hit.recipient)
}

fn was_human(evident: &Evident) -> bool {
    evident.verdict.as_ref().is_some_and(|(verdict, _)| *verdict == Verdict::Human)
}

/// Whether a hit that was taken for human is seen to be none. A few hits can show a burst that was
/// not complete before; they cannot show that there was none.
fn belies(hits: &[Evident], judgements: &[Judgement]) -> bool {
    hits.iter().zip(judgements).any(|(evident, (verdict, _))| was_human(evident) && *verdict != Verdict::Human)
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
        words: None,
    }
}
