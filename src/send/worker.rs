//! One connection to a relay: takes messages from its lane and hands them over.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::job::Job;
use super::lane::{Lane, Open};
use super::ledger::Ledger;
use super::refused;
use super::signing::Signing;
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::message::MessageState;
use crate::domain::outcome::{Outcome, Reply, Stage};
use crate::domain::retry::due_again;
use crate::domain::token::Keyring;
use crate::metrics::Metrics;
use crate::relay::throttle::Throttle;
use crate::relay::{Envelope, Message, OpenError, Session, plea};
use crate::render::{self, Scratch};
use crate::store::Store;
use crate::store::marks::{Finish, Return, Sending};

/// A connection without work is closed after this.
const IDLE: Duration = Duration::from_secs(10);

/// A relay that takes a message within this is told of the next in the same breath.
const SWIFT: Duration = Duration::from_secs(1);

/// A message whose connection broke before it went out is tried again after this.
const NOT_SENT: Duration = Duration::from_secs(5);

/// What all connections share.
pub struct Shared {
    /// The database.
    pub store: Store,
    /// Where marks are written.
    pub ledger: Ledger,
    /// All limits.
    pub throttle: Arc<Throttle>,
    /// Signs links.
    pub keyring: Arc<Keyring>,
    /// Signs messages.
    pub signing: Arc<Signing>,
    /// The time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Metrics,
    /// No new message is taken any more.
    pub soft: CancellationToken,
}

/// One connection's task.
pub struct Worker {
    /// What all share.
    pub shared: Arc<Shared>,
    /// Its relay and queue.
    pub lane: Arc<Lane>,
    /// Its number among the lane's connections.
    pub index: usize,
    /// For jitter.
    pub random: StdRng,
    /// Whether the relay took its last message quickly. A slow one keeps no other message waiting.
    pub swift: bool,
}

/// A message as the wire wants it.
struct Letter {
    job: Job,
    message: Message,
    cover: Cover,
}

/// What the envelope says besides the recipient.
struct Cover {
    return_path: Address,
    id: String,
}

impl Cover {
    fn envelope<'a>(&'a self, job: &'a Job) -> Envelope<'a> {
        Envelope { return_path: Some(&self.return_path), recipient: &job.profile.address, id: &self.id }
    }
}

impl Worker {
    /// Works until the soft stop; the message in hand is finished.
    pub async fn run(mut self) {
        let mut session: Option<(Session, Open)> = None;
        let mut scratch = Scratch::default();
        let mut next: Option<Letter> = None;
        let soft = self.shared.soft.clone();
        while !soft.is_cancelled() {
            if session.as_ref().is_none_or(|(s, _)| !s.is_usable()) {
                drop(session.take());
                if let Some(letter) = next.take() {
                    self.give_back(&letter.job).await;
                }
                tokio::select! {
                    () = soft.cancelled() => return,
                    () = self.lane.available(self.index) => {}
                }
                session = match tokio::select! {
                    () = soft.cancelled() => return,
                    opened = self.open() => opened,
                } {
                    Ok(opened) => Some(opened),
                    Err(error) => {
                        self.pause_after(error).await;
                        continue;
                    }
                };
            }
            let letter = match next.take() {
                // It was announced, so that this session is of no use without it.
                Some(letter) if letter.job.is_stale() => {
                    session = None;
                    self.give_back(&letter.job).await;
                    continue;
                }
                Some(letter) => letter,
                None => {
                    let job = tokio::select! {
                        biased;
                        () = soft.cancelled() => break,
                        job = self.lane.next(&self.shared.throttle, &self.shared.metrics) => Some(job),
                        () = tokio::time::sleep(IDLE) => None,
                    };
                    let Some(job) = job else {
                        if let Some((idle, _)) = session.take() {
                            idle.quit().await;
                        }
                        continue;
                    };
                    let Some(letter) = self.compose(job, &mut scratch).await else { continue };
                    letter
                }
            };
            if let Some((open, _)) = &mut session {
                next = self.hand_over(letter, open, &mut scratch).await;
            }
        }
        if let Some(letter) = next {
            self.give_back(&letter.job).await;
        }
        if let Some((open, _)) = session {
            open.quit().await;
        }
    }

