//! Looks up mail hosts for limits that domains share by them. Nothing is sent later for it than a
//! look-up may take.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::relay::Exchanges;
use crate::relay::throttle::Throttle;

/// Look-ups at once; the resolver has its own limit, and each ends within seconds.
const AT_ONCE: usize = 64;

/// Who is asked at present.
pub type Current = Arc<RwLock<Arc<Exchanges>>>;

/// Looks up what is wanted until `stop`.
pub async fn keep(throttle: Arc<Throttle>, exchanges: Current, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let tasks = TaskTracker::new();
    while stop.run_until_cancelled(throttle.unresolved()).await.is_some() {
        for domain in throttle.take_unresolved() {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let exchanges = Arc::clone(&exchanges.read().unwrap_or_else(PoisonError::into_inner));
            let throttle = Arc::clone(&throttle);
            tasks.spawn(async move {
                let found = exchanges.find(&domain).await;
                throttle.found(domain, found);
                drop(place);
            });
        }
    }
    tasks.close();
    tasks.wait().await;
}
