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

use self::play::{Play, Stage};
use crate::faults::form::{Row, form, seeds};
use crate::support::on_both_engines;

/// So many plays there are at least; more, up to the limit, while an arrow was not seen.
const PLAYS: u64 = 20;
const LIMIT: u64 = 100;
const STEPS: usize = 60;

/// The arrows of the table that are not among these.
fn never(seen: &HashSet<(MessageState, MessageState)>) -> Vec<(MessageState, MessageState)> {
    let all = MessageState::ALL.into_iter().flat_map(|from| MessageState::ALL.map(|to| (from, to)));
    all.filter(|(from, to)| from.may_become(*to) && !seen.contains(&(*from, *to))).collect()
}

on_both_engines! {
    async fn messages_move_by_the_arrows_of_the_state_machine_and_by_each_of_them(db) {
        let mut row = Row::begin(format!("random steps of the state machine, {STEPS} a seed"), db.store.kind());
        let mut seen = HashSet::new();
        let stage = Stage::set(db.store).await;
        let seeds = seeds(LIMIT, 10_000);
        let asked = seeds.clone().count() == 1;
        for seed in seeds {
            println!("seed {seed}");
            if form(true, false) && seed >= PLAYS && never(&seen).is_empty() {
                break;
            }
            let mut play = Play::begin(&stage, seed).await;
            play.tells = asked || form(true, false);
            for step in 0..STEPS {
                play.step(step).await;
            }
            row.times += 1;
            row.messages += play.messages();
            seen.extend(play.arrows);
        }
        assert!(asked || never(&seen).is_empty(), "the table allows what never happens: {:?}", never(&seen));
    }
}
