//! A primary that dies, and the standby that takes its place.

use std::time::Duration;

use colloquy::store::{Error, Store};

use super::{at, counter, holds, until_taken};
use crate::doctor::examined;
use crate::project::{Project, Settings};
use crate::support::cluster::Cluster;
use crate::support::dns;
use crate::support::process::Process;

const PEOPLE: usize = 1_500;
const CONNECTIONS: usize = 4;

fn both(first: &Cluster, second: &Cluster) -> String {
    format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/shop", first.port, second.port)
}

/// A primary with a database and its synchronous standby.
async fn pair() -> (Cluster, Cluster) {
    let primary = Cluster::start();
    primary.create("shop").await;
    let standby = primary.standby();
    (primary, standby)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_at_the_promoted_standby_and_nobody_is_mailed_twice() {
    fails_over(Cluster::crash).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_falls_silent_is_given_up_like_one_that_says_so() {
    fails_over(Cluster::freeze).await;
}

/// Sends, and replaces the primary meanwhile.
async fn fails_over(end: impl FnOnce(&Cluster)) {
    let (primary, standby) = pair().await;
    let (taken, script) = counter();
    let settings = Settings { relay: "connections = 4\nrate = \"400/s\"", ..Settings::default() };
    let mut project = Project::new(at(&both(&primary, &standby), None).await, settings, script).await;
    project.import(PEOPLE).await;
    let mut sender = Process::start(project.db.dir.path(), &["send", "hello"]);
    until_taken(&taken, 400).await;
    end(&primary);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sender.is_running(), "it waits");
    standby.promote();
    assert_eq!(sender.end().await, 0);
    holds(&mut project, PEOPLE, CONNECTIONS).await;
}

#[tokio::test]
async fn the_one_that_takes_writes_is_found_in_whichever_order_they_are_named() {
    let (primary, standby) = pair().await;
    for url in [both(&primary, &standby), both(&standby, &primary)] {
        let db = at(&url, None).await;
        db.store.write().await.unwrap().commit().await.unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open(&standby.url("shop"), dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::NoPrimary { .. }) && error.may_pass(), "{error}");
    let named = format!("127.0.0.1:{} takes no writes", standby.port);
    assert!(error.to_string().contains(&named), "{error}");
}

#[tokio::test]
async fn a_primary_that_comes_back_after_another_was_promoted_is_left_alone() {
    let (primary, standby) = pair().await;
    let db = at(&both(&primary, &standby), None).await;
    primary.crash();
    standby.promote();
    db.store.write().await.unwrap().commit().await.unwrap();
    // Alone it takes writes; it knows of no other.
    primary.start_again();
    let seen = |port| move |found: (i32,)| assert_eq!(found.0, i32::from(port));
    let sql = "SELECT CAST(current_setting('port') AS INTEGER)";
    db.store.read().await.unwrap().one(sql, vec![]).await.map(seen(standby.port)).unwrap();
    let other = at(&both(&primary, &standby), None).await;
    other.store.read().await.unwrap().one(sql, vec![]).await.map(seen(standby.port)).unwrap();
    standby.crash();
    let error = async { db.store.write().await?.commit().await }.await.unwrap_err();
    assert!(error.may_pass() && error.to_string().contains("old primary"), "{error}");
}

#[tokio::test]
async fn the_doctor_tells_what_each_server_is_and_whether_a_failover_forgets() {
    let (primary, standby) = pair().await;
    let project = Project::new(at(&both(&primary, &standby), None).await, Settings::default(), |_, _| None).await;
    let dns = dns::serve(vec![]).await;
    let (_, words, findings) = examined(&project, dns).await;
    for server in [&primary, &standby] {
        assert!(findings.contains(&format!("ok server 127.0.0.1:{}", server.port)), "{words}");
    }
    assert!(words.contains("synchronous_standby_names='standby'"), "{words}");
    standby.crash();
    let (_, words, findings) = examined(&project, dns).await;
    assert!(findings.contains(&format!("warn server 127.0.0.1:{}", standby.port)), "{words}");
}

#[tokio::test]
async fn no_error_tells_a_password() {
    let dir = tempfile::tempdir().unwrap();
    for url in ["postgres://u:s3cret@127.0.0.1:1,127.0.0.1:2/shop", "postgres://u:s3cret@127.0.0.1:1/shop"] {
        let error = Store::open(url, dir.path()).await.unwrap_err();
        assert!(error.may_pass(), "{error}");
        let words = format!("{error} {error:?}");
        assert!(words.contains("127.0.0.1:1") && !words.contains("s3cret"), "{words}");
    }
}
