//! The state machine of messages under random steps: nodes claim, mark, die and answer late, people
//! leave and come back, runs are paused, resumed and cancelled, time passes. Whatever the order, a
//! message moves by the arrows of `MessageState::may_become`, and whoever may not be mailed is not
//! claimed.

mod barred;
mod expected;
mod play;
mod step;

use std::collections::HashSet;

use colloquy::domain::message::MessageState;

use self::play::Play;
use crate::support::{database, on_both_engines};

/// So many plays there are at least; more, up to the limit, while an arrow was not seen.
const PLAYS: u64 = 4;
const LIMIT: u64 = 20;
const STEPS: usize = 300;

/// The arrows of the table that are not among these.
fn never(seen: &HashSet<(MessageState, MessageState)>) -> Vec<(MessageState, MessageState)> {
    let all = MessageState::ALL.into_iter().flat_map(|from| MessageState::ALL.map(|to| (from, to)));
    all.filter(|(from, to)| from.may_become(*to) && !seen.contains(&(*from, *to))).collect()
}

on_both_engines! {
    async fn messages_move_by_the_arrows_of_the_state_machine_and_by_each_of_them(db) {
        let mut seen = HashSet::new();
        for seed in 0..LIMIT {
            if seed >= PLAYS && never(&seen).is_empty() {
                break;
            }
            let stage = database(db.store.kind()).await;
            let mut play = Play::begin(stage.store.clone(), seed).await;
            for step in 0..STEPS {
                play.step(step).await;
            }
            seen.extend(play.arrows);
        }
        assert!(never(&seen).is_empty(), "the table allows what never happens: {:?}", never(&seen));
    }
}
