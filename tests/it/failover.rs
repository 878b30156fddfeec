//! A relay that dies in the middle of a run, the one that takes over, and the first that comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use colloquy::demo::catcher::{Act, Catcher, Step};
use colloquy::domain::message::MessageState;
use colloquy::send::Ended;
use colloquy::store::EngineKind;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::support::database;

const PEOPLE: usize = 1_000;

/// The first relay dies after 100 mails and lives again once the second has taken 100. It is tried
/// again after 15 seconds, in which the campaign's own limit leaves enough for it to do.
#[tokio::test]
async fn relays_fail_over_and_come_back_and_nothing_is_lost_or_sent_twice() {
    let (dead, taken) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    let revived = Arc::clone(&dead);
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = second.local_addr().unwrap().port();
    let (mails, mut second_mails) = mpsc::channel(PEOPLE);
    let stop = CancellationToken::new();
    let by_second = AtomicUsize::new(0);
    let script = move |step, _: &str| {
        if step == Step::Dot && by_second.fetch_add(1, Ordering::SeqCst) == 99 {
            revived.store(false, Ordering::SeqCst);
        }
        None
    };
    tokio::spawn(Catcher::new(mails).with_script(script).run(second, stop.clone()));

    let relay = format!("connections = 3\n[[relay]]\nname = \"second\"\nurl = \"smtp://127.0.0.1:{port}\"\norder = 2");
    let campaign = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n[throttle]\nrate = \"40/s\"\n";
    let first = move |step, _: &str| match step {
        Step::Dot if taken.fetch_add(1, Ordering::SeqCst) == 99 => {
            dead.store(true, Ordering::SeqCst);
            None
        }
        Step::Greeting | Step::Mail if dead.load(Ordering::SeqCst) => Some(Act::Close),
        _ => None,
    };
    let settings = Settings { relay: &relay, campaign, ..Settings::default() };
    let mut project = Project::new(database(EngineKind::Sqlite).await, settings, first).await;
    project.import(PEOPLE).await;
    let (run, ended) = project.send().await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(project.count(&run, MessageState::Accepted).await, PEOPLE as i64);

    let first = project.drain();
    let mut second = Vec::new();
    while let Ok(mail) = second_mails.try_recv() {
        second.extend(mail.recipients);
    }
    assert!(first.len() > 110, "the first relay came back: {}", first.len());
    assert!(second.len() >= 100, "the second took over: {}", second.len());
    let mut all = [first, second].concat();
    assert_eq!(all.len(), PEOPLE, "nothing is lost");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), PEOPLE, "nothing comes twice");
    stop.cancel();
}
