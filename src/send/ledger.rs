//! The sender's book-keeping, group-committed: what arrives while one commit runs shares the next.
//!
//! Answers are never lost to a database that is away for a while: they are kept and written as
//! soon as it is back. A message whose `sending` mark could not be written is not sent.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::clock::{Clock, Spell};
use crate::domain::id::NodeId;
use crate::store::Store;
use crate::store::marks::{self, Finish, Marks, Return, Sending};

/// Entries that wait for a commit at most; more wait at the door.
const QUEUE: usize = 4_096;
const BATCH: usize = 1_024;
const RETRY: Duration = Duration::from_millis(250);

/// A commit waits at most this long for company, and only until as many messages wait for it as are
/// under way: one commit for ten messages costs little more than one for two, and the relay has work
/// meanwhile.
const GATHER: Duration = Duration::from_millis(1);

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
    // Messages whose mark is durable and whose answer has not arrived.
    let mut under_way: usize = 0;
    let mut spell = Spell::default();
    loop {
        if batch.owes_answers() {
            clock.sleep(RETRY).await;
            while arrived.len() < BATCH {
                let Ok(entry) = arrivals.try_recv() else { break };
                arrived.push(entry);
            }
        } else if arrivals.recv_many(&mut arrived, BATCH).await == 0 {
            return;
        }
        gather(&mut arrivals, &mut arrived, under_way).await;
        arrived.drain(..).for_each(|entry| batch.add(entry));
        let (sending, answers): (Vec<Sending>, Vec<_>) = batch.sending.drain(..).unzip();
        let marks = Marks { finish: &batch.finish, returns: &batch.returns, sending: &sending };
        match marks::write(&store, node, clock.now(), marks).await {
            Ok(held) => {
                if spell.ended() {
                    info!("the database takes marks again");
                }
                under_way = under_way.saturating_sub(batch.finish.len());
                for (mark, answer) in sending.iter().zip(answers) {
                    let held = held.contains(mark.message);
                    under_way += usize::from(held && answer.send(held).is_ok());
                }
                batch.finish.clear();
                batch.returns.clear();
                for answer in batch.flushes.drain(..) {
                    let _ = answer.send(());
                }
            }
            Err(error) if spell.failed() => {
                warn!(%error, kept = batch.finish.len() + batch.returns.len(), "the database takes no marks; sending waits");
            }
            Err(_) => {}
        }
    }
}

/// Waits a moment for company while more messages are under way than wait here.
async fn gather(arrivals: &mut mpsc::Receiver<Entry>, arrived: &mut Vec<Entry>, mut under_way: usize) {
    let deadline = Instant::now() + GATHER;
    let mut seen = 0;
    let mut waiting = 0;
    loop {
        for entry in &arrived[seen..] {
            match entry {
                Entry::Sending(..) => waiting += 1,
                Entry::Finish(_) => under_way = under_way.saturating_sub(1),
                Entry::Return(_) => {}
                Entry::Flush(_) => return,
            }
        }
        seen = arrived.len();
        if waiting >= under_way || seen >= BATCH {
            return;
        }
        match timeout_at(deadline, arrivals.recv_many(arrived, BATCH - seen)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
