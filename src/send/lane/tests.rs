//! Relays that refuse, on a paused clock.

use super::*;
use crate::domain::outcome::Stage;
use crate::domain::relay::{RelayConfig, RelayUrl};
use crate::relay::Options;

fn lane() -> Arc<Lane> {
    let config = RelayConfig::new("main", RelayUrl::File("outbox".into()));
    Arc::new(Lane::new(Relay::new(config, None, Options::new("shop.example")).unwrap(), &Throttle::new()))
}

fn error(permanence: Permanence) -> OpenError {
    OpenError { stage: Stage::Auth, permanence, words: "535 no".into(), reply: None }
}

async fn pauses(lane: &Lane, permanence: Permanence, times: usize) -> Vec<u64> {
    let mut pauses = Vec::new();
    for _ in 0..times {
        let (_, pause) = lane.refused(error(permanence));
        // The second connection fails at the same time.
        assert_eq!(lane.refused(error(permanence)).1, pause);
        pauses.push(pause.as_secs());
        tokio::time::sleep(pause).await;
    }
    pauses
}

#[tokio::test(start_paused = true)]
async fn who_refuses_for_good_is_asked_less_and_less_often() {
    let lane = lane();
    assert_eq!(pauses(&lane, Permanence::Permanent, 8).await, [15, 30, 60, 120, 240, 480, 900, 900]);
    drop(lane.opened());
    assert_eq!(pauses(&lane, Permanence::Permanent, 2).await, [15, 30]);
    assert_eq!(pauses(&lane, Permanence::Temporary, 3).await, [15, 15, 15]);
}

#[tokio::test(start_paused = true)]
async fn only_a_relay_that_is_down_for_good_counts_as_refusing() {
    let lane = lane();
    let held = lane.opened();
    lane.refused(error(Permanence::Permanent));
    assert!(lane.is_up() && lane.refusal().is_none(), "others are open");
    drop(held);
    lane.refused(error(Permanence::Temporary));
    assert!(!lane.is_up() && lane.refusal().is_none(), "it may come back");
    tokio::time::sleep(DOWN).await;
    lane.refused(error(Permanence::Permanent));
    assert_eq!(lane.refusal(), Some(error(Permanence::Permanent)));
    drop(lane.opened());
    assert_eq!(lane.refusal(), None);
}