    async fn open(&self) -> Result<(Session, Open), OpenError> {
        let session = self.lane.relay.open().await?;
        Ok((session, self.lane.opened()))
    }

    /// Gives the lane's messages away when the relay is down, and waits before the next try.
    async fn pause_after(&self, error: OpenError) {
        let relay = &*self.lane.name;
        let told = error.without_words();
        if self.lane.is_up() {
            warn!(relay, error = told, "a connection to the relay cannot be opened");
        } else {
            debug!(relay, error = told, "a connection to the relay cannot be opened");
        }
        if let Some(reply) = &error.reply {
            self.slow_down(error.stage, reply, "");
        }
        let (jobs, pause) = self.lane.refused(error);
        for job in jobs {
            self.give_back(&job).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.shared.soft.cancelled() => {}
        }
    }

    /// Hands a message over; answers with the one that this session takes next, if it is known.
    async fn hand_over(&mut self, mut letter: Letter, session: &mut Session, scratch: &mut Scratch) -> Option<Letter> {
        let job = &letter.job;
        let relay = Arc::clone(&self.lane.name);
        let began = Instant::now();
        let (message, attempt, revision) = (job.key(), job.attempts + 1, job.profile.revision);
        let mark = Sending { message, attempt, at: self.shared.clock.now(), relay, revision };
        let looks_ahead = self.swift && session.looks_ahead();
        let envelope = letter.cover.envelope(job);
        let (offer, marked, next) =
            tokio::join!(session.offer(&envelope, letter.message), self.shared.ledger.sending(mark), async {
                if looks_ahead { self.upcoming(scratch).await } else { None }
            });
        if !marked {
            debug!(run = %job.context.run, recipient = %job.profile.recipient, "no longer held; not sent");
            drop(offer);
            self.unsent(job).await;
            return next;
        }
        let outcome = match offer {
            Ok(offer) => {
                let following = next.as_ref().map(|next| (next.cover.envelope(&next.job), &next.message));
                let sent = Instant::now();
                let outcome = offer.deliver(following.as_ref().map(|(envelope, message)| (envelope, *message))).await;
                self.swift = sent.elapsed() < SWIFT;
                outcome
            }
            Err(outcome) => outcome,
        };
        self.shared.metrics.handover(&self.lane.name, began.elapsed());
        let offered = !matches!(outcome, Outcome::NotSent { .. });
        self.note(job, outcome).await;
        // What did not get that far gives back what it took of the day's amount.
        if offered {
            letter.job.pass.use_up();
        }
        next
    }

    /// The message after the one in hand, when there is one that may go at once.
    async fn upcoming(&self, scratch: &mut Scratch) -> Option<Letter> {
        let job = self.lane.at_once(&self.shared.throttle)?;
        self.compose(job, scratch).await
    }

    /// Gives back what was not marked, and takes back a mark whose commit only seemed to fail.
    async fn unsent(&self, job: &Job) {
        let now = self.shared.clock.now();
        let relay = Arc::clone(&self.lane.name);
        let (message, attempt, state) = (job.key(), job.attempts + 1, MessageState::Waiting);
        let (code, reply) = (None, "not sent: the mark could not be written".to_owned());
        let due_at = Some(now);
        self.shared.ledger.finish(Finish { message, attempt, at: now, relay, state, code, reply, due_at }).await;
        self.give_back(job).await;
    }

