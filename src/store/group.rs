//! Group commit: what arrives while one commit runs goes into the next one together.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Error, Result};

type Waiting<T, R> = (T, oneshot::Sender<Result<R>>);

/// The sending side of a group; clones share the writer.
#[derive(Debug)]
pub struct Group<T, R> {
    queue: mpsc::Sender<Waiting<T, R>>,
}

impl<T, R> Clone for Group<T, R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<T: Send + 'static, R: Send + 'static> Group<T, R> {
    /// Starts the writer. `commit` takes at most `limit` items, and answers with one result per
    /// item, in order, after they are durable. The writer ends when all clones are gone.
    pub fn spawn<F, Fut>(limit: usize, mut commit: F) -> (Self, JoinHandle<()>)
    where
        F: FnMut(Vec<T>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<R>>> + Send,
    {
        let (queue, mut arrivals) = mpsc::channel::<Waiting<T, R>>(limit);
        let writer = tokio::spawn(async move {
            let mut batch = Vec::with_capacity(limit);
            while arrivals.recv_many(&mut batch, limit).await > 0 {
                let (items, answers): (Vec<T>, Vec<_>) = batch.drain(..).unzip();
                match commit(items).await {
                    Ok(results) => {
                        debug_assert_eq!(results.len(), answers.len());
                        for (answer, result) in answers.into_iter().zip(results) {
                            let _ = answer.send(Ok(result));
                        }
                    }
                    Err(error) => {
                        let error = Arc::new(error);
                        for answer in answers {
                            let _ = answer.send(Err(Error::Group(Arc::clone(&error))));
                        }
                    }
                }
            }
        });
        (Self { queue }, writer)
    }

    /// Hands an item over and waits until it is durable.
    ///
    /// # Errors
    /// When its group could not be committed: nothing of the group was written.
    pub async fn commit(&self, item: T) -> Result<R> {
        let (answer, result) = oneshot::channel();
        self.queue.send((item, answer)).await.map_err(|_| Error::Stopped)?;
        result.await.map_err(|_| Error::Stopped)?
    }
}
