//! The answer to the final dot comes late, or not at all although the relay has taken the mail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::demo::catcher::{Act, Step};
use colloquy::relay::Timeouts;

use super::account;
use super::form::{Row, form};
use super::staged::{Staged, project};
use crate::support::on_both_engines;

const PEOPLE: usize = 200;

/// Each of these is staged so often.
const EACH: usize = 3;

/// How long a relay takes that answers in time, and one that does not: three minutes count for the text, ten for the dot.
const LATE: [u64; 3] = [30, 70, 9 * 60];
const TOO_LATE: u64 = 15 * 60;

/// In the short form all of this passes so many times as fast.
const FASTER: u32 = 60;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds) / form(FASTER, 1)
}

fn late(pause: u64) -> Act {
    Act::After(seconds(pause), Box::new(Act::Say("250 2.0.0 taken".into())))
}

on_both_engines! {
    async fn a_late_answer_counts_and_a_lost_one_is_unknown_and_nothing_is_sent_twice(db) {
        let mut row = Row::begin("answer after 30 s, 70 s, 9 min; lost", db.store.kind());
        let project = project(db, PEOPLE).await;
        let lost = [late(TOO_LATE), Act::Take(Box::new(Act::Close)), Act::Take(Box::new(Act::Stall))];
        let acts: Vec<Act> = LATE.map(late).into_iter().chain(lost.clone()).collect();
        let staged = acts.len() * EACH;
        let dots = AtomicUsize::new(0);
        let script = move |step, _: &str| {
            let dot = (step == Step::Dot).then(|| dots.fetch_add(1, Ordering::SeqCst))?;
            (dot < staged).then(|| acts[dot % acts.len()].clone())
        };
        let timeouts = Timeouts { dot: seconds(600), block: seconds(180), ..Timeouts::default() };
        let campaign = Staged::begin(&project, "late".into(), (50, timeouts), script).await;
        let run = campaign.send().await;
        let account = account::settled(&project, &campaign.journal, run.id).await;
        assert_eq!((account.messages, account.open), (PEOPLE, 0), "{account:?}");
        assert_eq!(account.unknown, lost.len() * EACH, "{account:?}");
        assert_eq!(account.taken.len(), PEOPLE, "the relay has taken what it did not answer");
        (row.times, row.messages, row.unknown) = (staged, account.messages, account.unknown);
    }
}
