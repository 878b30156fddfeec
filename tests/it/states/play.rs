//! Random steps.

mod check;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use colloquy::domain::id::{NodeId, RecipientId, RunId};
use colloquy::domain::message::MessageState;
use colloquy::domain::pace::Pace;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::store::claims::{self, Claim, Next};
use colloquy::store::marks::{self, Finish, Marks, MessageKey, Return, Sending};
use colloquy::store::nodes::{self, Buried};
use colloquy::store::runs::Run;
use colloquy::store::{EngineKind, Session, Store, recipients, runs, subscriptions, suppressions};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

use super::barred::Barred;
use super::expected::Written;
use super::step::{STEPS, Step};
use crate::mailing::{self, Messages, TOPIC, address, claimant, messages, origin};

const PEOPLE: usize = 24;
const NODES: usize = 3;
const BEGAN: Micros = Micros(1_800_000_000_000_000);
const PAUSE: Duration = Duration::from_secs(600);

/// A database on which random steps are played.
pub struct Play {
    /// The arrows that were seen.
    pub arrows: HashSet<(MessageState, MessageState)>,
    /// Whether each step is printed.
    pub tells: bool,
    store: Store,
    seed: u64,
    random: StdRng,
    now: Micros,
    people: Vec<RecipientId>,
    runs: Vec<RunId>,
    /// Those with a lease.
    nodes: Vec<NodeId>,
    /// Those that were buried and do not know it yet.
    ghosts: Vec<NodeId>,
    barred: Barred,
    before: Messages,
}

/// A database with people, for one play after the other.
pub struct Stage {
    store: Store,
    people: Vec<RecipientId>,
}

/// What a play leaves behind.
const CLEAR: [&str; 8] = [
    "DELETE FROM attempts",
    "DELETE FROM messages",
    "DELETE FROM run_exclusions",
    "DELETE FROM runs",
    "DELETE FROM nodes",
    "DELETE FROM suppressions",
    "UPDATE subscriptions SET subscribed = TRUE",
    "UPDATE recipients SET paused_until = NULL",
];

impl Stage {
    pub async fn set(store: Store) -> Self {
        let people = mailing::people(&store, PEOPLE, BEGAN).await;
        Self { store, people }
    }
}

impl Play {
    /// Two runs and some nodes; nothing is claimed yet.
    pub async fn begin(stage: &Stage, seed: u64) -> Self {
        let Stage { store, people } = stage;
        let mut tx = store.write().await.unwrap();
        for sql in CLEAR {
            tx.execute(sql, vec![]).await.unwrap();
        }
        tx.commit().await.unwrap();
        let mut play = Self {
            arrows: HashSet::new(),
            tells: true,
            store: store.clone(),
            seed,
            random: StdRng::seed_from_u64(seed),
            now: BEGAN,
            people: people.clone(),
            runs: Vec::new(),
            nodes: Vec::new(),
            ghosts: Vec::new(),
            barred: Barred::default(),
            before: Messages::new(),
        };
        for _ in 0..NODES {
            play.nodes.push(mailing::node(&play.store, BEGAN).await);
        }
        play
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.before.len()
    }

    /// Plays one step and looks at what it did.
    pub async fn step(&mut self, number: usize) {
        let mut open = self.open().await;
        if open.len() < 2 {
            let occasion = (self.runs.len() + 1).to_string();
            self.runs.push(mailing::run(&self.store, &occasion, self.now).await);
            open = self.open().await;
        }
        let running = open.into_iter().filter(|run| run.state == RunState::Running).map(|run| run.id).collect();
        let (step, _) = *STEPS.choose_weighted(&mut self.random, |(_, often)| *often).unwrap();
        if self.tells {
            println!("seed {}, step {number}: {step:?}", self.seed);
        }
        match step {
            Step::ClaimNext => self.claim_next().await,
            Step::ClaimDue => self.claim_due().await,
            Step::Mark => self.mark(&running).await,
            Step::Bury => self.bury().await,
            Step::LookAround => self.look_around().await,
            Step::ReleaseStrays => self.release_strays().await,
            Step::Decide => self.decide().await,
            Step::Govern => self.govern().await,
            Step::End => self.end().await,
            Step::Time => self.pass_time(),
        }
        self.check(step, &running).await;
    }

