//! Values that many ask for and one task looks up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

/// How long somebody who asks waits for a value.
const PATIENCE: Duration = Duration::from_secs(5);

/// A look that took long is not repeated before so many times that.
const SHARE: u32 = 20;

type Look<T> = Box<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>;

/// Looks a value up when it is asked for and the last one is old. The look runs in a task of its
/// own, so that a client who goes away does not cancel a query half way; while it runs no second
/// one starts.
pub struct Lookup<T> {
    look: Look<T>,
    rest: Duration,
    free: Arc<Semaphore>,
    last: watch::Sender<Option<Seen<T>>>,
    tasks: TaskTracker,
}

struct Seen<T> {
    value: Arc<T>,
    fresh_until: Instant,
}

impl<T: Send + Sync + 'static> Lookup<T> {
    /// Looks at most once per `rest`, and rarely enough to spend a small share of the time on it.
    pub fn new<F>(rest: Duration, tasks: &TaskTracker, look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self {
            look: Box::new(move || Box::pin(look())),
            rest,
            free: Arc::new(Semaphore::new(1)),
            last: watch::Sender::new(None),
            tasks: tasks.clone(),
        }
    }

    /// The value, at most as old as it may be; none when the look takes too long.
    pub async fn get(&self) -> Option<Arc<T>> {
        let mut last = self.last.subscribe();
        if let Some(value) = last.borrow().as_ref().and_then(Seen::fresh) {
            return Some(value);
        }
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            let (look, rest, last) = ((self.look)(), self.rest, self.last.clone());
            self.tasks.spawn(async move {
                let began = Instant::now();
                let value = Arc::new(look.await);
                let ended = Instant::now();
                let fresh_until = ended + rest.max((ended - began) * SHARE);
                last.send_replace(Some(Seen { value, fresh_until }));
                drop(permit);
            });
        }
        let seen = timeout(PATIENCE, last.wait_for(|seen| seen.as_ref().is_some_and(|s| s.fresh().is_some()))).await;
        seen.ok()?.ok()?.as_ref().map(|seen| Arc::clone(&seen.value))
    }
}

impl<T> Seen<T> {
    fn fresh(&self) -> Option<Arc<T>> {
        (Instant::now() < self.fresh_until).then(|| Arc::clone(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const REST: Duration = Duration::from_secs(5);

    /// Counts the looks, each of which takes `takes`.
    fn counting(takes: Duration) -> Lookup<u64> {
        let looks = Arc::new(AtomicU64::new(0));
        Lookup::new(REST, &TaskTracker::new(), move || {
            let looks = Arc::clone(&looks);
            async move {
                tokio::time::sleep(takes).await;
                looks.fetch_add(1, Ordering::Relaxed) + 1
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_make_one_look() {
        let lookup = counting(Duration::from_millis(10));
        let seen = futures_util::future::join_all((0..50).map(|_| lookup.get())).await;
        assert!(seen.iter().all(|value| value.as_deref() == Some(&1)), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_looked_up_again_once_it_is_old() {
        let lookup = counting(Duration::ZERO);
        assert_eq!(lookup.get().await.as_deref(), Some(&1));
        tokio::time::sleep(REST - Duration::from_millis(1)).await;
        assert_eq!(lookup.get().await.as_deref(), Some(&1));
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(lookup.get().await.as_deref(), Some(&2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_look_is_repeated_rarely() {
        let lookup = counting(Duration::from_secs(2));
        assert_eq!(lookup.get().await.as_deref(), Some(&1));
        tokio::time::sleep(Duration::from_secs(39)).await;
        assert_eq!(lookup.get().await.as_deref(), Some(&1));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(lookup.get().await.as_deref(), Some(&2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_does_not_stop_the_look() {
        let lookup = counting(PATIENCE + Duration::from_secs(3));
        assert_eq!(lookup.get().await, None);
        assert_eq!(lookup.get().await.as_deref(), Some(&1), "the first look went on");
    }
}
