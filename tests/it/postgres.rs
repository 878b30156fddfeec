//! PostgreSQL as one runs it: behind a pooler, with a standby, and away for a while.

mod away;
mod commits;
mod failover;
mod pooler;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::message::MessageState;
use colloquy::store::runs::{self, Run};
use colloquy::store::{Place, Store};

use crate::project::Project;
use crate::support::Database;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0";

/// A database at an address that the test puts together.
pub async fn at(url: &str, direct_url: Option<&str>) -> Database {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Place { url, direct_url }, dir.path()).await.unwrap();
    // The project's file gets both lines.
    let direct = direct_url.map(|direct| format!("\"\ndirect_url = \"{direct}")).unwrap_or_default();
    Database { dir, url: format!("{url}{direct}"), store }
}

/// How many mails the relay has taken, and what counts them.
fn counter() -> (Arc<AtomicUsize>, impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    (taken, move |step, _: &str| {
        if step == Step::Dot {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        None
    })
}

async fn until_taken(taken: &AtomicUsize, mails: usize) {
    while taken.load(Ordering::SeqCst) < mails {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Everybody was mailed once, or is one of the few whose fate is unknown.
async fn holds(project: &mut Project, people: usize, most_unknown: usize) {
    let run = last_run(project).await;
    let unknown = project.count(&run, MessageState::Unknown).await as usize;
    let accepted = project.count(&run, MessageState::Accepted).await as usize;
    assert_eq!(accepted + unknown, people, "{unknown} unknown");
    assert!(unknown <= most_unknown, "{unknown} unknown");
    let mut times: HashMap<String, usize> = HashMap::new();
    for recipient in project.drain() {
        *times.entry(recipient).or_default() += 1;
    }
    let repeated: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    let missing = people - times.len();
    assert!(missing <= unknown, "{missing} missing, {unknown} unknown");
}

async fn count(store: &Store, what: &str) -> colloquy::store::Result<i64> {
    let sql = format!("SELECT COUNT(*) FROM {what}");
    Ok(store.read().await?.one::<(i64,)>(sql, vec![]).await?.0)
}

/// A connection that was kept while the server ended says so to whoever uses it first.
async fn until(store: &Store, what: &str, rows: i64) {
    for _ in 0..1_200 {
        if count(store, what).await.is_ok_and(|found| found == rows) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?} rows of {what} instead of {rows}", count(store, what).await);
}

async fn last_run(project: &Project) -> Run {
    runs::recent(&mut project.db.store.read().await.unwrap(), Some("hello")).await.unwrap().remove(0)
}
