//! A relay that misbehaves: each step in each way, on one connection and on fifty.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::args;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::message::MessageState;
use colloquy::relay::Timeouts;
use colloquy::store::EngineKind;
use futures_util::{StreamExt as _, stream};

use super::account;
use super::form::{Row, form};
use super::staged::{Staged, project};
use crate::support::{database, on_both_engines};

const STEPS: [Step; 6] = [Step::Greeting, Step::Ehlo, Step::Mail, Step::Rcpt, Step::Data, Step::Dot];
const WAYS: [&str; 6] = ["4yz", "5yz", "421", "garbage", "closes", "stalls"];

/// Longer than this machine is ever busy, shorter than anybody wants to wait.
const BRIEF: Duration = Duration::from_secs(4);

/// So many cells are staged at once.
const AT_ONCE: usize = 9;

fn act(way: &str) -> Act {
    match way {
        "4yz" => Act::Say("450 4.3.0 later".into()),
        "5yz" => Act::Say("554 5.0.0 never".into()),
        "421" => Act::SayAndClose("421 4.3.2 closing".into()),
        "garbage" => Act::Say("\u{1}what?".into()),
        "closes" => Act::Close,
        _ => Act::Stall,
    }
}

/// The limits of the RFC, but for the step at which the relay stalls.
fn timeouts(step: Step, way: &str) -> Timeouts {
    let mut timeouts = Timeouts::default();
    if way == "stalls" {
        match step {
            Step::Greeting => timeouts.greeting = BRIEF,
            Step::Ehlo => (timeouts.greeting, timeouts.command) = (BRIEF, BRIEF),
            Step::Mail => timeouts.mail = BRIEF,
            Step::Rcpt => timeouts.rcpt = BRIEF,
            Step::Data => timeouts.data = BRIEF,
            _ => (timeouts.block, timeouts.dot) = (BRIEF, BRIEF),
        }
    }
    timeouts
}

on_both_engines! {
    async fn whatever_a_relay_does_at_whatever_step_nothing_is_lost_or_sent_twice(db) {
        let kind = db.store.kind();
        let (few, many) = (form(kind == EngineKind::Sqlite, true), form(kind == EngineKind::Postgres, true));
        // The short form is short of databases.
        let steps = if form(many, false) { &STEPS[3..] } else { &STEPS[..] };
        for connections in [1, 50].into_iter().filter(|connections| if *connections == 1 { few } else { many }) {
            let mut row = Row::begin(format!("relay misbehaves, {connections} connections"), kind);
            let cells = steps.iter().flat_map(|step| WAYS.map(|way| (*step, way)));
            let staged = cells.map(|(step, way)| stage(kind, step, way, connections));
            let accounts: Vec<_> = stream::iter(staged).buffer_unordered(AT_ONCE).collect().await;
            for (messages, unknown) in accounts {
                row.times += 1;
                row.messages += messages;
                row.unknown += unknown;
            }
        }
    }
}

/// Sends a campaign while the relay misbehaves once for each connection; how many messages there were, and how many
/// are `unknown`.
async fn stage(kind: EngineKind, step: Step, way: &str, connections: u16) -> (usize, usize) {
    // With one connection most messages would only wait for the last one.
    let people = if connections == 1 { 6 } else { 90 };
    let project = project(database(kind).await, people).await;
    let cell = format!("{step:?}-{way}-{connections}").to_ascii_lowercase();
    let (acted, most) = (Arc::new(AtomicUsize::new(0)), usize::from(connections));
    let (counter, misbehaviour) = (Arc::clone(&acted), act(way));
    let script = move |now, _: &str| {
        let now = now == step && counter.fetch_add(1, Ordering::SeqCst) < most;
        now.then(|| misbehaviour.clone())
    };
    let staged = Staged::begin(&project, cell.clone(), (connections, timeouts(step, way)), script).await;
    let run = staged.send().await;
    let account = account::settled(&project, &staged.journal, run.id).await;
    let acted = acted.load(Ordering::SeqCst).min(most);
    let rejected = project.count(&run, MessageState::Rejected).await as usize;
    assert!(acted > 0, "{cell} was not staged");
    assert_eq!(account.open, 0, "{cell}: {account:?}");
    assert_eq!(account.accepted + account.unknown + rejected, account.messages, "{cell}: {account:?}");
    let of_a_message = !matches!(step, Step::Greeting | Step::Ehlo);
    let swallowed = step == Step::Dot && matches!(way, "garbage" | "closes" | "stalls");
    assert_eq!(account.unknown, if swallowed { acted } else { 0 }, "{cell}: {account:?}");
    let sql = "SELECT DISTINCT reply FROM messages WHERE state = 'rejected'";
    let replies: Vec<(Option<String>,)> = project.db.store.read().await.unwrap().all(sql, args![]).await.unwrap();
    assert_eq!(rejected, if of_a_message && way == "5yz" { acted } else { 0 }, "{cell}: {replies:?}");
    assert_eq!(account.taken.len(), account.accepted, "{cell}: what was not answered was not taken here");
    (account.messages, account.unknown)
}