    /// Renders a message; one that cannot be rendered is skipped, one that was claimed too long ago
    /// is given back, since the next claim checks permission again.
    async fn compose(&self, job: Job, scratch: &mut Scratch) -> Option<Letter> {
        if job.is_stale() {
            self.give_back(&job).await;
            return None;
        }
        match self.render(&job, scratch).await {
            Ok((message, return_path)) => {
                let id = format!("{}-{}", job.context.run, job.profile.recipient);
                Some(Letter { message, cover: Cover { return_path, id }, job })
            }
            Err(reason) => {
                debug!(run = %job.context.run, recipient = %job.profile.recipient, reason, "message skipped");
                job.context.tally.add(MessageState::Skipped);
                let skip = Return { message: job.key(), due_at: None, reason: Some(reason) };
                self.shared.ledger.give_back(skip).await;
                None
            }
        }
    }

    async fn render(&self, job: &Job, scratch: &mut Scratch) -> Result<(Message, Address), String> {
        let context = &job.context;
        let at = self.shared.clock.now();
        let envelope = render::Envelope { run: context.run, occasion: &context.occasion, at };
        let rendered = context
            .mailing
            .render(&job.profile, &envelope, &self.shared.keyring, scratch)
            .map_err(|error| format!("render: {error}"))?;
        let message = self.shared.signing.seal(rendered.bytes, context, at).await?;
        Ok((message, rendered.return_path))
    }

    async fn give_back(&self, job: &Job) {
        let due_at = Some(self.shared.clock.now());
        self.shared.ledger.give_back(Return { message: job.key(), due_at, reason: None }).await;
    }

    /// Slows the relay, or the domain at it, down when the answer asks for that.
    fn slow_down(&self, stage: Stage, reply: &Reply, domain: &str) {
        let Some(scope) = plea(stage, reply) else { return };
        let enhanced = reply.enhanced.map(|code| format!(" {code}")).unwrap_or_default();
        let reason = format!("{}{enhanced} at {stage}", reply.code);
        self.shared.throttle.refused(&self.lane.name, domain, scope, reason);
    }

    async fn note(&mut self, job: &Job, outcome: Outcome) {
        let now = self.shared.clock.now();
        let attempt = job.attempts + 1;
        let relay = Arc::clone(&self.lane.name);
        let refusal = match &outcome {
            Outcome::Rejected { stage, reply } => Some((*stage, reply.clone())),
            _ => None,
        };
        let (state, code, reply, due_at) = match outcome {
            Outcome::Accepted { reply } => (MessageState::Accepted, Some(reply.code), reply.words, None),
            Outcome::Rejected { stage, reply } => {
                (MessageState::Rejected, Some(reply.code), staged(stage, &reply.words), None)
            }
            Outcome::Deferred { stage, reply } => {
                self.slow_down(stage, &reply, job.profile.address.domain());
                let tries = u32::try_from(attempt).unwrap_or(u32::MAX);
                let words = staged(stage, &reply.words);
                match due_again(job.first_at.unwrap_or(now), now, tries, self.random.random::<f64>()) {
                    Some(due) => (MessageState::Deferred, Some(reply.code), words, Some(due)),
                    None => (MessageState::Rejected, Some(reply.code), format!("expired: {words}"), None),
                }
            }
            Outcome::NotSent { stage, words } => {
                (MessageState::Waiting, None, staged(stage, &words), Some(now.plus(NOT_SENT)))
            }
            Outcome::Unknown { words } => (MessageState::Unknown, None, words, None),
        };
        job.context.tally.add(state);
        let of = (job.context.campaign.as_str(), &*relay, job.profile.address.domain());
        self.shared.metrics.outcome(of, state);
        let code = code.map(i64::from);
        self.shared
            .ledger
            .finish(Finish { message: job.key(), attempt, at: now, relay, state, code, reply, due_at })
            .await;
        if let Some((stage, reply)) = refusal {
            refused::heed(&self.shared.store, job, stage, &reply, now).await;
        }
    }
}

fn staged(stage: Stage, words: &str) -> String {
    format!("{stage}: {words}")
}
