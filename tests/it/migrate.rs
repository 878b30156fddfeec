//! `colloquy migrate`, through the finished program, with a real PostgreSQL.

use std::collections::HashSet;
use std::fs;
use std::process::{Command, Stdio};

use colloquy::args;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::time::Micros;
use colloquy::store::{EngineKind, Error, Store, nodes};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::project::{Project, Settings};
use crate::support::{database, program};

const PEOPLE: usize = 400;
const ADD: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
    INSERT INTO recipients (address, domain, address_hash, attributes, created_at)
    SELECT 'p' || i || '@example.org', 'example.org', randomblob(32), '{\"number\": ' || i || '.0}', i FROM n";

/// A PostgreSQL database without anything.
async fn empty_database() -> String {
    let url = database(EngineKind::Postgres).await.url;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
    url
}

/// What is asked of the program about this project.
fn about<'a>(project: &'a Project, words: &[&'a str]) -> Vec<&'a str> {
    [&["-C", project.db.dir.path().to_str().unwrap()], words].concat()
}

fn command(project: &Project, words: &[&str]) -> Command {
    program::command(&about(project, words))
}

async fn colloquy(project: &Project, words: &[&str]) -> (i32, String) {
    program::colloquy(&about(project, words)).await
}

async fn done(project: &Project, words: &[&str]) -> String {
    program::done(&about(project, words)).await
}

/// Names another database in the project's file.
fn use_database(project: &Project, url: &str) {
    let path = project.db.dir.path().join("config/colloquy.toml");
    let text = fs::read_to_string(&path).unwrap().replace(&project.db.url, url);
    fs::write(path, text).unwrap();
}

async fn rows(url: &str, table: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap_or(0)
}

async fn change(store: &Store, sql: &'static str, args: Vec<colloquy::store::Value>) -> Result<(), Error> {
    let mut tx = store.write().await?;
    tx.execute(sql, args).await?;
    tx.commit().await
}

/// What the program tells of a project, whatever its engine.
async fn told(project: &Project) -> Vec<String> {
    let mut told =
        vec![done(project, &["status", "--json"]).await, done(project, &["report", "hello", "--json"]).await];
    for number in [1, 7, PEOPLE - 1] {
        let address = format!("a{number}@example.org");
        told.push(done(project, &["recipient", "export", &address]).await);
    }
    told.push(done(project, &["consent", "verify"]).await);
    told
}

#[tokio::test]
async fn a_project_in_the_middle_of_a_run_moves_and_goes_on() {
    let script = |step, line: &str| match step {
        Step::Rcpt if line.contains("<a7@") => Some(Act::Say("550 5.7.1 not you".into())),
        Step::Rcpt if line.contains("<a9@") => Some(Act::Say("451 4.3.0 later".into())),
        _ => None,
    };
    let settings = Settings { relay: "connections = 2\nrate = \"100/s\"", ..Settings::default() };
    let mut project = Project::new(database(EngineKind::Sqlite).await, settings, script).await;
    project.import(PEOPLE).await;
    let mut sender = command(&project, &["send", "hello"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut taken: Vec<String> = Vec::new();
    while taken.len() < PEOPLE / 2 {
        taken.extend(project.caught.recv().await.unwrap().recipients);
    }
    let stopped = Command::new("kill").arg(sender.id().to_string()).status().unwrap();
    assert!(stopped.success());
    tokio::task::spawn_blocking(move || sender.wait().unwrap()).await.unwrap();
    fs::write(
        project.db.dir.path().join("shop.csv"),
        "id,address,kind,category,at\n1,a1@example.org,conversion,running,2026-11-01T10:00:00Z\n",
    )
    .unwrap();
    let shop = project.db.dir.path().join("shop.csv").to_str().unwrap().to_owned();
    done(&project, &["score", "rebuild"]).await;
    // It waits for a scorer, so that no score fades meanwhile.
    done(&project, &["actions", "import", &shop]).await;
    let before = told(&project).await;

    let target = empty_database().await;
    let said = done(&project, &["migrate", "--to", &target]).await;
    assert!(said.contains("400  recipients"), "{said}");
    let late = change(&project.db.store, "UPDATE recipients SET tracking = $1", args![true]).await;
    assert!(late.unwrap_err().to_string().contains("this database was moved"), "a process that runs is refused, too");
    let (_, said) = colloquy(&project, &["doctor"]).await;
    assert!(said.contains("this database was moved to postgres://127.0.0.1"), "{said}");
    let (code, said) = colloquy(&project, &["status"]).await;
    assert!(code == 1 && said.contains("moved to postgres://127.0.0.1"), "{code} {said}");

    use_database(&project, &target);
    assert_eq!(told(&project).await, before);
    assert!(done(&project, &["score", "rebuild"]).await.contains("Actions that had waited are scored now: 1"));
    let (_, said) = colloquy(&project, &["send", "hello"]).await;
    while let Ok(mail) = project.caught.try_recv() {
        taken.extend(mail.recipients);
    }
    let once: HashSet<_> = taken.iter().collect();
    assert_eq!((taken.len(), once.len()), (PEOPLE - 2, PEOPLE - 2), "{said}");
    fs::write(project.db.dir.path().join("more.csv"), "address\nnew@example.org\n").unwrap();
    let more = project.db.dir.path().join("more.csv").to_str().unwrap().to_owned();
    done(&project, &["import", &more, "--topic", "news", "--source", "a new one"]).await;
    let mut connection = PgConnection::connect(&target).await.unwrap();
    let newest =
        "SELECT COUNT(*) FROM recipients WHERE id > (SELECT MIN(id) FROM recipients WHERE address = 'new@example.org')";
    assert_eq!(sqlx::query_scalar::<_, i64>(newest).fetch_one(&mut connection).await.unwrap(), 0, "its number is new");
}

#[tokio::test]
async fn a_move_that_is_killed_goes_on_and_begins_anew_if_the_source_was_used() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    change(&project.db.store, ADD, args![60_000_i64]).await.unwrap();
    let target = empty_database().await;
    for used in [false, true] {
        let mut moving = command(&project, &["migrate", "--to", &target]).stderr(Stdio::null()).spawn().unwrap();
        let goal = if used { 30_000 } else { 5_000 };
        while rows(&target, "recipients").await < goal {
            assert!(moving.try_wait().unwrap().is_none(), "it ended before it was killed");
        }
        moving.kill().unwrap();
        moving.wait().unwrap();
        let opened = Store::open(&target, project.db.dir.path()).await;
        assert!(matches!(opened, Err(Error::Moving)), "{opened:?}");
        if used {
            let sql = "UPDATE recipients SET attributes = $1 WHERE id = 17";
            change(&project.db.store, sql, args!["{\"number\": 17.5}"]).await.unwrap();
        }
    }
    let said = done(&project, &["migrate", "--to", &target]).await;
    assert!(said.contains("begins anew") && said.contains("60000  recipients"), "{said}");
    for other in [target.clone(), empty_database().await] {
        let (code, said) = colloquy(&project, &["migrate", "--to", &other]).await;
        assert!(code != 0 && said.contains("this database was moved to postgres://127.0.0.1"), "{code} {said}");
    }
    let store = Store::open(&target, project.db.dir.path()).await.unwrap();
    let mut session = store.read().await.unwrap();
    let sql = "SELECT COUNT(*), COUNT(DISTINCT id), CAST(SUM(created_at) AS BIGINT) FROM recipients";
    let counts: (i64, i64, i64) = session.one(sql, vec![]).await.unwrap();
    assert_eq!(counts, (60_000, 60_000, 60_000 * 60_001 / 2));
    let changed = "SELECT CAST(attributes AS TEXT) FROM recipients WHERE id = 17";
    assert_eq!(session.one::<(String,)>(changed, vec![]).await.unwrap().0, "{\"number\": 17.5}");
}

#[tokio::test]
async fn what_postgres_cannot_hold_is_replaced_and_told() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    project.import(2).await;
    let sql = "UPDATE recipients SET attributes = $1 WHERE id = (SELECT MIN(id) FROM recipients)";
    change(&project.db.store, sql, args!["{\"first_name\": \"A\\u0000na\"}"]).await.unwrap();
    let sql = "INSERT INTO pleas (at, relay, domain, reason) VALUES ($1, $2, $3, $4)";
    change(&project.db.store, sql, args![Micros(1), "main", "example.org", "4.7.0\0 slow"]).await.unwrap();
    let target = empty_database().await;
    let said = done(&project, &["migrate", "--to", &target]).await;
    assert_eq!(said.matches("1  texts in it had a NUL").count(), 2, "{said}");
    let mut connection = PgConnection::connect(&target).await.unwrap();
    let reason: String = sqlx::query_scalar("SELECT reason FROM pleas").fetch_one(&mut connection).await.unwrap();
    assert_eq!(reason, "4.7.0\u{fffd} slow");
}

#[tokio::test]
async fn what_must_not_be_moved_is_refused_with_a_hint() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    project.import(3).await;
    let used = database(EngineKind::Postgres).await;
    change(
        &used.store,
        "INSERT INTO suppressions (hash, at, reason) VALUES ($1, 1, 'complaint')",
        args![vec![1_u8; 32]],
    )
    .await
    .unwrap();
    for (words, expected) in [
        (vec!["--to", used.url.as_str()], "the target is not empty: there is something in suppressions"),
        (vec!["--from", "sqlite:nowhere.db", "--to", used.url.as_str()], "there is no database"),
        (vec!["--from", used.url.as_str(), "--to", used.url.as_str()], "a move goes from sqlite:FILE"),
        (vec!["--to", "mysql://db/x"], "not from 'sqlite:' to 'mysql:'"),
        (vec!["--to", "sqlite:other.db"], "a move goes from sqlite:FILE to postgres://"),
        (vec!["--to", "postgres://who:hidden@127.0.0.1:1/x"], "the database postgres://127.0.0.1:1/x cannot be opened"),
    ] {
        let (code, said) = colloquy(&project, &[&["migrate"], words.as_slice()].concat()).await;
        assert!(code != 0 && said.contains(expected) && !said.contains("hidden"), "{words:?}: {code} {said}");
    }

    let mut tx = project.db.store.write().await.unwrap();
    let node = nodes::register(&mut tx, "here", Micros(1)).await.unwrap();
    tx.commit().await.unwrap();
    let target = empty_database().await;
    let mut words = command(&project, &["migrate", "--to", &target]);
    let mut refused = tokio::task::spawn_blocking(move || words.output().unwrap());
    let said = loop {
        tokio::select! {
            output = &mut refused => break String::from_utf8(output.unwrap().stderr).unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(300)) => {
                let mut tx = project.db.store.write().await.unwrap();
                nodes::beat(&mut tx, node).await.unwrap();
                tx.commit().await.unwrap();
            }
        }
    };
    assert!(said.contains("1 process sends from this database"), "{said}");
    let states = project.db.store.read().await.unwrap().one::<(i64,)>("SELECT COUNT(*) FROM recipients", vec![]).await;
    assert_eq!(states.unwrap().0, 3);
}

#[tokio::test]
async fn a_target_that_was_only_looked_at_is_empty_still() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    project.import(3).await;
    let target = empty_database().await;
    let file = project.db.dir.path().join("config/colloquy.toml");
    let before = fs::read(&file).unwrap();
    use_database(&project, &target);
    done(&project, &["status"]).await;
    fs::write(&file, before).unwrap();
    let said = done(&project, &["migrate", "--to", &target]).await;
    assert!(said.contains("3  recipients"), "{said}");
    use_database(&project, &target);
    done(&project, &["status"]).await;
}