    async fn open(&self) -> Vec<Run> {
        runs::open(&mut self.store.read().await.unwrap()).await.unwrap()
    }

    async fn write(&self) -> Session {
        self.store.write().await.unwrap()
    }

    /// The last runs, which may be open.
    fn recent(&self) -> &[RunId] {
        &self.runs[self.runs.len().saturating_sub(3)..]
    }

    fn any_run(&mut self) -> RunId {
        let chosen = self.random.random_range(0..self.recent().len());
        self.recent()[chosen]
    }

    fn any_person(&mut self) -> RecipientId {
        *self.people.choose(&mut self.random).unwrap()
    }

    /// Mostly one with a lease.
    fn any_node(&mut self) -> NodeId {
        let ghost = self.ghosts.choose(&mut self.random).copied().filter(|_| self.random.random_bool(0.2));
        ghost.unwrap_or_else(|| *self.nodes.choose(&mut self.random).unwrap())
    }

    async fn claim_next(&mut self) {
        let (run, node) = (self.any_run(), self.any_node());
        let stored = runs::by_id(&mut self.store.read().await.unwrap(), run).await.unwrap().unwrap();
        let stale = self.random.random_bool(0.1) && stored.cursor > RecipientId(0);
        let cursor = if stale { RecipientId(0) } else { stored.cursor };
        let left: Vec<_> = self.people.iter().copied().filter(|who| *who > cursor).collect();
        let people = &left[..self.random.random_range(0..10).min(left.len())];
        let (last, room) = (people.len() == left.len(), self.random.random_range(1..8));

        // While somebody decides, PostgreSQL's claim passes over a locked row; SQLite's would wait.
        let decides = self.random.random_bool(0.3).then(|| people.choose(&mut self.random).copied()).flatten();
        let decides = decides.filter(|_| self.store.kind() == EngineKind::Postgres);
        let mut decision = None;
        if let Some(who) = decides {
            let mut session = self.write().await;
            recipients::lock(&mut session, who).await.unwrap();
            decision = Some((who, session));
        }
        let mut tx = self.write().await;
        let next = Next { cursor, people, last, room };
        let (claim, reached) = claims::take_next(&mut tx, claimant(run, node, self.now), next).await.unwrap();
        tx.commit().await.unwrap();
        match claim {
            Claim::Stopped(state) => assert_eq!(state, stored.state),
            Claim::TooLate => panic!("no run here has an end of its time"),
            Claim::Moved(to, all) => {
                assert_eq!((to, all), (stored.cursor, stored.claimed_all));
                assert!(stale || all);
            }
            Claim::Taken(claimed) => {
                assert!(stored.state == RunState::Running && !stale && claimed.len() <= room);
                let claimed: BTreeSet<_> = claimed.into_iter().map(|m| m.recipient).collect();
                let allowed = people
                    .iter()
                    .filter(|who| **who <= reached && decides != Some(**who) && !self.barred.holds(**who, self.now));
                assert_eq!(claimed, allowed.copied().collect(), "everybody who may be mailed, and nobody else");
                let after = messages(&self.store).await;
                assert!(claimed.iter().all(|who| after[&(run, *who)].node == Some(node)));
                let waits = decides.filter(|who| *who <= reached).map(|who| after[&(run, who)].state);
                assert!(waits.is_none_or(|state| state == MessageState::Waiting), "whoever decides is passed over");
            }
        }
        if let Some((who, mut session)) = decision {
            subscriptions::leave(&mut session, who, TOPIC, &origin(self.now)).await.unwrap();
            session.commit().await.unwrap();
            self.barred.left.insert(who);
        }
    }

