//! Parts of the service that begin anew when another version governs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::{Governed, Governing};
use crate::clock::Clock;
use crate::config::Look;
use crate::domain::project::Choices;
use crate::domain::score::{ClusterRules, ScoreRules};
use crate::domain::token::Keyring;
use crate::metrics::Metrics;
use crate::pages::join::{Desk, Joining};
use crate::pages::{self, Pages};
use crate::score::{self, Scorer};
use crate::store::Store;
use crate::web::{Answer, Handler};

/// The pages, in the words of the version that governs.
#[derive(Clone)]
pub(super) struct RenewedPages(watch::Receiver<Joining<Pages>>);

impl Handler for RenewedPages {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let pages = self.0.borrow().clone();
        pages.answer(request, peer).await
    }

    fn too_many(&self, request: &Request<Incoming>, seconds: u16) -> Answer {
        self.0.borrow().too_many(request, seconds)
    }
}

/// The pages, and what renews them until `end`.
pub(super) fn pages(
    keyring: Arc<Keyring>,
    desk: Desk,
    store: Store,
    clock: Clock,
    mut governed: Governed,
    end: CancellationToken,
) -> (RenewedPages, impl Future<Output = ()> + Send) {
    let desk = Arc::new(desk);
    let make = move |governing: &Option<Arc<Governing>>| {
        let loaded = governing.as_ref().map(|it| &it.loaded);
        let mut options = loaded.map_or_else(plain, pages::Options::from);
        options.version = governing.as_ref().map(|it| it.version);
        let (keys, store, clock) = (Arc::clone(&keyring), store.clone(), clock.clone());
        let known = (desk.hash_key.clone(), desk.proxies.clone());
        let pages = Pages::new(Arc::clone(&keys), known, store.clone(), clock.clone(), options.clone());
        Joining::new(keys, store, clock, Arc::clone(&desk), (options, loaded), pages)
    };
    let (renewed, current) = watch::channel(make(&governed.borrow_and_update()));
    let renewal = async move {
        while changed(&mut governed, &end).await {
            renewed.send_replace(make(&governed.borrow_and_update()));
        }
    };
    (RenewedPages(current), renewal)
}

/// What pages say while no version governs: they work, and name nobody.
fn plain() -> pages::Options {
    pages::Options {
        sender: String::new(),
        locale: "en".to_owned(),
        imprint_url: None,
        topics: BTreeMap::new(),
        choices: Choices::default(),
        editable: Vec::new(),
        languages: Vec::new(),
        base_url: String::new(),
        score: ScoreRules::default(),
        cluster: ClusterRules::default(),
        timezone: "UTC".to_owned(),
        look: Look::default(),
        version: None,
    }
}

/// Scores by the rules of the version that governs until `end`. Before there is one, nothing is scored.
pub(super) async fn score(
    store: Store,
    clock: Clock,
    metrics: Metrics,
    mut governed: Governed,
    end: CancellationToken,
) {
    loop {
        let governing = governed.borrow_and_update().clone();
        let Some(options) = governing.map(|it| score::Options::from(&it.loaded.project)) else {
            if changed(&mut governed, &end).await {
                continue;
            }
            return;
        };
        let over = end.child_token();
        let scorer = Scorer::new(store.clone(), clock.clone(), options.clone());
        let renewed = async {
            while changed(&mut governed, &end).await {
                let same = |it: &Arc<Governing>| score::Options::from(&it.loaded.project) == options;
                if !governed.borrow_and_update().as_ref().is_some_and(same) {
                    break;
                }
            }
            over.cancel();
        };
        tokio::join!(scorer.run(metrics.clone(), over.clone()), renewed);
        if end.is_cancelled() {
            return;
        }
    }
}

/// Waits for another version; `false` at the end.
async fn changed(governed: &mut Governed, end: &CancellationToken) -> bool {
    tokio::select! {
        () = end.cancelled() => false,
        changed = governed.changed() => changed.is_ok(),
    }
}
