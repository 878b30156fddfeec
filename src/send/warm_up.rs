//! Draws slices of what relays may hand over today while they warm up, and begins their days.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::clock::Clock;
use crate::domain::warm_up::{Day, WarmUp};
use crate::metrics::Metrics;
use crate::relay::throttle::{Slice, Throttle};
use crate::store::warm_ups::{self, Amount};
use crate::store::{Result, Store};

/// How often it is looked whether another day has begun, where nothing is wanted meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// Draws what is wanted until `stop`; then what is left is given back.
pub async fn keep(throttle: Arc<Throttle>, store: Store, clock: Clock, metrics: Metrics, stop: CancellationToken) {
    let mut told = HashSet::new();
    loop {
        let woken = stop.run_until_cancelled(async {
            tokio::select! {
                () = throttle.wanting() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        });
        if woken.await.is_none() {
            break;
        }
        for (relay, warm_up) in throttle.warm_ups() {
            let day = warm_up.day(clock.now());
            let wanted = throttle.begin_day(&relay, day);
            if wanted.is_empty() {
                continue;
            }
            match draw(&store, &warm_up, day, wanted, &metrics).await {
                Ok(slices) => {
                    for slice in slices {
                        throttle.grant(day, &slice);
                        if slice.messages == 0 && told.insert((slice.relay.clone(), slice.domain.clone(), day.date)) {
                            let Slice { relay, domain, .. } = slice;
                            info!(relay, domain, until = %day.ends, "the warm-up allows no more today");
                        }
                    }
                }
                // It is wanted still, and asked for again with the next look.
                Err(error) => {
                    debug!(%error, "nothing could be drawn for the warm-up");
                    tokio::time::sleep(LOOK).await;
                }
            }
            told.retain(|(_, _, date)| *date == day.date);
        }
    }
    if let Err(error) = give_back(&store, throttle.take_unused()).await {
        debug!(%error, "what was left of the warm-up could not be given back");
    }
}

/// The slices as far as the amounts of the day reach.
async fn draw(store: &Store, warm_up: &WarmUp, day: Day, wanted: Vec<Slice>, metrics: &Metrics) -> Result<Vec<Slice>> {
    let date = day.date.to_string();
    let mut slices = Vec::with_capacity(wanted.len());
    let mut tx = store.write().await?;
    for slice in wanted {
        let allowed = warm_up.allowed(slice.domain.as_deref(), day.number).unwrap_or(u32::MAX);
        let amount = Amount { relay: &slice.relay, domain: slice.domain.as_deref(), day: &date };
        let (messages, left) = warm_ups::draw(&mut tx, amount, allowed, slice.messages).await?;
        metrics.set_warm_up_left(&slice.relay, slice.domain.as_deref(), left.into());
        slices.push(Slice { messages, ..slice });
    }
    tx.commit().await?;
    Ok(slices)
}

async fn give_back(store: &Store, unused: Vec<(Day, Slice)>) -> Result<()> {
    if unused.is_empty() {
        return Ok(());
    }
    let mut tx = store.write().await?;
    for (day, slice) in unused {
        let date = day.date.to_string();
        let amount = Amount { relay: &slice.relay, domain: slice.domain.as_deref(), day: &date };
        warm_ups::give_back(&mut tx, amount, slice.messages).await?;
    }
    tx.commit().await
}
