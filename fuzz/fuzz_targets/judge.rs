//! Any account is judged, and nobody is dead by a failure for now, a delay, or beside words of another cause.
#![no_main]

use colloquy::domain::inbound::{Account, Consequence, Stage, enhanced, judge, reply_code};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (bool, u8, String)| {
    let (delayed, step, words) = data;
    let stages = [Stage::Unsaid, Stage::Connect, Stage::Mail, Stage::Rcpt, Stage::Data];
    let stage = stages[usize::from(step) % stages.len()];
    let account = Account { delayed, status: enhanced(&words), reply: reply_code(&words), stage, words };
    let found = judge(&account);
    let passes = delayed
        || account.status.is_some_and(|status| status.class == 4)
        || account.reply.is_some_and(|reply| reply / 100 == 4);
    if found.consequence == Consequence::Dead {
        assert!(found.hard && !passes, "{account:?} {found:?}");
        assert!(!matches!(stage, Stage::Connect | Stage::Mail), "{account:?} {found:?}");
        let doubted = judge(&Account { words: format!("blocked by policy {}", account.words), ..account.clone() });
        assert_ne!(doubted.consequence, Consequence::Dead, "{account:?}");
    }
    assert!(account.line().len() <= 1 << 20);
});
