//! The sender's book-keeping, group-committed: what arrives while one commit runs shares the next.
//!
//! Answers are never lost to a database that is away for a while: they are kept and written as
//! soon as it is back. A message whose `sending` mark could not be written is not sent.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::clock::Clock;
use crate::domain::id::NodeId;
use crate::store::marks::{self, Finish, MessageKey, Return, Sending};
use crate::store::{Result, Store};

/// Entries that wait for a commit at most; more wait at the door.
const QUEUE: usize = 4_096;
const BATCH: usize = 1_024;
const RETRY: Duration = Duration::from_millis(250);

/// With many connections at work a commit waits this long for company: one commit for twenty
/// messages costs little more than one for two. A lone connection does not wait.
const GATHER: Duration = Duration::from_millis(1);
const MANY: usize = 4;

enum Entry {
    Sending(Sending, oneshot::Sender<bool>),
    Finish(Finish),
    Return(Return),
    Flush(oneshot::Sender<()>),
}

/// Where senders write down what they do; clones write into the same book.
#[derive(Clone)]
pub struct Ledger(mpsc::Sender<Entry>);

impl Ledger {
    /// Starts the writer. It ends when all clones are gone and everything is written.
    #[must_use]
    pub fn spawn(store: Store, node: NodeId, clock: Clock) -> (Self, JoinHandle<()>) {
        let (entries, arrivals) = mpsc::channel(QUEUE);
        (Self(entries), tokio::spawn(write(store, node, clock, arrivals)))
    }

    /// Makes `sending` durable. `false`: the message must not be sent, because it is no longer
    /// held or because the mark could not be written.
    pub async fn sending(&self, mark: Sending) -> bool {
        let (answer, marked) = oneshot::channel();
        self.0.send(Entry::Sending(mark, answer)).await.is_ok() && marked.await.unwrap_or(false)
    }

    /// Writes an answer down, in order with the sender's further marks: whoever finds a later
    /// message of the same connection `sending` finds this one finished.
    pub async fn finish(&self, mark: Finish) {
        let _ = self.0.send(Entry::Finish(mark)).await;
    }

    /// Waits until everything that was written down before is durable.
    pub async fn flush(&self) {
        let (answer, flushed) = oneshot::channel();
        if self.0.send(Entry::Flush(answer)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    /// Gives a claim back.
    pub async fn give_back(&self, mark: Return) {
        let _ = self.0.send(Entry::Return(mark)).await;
    }
}

#[derive(Default)]
struct Batch {
    sending: Vec<(Sending, oneshot::Sender<bool>)>,
    finish: Vec<Finish>,
    returns: Vec<Return>,
    flushes: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Sending(mark, answer) => self.sending.push((mark, answer)),
            Entry::Finish(mark) => self.finish.push(mark),
            Entry::Return(mark) => self.returns.push(mark),
            Entry::Flush(answer) => self.flushes.push(answer),
        }
    }

    fn owes_answers(&self) -> bool {
        !self.finish.is_empty() || !self.returns.is_empty()
    }
}

async fn write(store: Store, node: NodeId, clock: Clock, mut arrivals: mpsc::Receiver<Entry>) {
    let mut arrived = Vec::with_capacity(BATCH);
    let mut batch = Batch::default();
    let mut last = 0;
    loop {
        if batch.owes_answers() {
            clock.sleep(RETRY).await;
            while arrived.len() < BATCH {
                let Ok(entry) = arrivals.try_recv() else { break };
                arrived.push(entry);
            }
        } else if arrivals.recv_many(&mut arrived, BATCH).await == 0 {
            return;
        } else if last >= MANY {
            tokio::time::sleep(GATHER).await;
            while arrived.len() < BATCH {
                let Ok(entry) = arrivals.try_recv() else { break };
                arrived.push(entry);
            }
        }
        last = arrived.len();
        arrived.drain(..).for_each(|entry| batch.add(entry));
        let (marks, answers): (Vec<Sending>, Vec<_>) = batch.sending.drain(..).unzip();
        match commit(&store, node, &clock, &marks, &batch).await {
            Ok(held) => {
                for (mark, answer) in marks.iter().zip(answers) {
                    let _ = answer.send(held.contains(&mark.message));
                }
                batch.finish.clear();
                batch.returns.clear();
                for answer in batch.flushes.drain(..) {
                    let _ = answer.send(());
                }
            }
            Err(error) => {
                warn!(%error, kept = batch.finish.len() + batch.returns.len(), "the database takes no marks; sending waits");
            }
        }
    }
}

async fn commit(
    store: &Store,
    node: NodeId,
    clock: &Clock,
    sending: &[Sending],
    batch: &Batch,
) -> Result<HashSet<MessageKey>> {
    let mut tx = store.write().await?;
    marks::finish(&mut tx, node, &batch.finish).await?;
    marks::give_back(&mut tx, node, &batch.returns, clock.now()).await?;
    let held = marks::sending(&mut tx, node, sending).await?;
    tx.commit().await?;
    Ok(held)
}
