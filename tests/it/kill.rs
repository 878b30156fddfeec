//! `kill -9` in the middle of a send: what the sink took, compared with what the database says.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::domain::message::MessageState;
use colloquy::store::runs;
use tokio::process::Command;

use crate::project::{Project, Settings};
use crate::support::on_both_engines;

const PEOPLE: usize = 1_500;
const CONNECTIONS: usize = 4;
/// Mails taken in all at which the sender is killed.
const KILLS: [usize; 3] = [150, 600, 900];

on_both_engines! {
    async fn a_killed_sender_repeats_nothing_and_loses_nothing(db) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let script = move |step, _: &str| {
            if step == colloquy::demo::catcher::Step::Dot { counter.fetch_add(1, Ordering::SeqCst); }
            None
        };
        let settings = Settings { relay: "connections = 4\nrate = \"400/s\"", ..Settings::default() };
        let mut project = Project::new(db, settings, script).await;
        project.import(PEOPLE).await;
        for kill_at in KILLS {
            let mut child = send(&project);
            while taken.load(Ordering::SeqCst) < kill_at {
                assert!(child.try_wait().unwrap().is_none(), "the sender ended before it was killed");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            child.kill().await.unwrap();
        }
        assert!(send(&project).wait().await.unwrap().success());

        let run = runs::recent(&mut project.db.store.read().await.unwrap(), Some("hello")).await.unwrap().remove(0);
        let unknown = project.count(&run, MessageState::Unknown).await as usize;
        let accepted = project.count(&run, MessageState::Accepted).await as usize;
        assert_eq!(accepted + unknown, PEOPLE);
        assert!(unknown <= KILLS.len() * CONNECTIONS, "{unknown} unknown");
        let mut times: HashMap<String, usize> = HashMap::new();
        for recipient in project.drain() {
            *times.entry(recipient).or_default() += 1;
        }
        let repeated: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(repeated.is_empty(), "{repeated:?}");
        let missing = PEOPLE - times.len();
        assert!(missing <= unknown, "{missing} missing, {unknown} unknown");
    }
}

fn send(project: &Project) -> tokio::process::Child {
    Command::new(env!("CARGO_BIN_EXE_colloquy"))
        .args(["-C", project.db.dir.path().to_str().unwrap(), "send", "hello"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