    async fn claim_due(&mut self) {
        let (run, node) = (self.any_run(), self.any_node());
        let mut tx = self.write().await;
        let limit = self.random.random_range(1..10);
        let claim = claims::take_due(&mut tx, claimant(run, node, self.now), limit).await.unwrap();
        tx.commit().await.unwrap();
        if let Claim::Taken(claimed) = claim {
            assert!(claimed.len() <= limit);
            let after = messages(&self.store).await;
            for message in claimed {
                let key = (run, message.recipient);
                assert!(self.before[&key].due_at.is_some_and(|due| due <= self.now), "{key:?} was not due");
                assert_eq!((after[&key].node, after[&key].attempt), (Some(node), message.attempts));
            }
        }
    }

    async fn mark(&mut self, running: &HashSet<RunId>) {
        let (any, holders) = (self.any_node(), self.before.values().filter_map(|m| m.node).collect::<Vec<_>>());
        let node = holders.choose(&mut self.random).copied().filter(|_| self.random.random_bool(0.7)).unwrap_or(any);
        let mut keys: Vec<_> = self.before.keys().copied().collect();
        keys.shuffle(&mut self.random);
        // First what the node held, as it is in most marks; then some of the others.
        keys.sort_by_key(|key| self.before[key].node != Some(node));
        let held = keys.iter().filter(|key| self.before[*key].node == Some(node)).count();
        keys.truncate(held.min(8) + self.random.random_range(0..3));
        let mut written = Written::default();
        for (run, recipient) in keys {
            self.write_down(&mut written, MessageKey { run, recipient });
            if self.random.random_bool(0.1) {
                written.repeat_last();
            }
        }
        let Written { finish, returns, sending } = &written;
        let answered = marks::write(&self.store, node, self.now, Marks { finish, returns, sending }).await.unwrap();
        let after = messages(&self.store).await;
        assert_eq!(after, written.applied(&self.before, node, running), "node {node} wrote {written:?}");
        let may = written.may_be_sent(&after, node);
        for mark in sending {
            assert_eq!(answered.contains(mark.message), may.contains(&mark.message), "node {node}: {mark:?}");
        }
    }

    /// Mostly what the message's state asks for.
    fn write_down(&mut self, written: &mut Written, message: MessageKey) {
        let stored = self.before[&(message.run, message.recipient)];
        let (at, relay) = (self.now, "test".into());
        let wrong = if self.random.random_bool(0.1) { *[-1, 1].choose(&mut self.random).unwrap() } else { 0 };
        let asked = match stored.state {
            MessageState::Claimed => [0, 0, 1].choose(&mut self.random),
            _ => Some(&2),
        };
        let kind = if self.random.random_bool(0.1) { self.random.random_range(0..4) } else { *asked.unwrap() };
        let due_at = Some(self.now.plus(PAUSE));
        match kind {
            0 => written.sending.push(Sending { message, attempt: stored.attempt + 1 + wrong, at, relay, revision: 0 }),
            1 => {
                let due_at = due_at.filter(|_| self.random.random_bool(0.7));
                written.returns.push(Return { message, due_at, reason: due_at.is_none().then(|| "render".into()) });
            }
            _ => {
                use MessageState::{Accepted, Deferred, Rejected, Unknown, Waiting};
                let outcomes = [Accepted, Rejected, Deferred, Deferred, Unknown, Waiting];
                let state = *outcomes.choose(&mut self.random).unwrap();
                // A message that was not sent is taken back whether or not its mark was written.
                let unsent = kind == 3;
                let state = if unsent { Waiting } else { state };
                let due_at = due_at.filter(|_| matches!(state, Deferred | Waiting));
                let (attempt, reply) = (stored.attempt + wrong, "words".to_owned());
                written.finish.push(Finish { message, attempt, at, relay, state, code: None, reply, due_at });
                if unsent {
                    written.returns.push(Return { message, due_at, reason: None });
                }
            }
        }
    }

    fn held_by(&self, node: NodeId, state: MessageState) -> u64 {
        self.before.values().filter(|m| m.node == Some(node) && m.state == state).count() as u64
    }

