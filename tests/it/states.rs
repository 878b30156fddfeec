//! The state machine of messages under random steps: nodes claim, mark, die and answer late, people
//! leave and come back, runs are paused, resumed and cancelled, time passes. Whatever the order, a
//! message moves by the arrows of `MessageState::may_become`, and whoever may not be mailed is not
//! claimed.

mod expected;
mod play;
mod step;

use std::collections::HashSet;

use colloquy::domain::message::MessageState;

use self::play::Play;
use crate::support::{database, on_both_engines};

const SEEDS: std::ops::Range<u64> = 0..4;
const STEPS: usize = 300;

on_both_engines! {
    async fn messages_move_by_the_arrows_of_the_state_machine_and_by_each_of_them(db) {
        let mut seen = HashSet::new();
        for seed in SEEDS {
            let stage = database(db.store.kind()).await;
            let mut play = Play::begin(stage.store.clone(), seed).await;
            for step in 0..STEPS {
                play.step(step).await;
            }
            seen.extend(play.arrows);
        }
        let never: Vec<_> = MessageState::ALL
            .into_iter()
            .flat_map(|from| MessageState::ALL.map(|to| (from, to)))
            .filter(|(from, to)| from.may_become(*to) && !seen.contains(&(*from, *to)))
            .collect();
        assert!(never.is_empty(), "the table allows what never happens: {never:?}");
    }
}
