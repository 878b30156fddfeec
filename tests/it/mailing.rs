//! A run over people who may be mailed, without a sender: what tests of the store play against.

use std::collections::BTreeMap;

use colloquy::domain::address::{Address, AddressHash};
use colloquy::domain::consent::Salts;
use colloquy::domain::id::{NodeId, RecipientId, RunId};
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::store::claims::{self, Claim, Claimant, Next};
use colloquy::store::marks::MessageKey;
use colloquy::store::runs::{self, NewRun};
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{Store, nodes, versions};
use colloquy::{args, clock};

/// What everybody here is subscribed to.
pub const TOPIC: &str = "news";

/// A message as stored, as far as its holder and its state go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it stands.
    pub state: MessageState,
    /// Who holds it, or held it when its fate was swallowed.
    pub node: Option<NodeId>,
    /// The last attempt's number.
    pub attempt: i64,
    /// Not before.
    pub due_at: Option<Micros>,
}

/// All messages by their key: run, then recipient.
pub type Messages = BTreeMap<(RunId, RecipientId), Message>;

/// The address with a number, and its hash.
pub fn address(number: usize) -> (Address, AddressHash) {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    (Address::parse(&format!("a{number}@example.org")).unwrap(), hash)
}

/// A decision that a person makes on a page.
pub fn origin(at: Micros) -> Origin<'static> {
    Origin { channel: "page", run: None, at, salts: Salts::new(&clock::secret()), shown: None }
}

/// Subscribers; the n-th has the n-th [`address`].
pub async fn people(store: &Store, count: usize, at: Micros) -> Vec<RecipientId> {
    let sql = "INSERT INTO recipients (address, domain, address_hash, created_at)
        VALUES ($1, 'example.org', $2, $3) RETURNING id";
    let mut people = Vec::new();
    let mut tx = store.write().await.unwrap();
    for number in 0..count {
        let (address, hash) = address(number);
        let (id,): (i64,) = tx.one(sql, args![address.as_str(), hash.as_slice(), at]).await.unwrap();
        assert!(subscriptions::join(&mut tx, RecipientId(id), TOPIC, &origin(at)).await.unwrap());
        people.push(RecipientId(id));
    }
    tx.commit().await.unwrap();
    people
}

/// A run that is under way.
pub async fn run(store: &Store, occasion: &str, at: Micros) -> RunId {
    let mut tx = store.write().await.unwrap();
    let version = versions::freeze(&mut tx, &BTreeMap::new(), "no files", at).await.unwrap();
    let new = NewRun { campaign: "hello", topic: TOPIC, occasion, version, state: RunState::Running, at };
    assert!(runs::create(&mut tx, new).await.unwrap());
    let run = runs::by_occasion(&mut tx, "hello", occasion).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    run.id
}

/// A node with a lease.
pub async fn node(store: &Store, at: Micros) -> NodeId {
    let mut tx = store.write().await.unwrap();
    let node = nodes::register(&mut tx, "test", at).await.unwrap();
    tx.commit().await.unwrap();
    node
}

/// Who claims from a run.
pub fn claimant(run: RunId, node: NodeId, now: Micros) -> Claimant<'static> {
    Claimant { run, node, topic: TOPIC, cap: None, now, wave: 0, until: None }
}

/// Claims from a fresh run the messages to all these people.
pub async fn claim_all(store: &Store, claimant: Claimant<'_>, people: &[RecipientId]) -> Vec<MessageKey> {
    let next = Next { cursor: RecipientId(0), people, last: true, room: people.len() };
    let mut tx = store.write().await.unwrap();
    let (claim, _) = claims::take_next(&mut tx, claimant, next).await.unwrap();
    tx.commit().await.unwrap();
    let Claim::Taken(claimed) = claim else { panic!("{claim:?}") };
    assert_eq!(claimed.len(), people.len());
    claimed.into_iter().map(|m| MessageKey { run: claimant.run, recipient: m.recipient }).collect()
}

/// All messages that are stored.
///
/// # Panics
/// When somebody has two in a run, or one is in a state that nobody knows.
pub async fn messages(store: &Store) -> Messages {
    type Row = (i64, i64, String, Option<i64>, i64, Option<i64>);
    let sql = "SELECT run_id, recipient_id, state, node_id, attempt, due_at FROM messages";
    let rows: Vec<Row> = store.read().await.unwrap().all(sql, args![]).await.unwrap();
    let mut messages = Messages::new();
    for (run, recipient, state, node, attempt, due_at) in rows {
        let state = MessageState::parse(&state).unwrap();
        let message = Message { state, node: node.map(NodeId), attempt, due_at: due_at.map(Micros) };
        let twice = messages.insert((RunId(run), RecipientId(recipient)), message);
        assert_eq!(twice, None, "recipient {recipient} has two messages in run {run}");
    }
    messages
}