    async fn bury(&mut self) {
        let node = self.nodes.remove(self.random.random_range(0..self.nodes.len()));
        let expected = Buried {
            released: self.held_by(node, MessageState::Claimed),
            unknown: self.held_by(node, MessageState::Sending),
        };
        let mut tx = self.write().await;
        assert_eq!(nodes::bury(&mut tx, node, self.now).await.unwrap(), expected);
        tx.commit().await.unwrap();
        self.ghosts.push(node);
        self.nodes.push(mailing::node(&self.store, self.now).await);
    }

    async fn look_around(&mut self) {
        let mut tx = self.write().await;
        for node in nodes::orphans(&mut tx).await.unwrap() {
            assert!(self.ghosts.contains(&node), "{node} lives");
            nodes::bury(&mut tx, node, self.now).await.unwrap();
        }
        nodes::clear_ended(&mut tx, self.now).await.unwrap();
        tx.commit().await.unwrap();
        let open = runs::open(&mut self.store.read().await.unwrap()).await.unwrap();
        for ((run, recipient), message) in messages(&self.store).await {
            let over = open.iter().all(|open| open.id != run);
            assert!(!over || message.due_at.is_none(), "{recipient} of run {run}, which is over, is {message:?}");
        }
    }

    async fn release_strays(&mut self) {
        let node = *self.nodes.choose(&mut self.random).unwrap();
        let run = self.any_run();
        let mut tx = self.write().await;
        nodes::release_strays(&mut tx, node, run, self.now).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn decide(&mut self) {
        let who = self.any_person();
        let suppressed = [address(self.people.iter().position(|person| *person == who).unwrap())];
        let origin = origin(self.now);
        let mut tx = self.write().await;
        match self.random.random_range(0..7) {
            0 => {
                subscriptions::leave(&mut tx, who, TOPIC, &origin).await.unwrap();
                self.barred.left.insert(who);
            }
            1 | 2 => {
                subscriptions::join(&mut tx, who, TOPIC, &origin).await.unwrap();
                self.barred.left.remove(&who);
            }
            3 => {
                suppressions::add(&mut tx, &suppressed, self.now, "complaint").await.unwrap();
                self.barred.suppressed.insert(who);
            }
            4 | 5 => {
                suppressions::remove(&mut tx, &suppressed[0].1).await.unwrap();
                self.barred.suppressed.remove(&who);
            }
            _ => {
                let until = self.now.plus(PAUSE);
                subscriptions::set_pace(&mut tx, who, Pace::PausedUntil(until), &origin).await.unwrap();
                self.barred.paused.insert(who, until);
            }
        }
        tx.commit().await.unwrap();
    }

    async fn govern(&mut self) {
        let run = self.any_run();
        let mut tx = self.write().await;
        let state = runs::by_id(&mut tx, run).await.unwrap().unwrap().state;
        let cancel = self.random.random_bool(0.2);
        let to = match state {
            RunState::Running | RunState::Paused if cancel => RunState::Cancelled,
            RunState::Running => RunState::Paused,
            RunState::Paused => RunState::Running,
            _ => return,
        };
        assert!(runs::change(&mut tx, run, state, to, None, self.now).await.unwrap());
        if to == RunState::Cancelled {
            runs::skip_open_messages(&mut tx, run, self.now).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn end(&mut self) {
        let run = self.any_run();
        let mut tx = self.write().await;
        let rest = claims::rest(&mut tx, run, self.nodes[0]).await.unwrap();
        let all = runs::by_id(&mut tx, run).await.unwrap().unwrap().claimed_all;
        if all && (rest.waiting, rest.deferred, rest.held) == (0, 0, 0) {
            runs::change(&mut tx, run, RunState::Running, RunState::Done, None, self.now).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    fn pass_time(&mut self) {
        let minutes = *[1, 15, 15, 120, 6 * 24 * 60].choose(&mut self.random).unwrap();
        self.now = self.now.plus(Duration::from_secs(minutes * 60));
    }
}
