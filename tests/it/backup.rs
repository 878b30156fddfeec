//! `colloquy backup` and `restore`, through the finished program.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::id::RecipientId;
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::token::{Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::services::{Role, Services};
use colloquy::store::spool::Spool;
use colloquy::store::{EngineKind, Store, runs};

use crate::project::{Project, Settings};
use crate::service::get;
use crate::support::database;
use crate::support::program::{colloquy, command, done, said};

const PEOPLE: usize = 1_000;

/// A small project, and a directory beside it.
async fn project(people: usize) -> (Project, tempfile::TempDir) {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    project.import(people).await;
    (project, tempfile::tempdir().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn root(project: &Project) -> &str {
    text(project.db.dir.path())
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// All that is in a directory, hidden or not.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn change(store: &Store, sql: &'static str, args: Vec<colloquy::store::Value>) {
    let mut tx = store.write().await.unwrap();
    tx.execute(sql, args).await.unwrap();
    tx.commit().await.unwrap();
}

/// The links of hits in a database and its spool.
async fn links(root: &Path, store: &Store) -> BTreeSet<u16> {
    let sql = "SELECT link FROM hits";
    let forwarded: Vec<(i64,)> = store.read().await.unwrap().all(sql, vec![]).await.unwrap();
    let spool = Spool::open(&root.join("spool.db")).await.unwrap();
    let waiting = spool.batch(100_000).await.unwrap().into_iter().map(|spooled| spooled.hit.link);
    waiting.chain(forwarded.into_iter().map(|(link,)| u16::try_from(link).unwrap())).collect()
}

#[tokio::test]
async fn a_backup_made_while_mails_go_out_and_hits_come_in_is_a_whole_project_elsewhere() {
    // The relay goes on as mails are taken from it, so that the run does not end before the last backup.
    let db = database(EngineKind::Sqlite).await;
    let mut project = Project::with_room(db, Settings::default(), 100, |_, _| None).await;
    project.import(PEOPLE).await;
    let app = project.app();
    let keys = app.secrets().unwrap().keyring();
    let run = app.begin(&project.db.store, app.campaign("hello").unwrap(), true).await.unwrap();
    let stop = Stop::default();
    let services = Services::start(app.site(), &Role::ALL, stop.clone()).await.unwrap();
    let at = services.web.unwrap();
    let click = async |link: u16| {
        let url = "https://shop.example/run".to_owned();
        let purpose = Purpose::Click { link, item: 0, category: "running".into(), url };
        let token = keys.sign(&Token { run: run.id, recipient: RecipientId(i64::from(link % 100) + 1), purpose });
        let answer = get(at, &format!("/c/{token}")).await;
        assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
    };
    while project.count(&run, MessageState::Accepted).await < 40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let other = tempfile::tempdir().unwrap();
    let mut link = 0;
    let mut mailed = Vec::new();
    for name in ["first", "second", "third"] {
        let before: BTreeSet<u16> = (0..link + 40).collect();
        while link < before.len() as u16 {
            click(link).await;
            link += 1;
        }
        mailed.extend(project.drain());
        let target = other.path().join(name);
        let words = ["-C", root(&project), "backup", text(&target)];
        let backup = colloquy(&words);
        tokio::pin!(backup);
        let (code, words) = loop {
            tokio::select! {
                ended = &mut backup => break ended,
                () = click(link) => link += 1,
            }
        };
        assert_eq!(code, 0, "{words}");
        assert_eq!(
            (mode(&target), mode(target.join("secrets.toml")), mode(target.join("colloquy.db"))),
            (0o700, 0o600, 0o600)
        );

        let place = other.path().join(format!("{name}-restored"));
        let words = done(&["restore", text(&target), text(&place)]).await;
        assert!(words.contains("run 1 of hello (1) is paused"), "{words}");
        assert_eq!(mode(place.join("config/secrets.toml")), 0o600);
        done(&["-C", text(&place), "check"]).await;
        done(&["-C", text(&place), "consent", "verify"]).await;
        done(&["-C", text(&place), "score", "rebuild", "--check"]).await;
        let store = Store::open("sqlite:colloquy.db", &place).await.unwrap();
        let kept = links(&place, &store).await;
        assert!(kept.is_superset(&before), "lost: {:?}", before.difference(&kept));
        let states = runs::states(&mut store.read().await.unwrap(), run.id).await.unwrap();
        let held =
            [MessageState::Claimed, MessageState::Sending].iter().filter_map(|state| states.get(state)).sum::<i64>();
        assert_eq!(held, 0, "{states:?}");
        let restored = runs::by_id(&mut store.read().await.unwrap(), run.id).await.unwrap().unwrap();
        assert_eq!(restored.state, RunState::Paused);
        assert!(restored.reason.unwrap().contains("restored from a backup of 20"));
        assert_eq!(names(other.path()).iter().filter(|name| name.starts_with('.')).count(), 0);
    }
    while project.count(&run, MessageState::Accepted).await < PEOPLE as i64 {
        mailed.extend(project.drain());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.soft.cancel();
    services.finished().await;
    mailed.extend(project.drain());
    assert_eq!((mailed.len(), mailed.into_iter().collect::<BTreeSet<_>>().len()), (PEOPLE, PEOPLE));
}

#[tokio::test]
async fn what_may_have_been_sent_since_a_backup_waits_for_a_person() {
    let (project, other) = project(3).await;
    let ago = jiff::Timestamp::from(Clock::system().now().minus(Duration::from_secs(120)));
    let at = ago.strftime("%Y-%m-%dT%H:%M:%S");
    let due = format!(
        "topic = \"news\"\nsubject = \"Hi\"\ntemplate = \"hello.hbs\"\n[schedule]\nat = {at}\ntimezone = \"UTC\"\n"
    );
    fs::write(project.db.dir.path().join("config/campaigns/due.toml"), due).unwrap();
    done(&["-C", root(&project), "apply"]).await;
    let store = &project.db.store;
    let app = project.app();
    let run = app.begin(store, app.campaign("hello").unwrap(), true).await.unwrap();
    change(store, "INSERT INTO nodes (id, name, started_at) VALUES (7, 'old', 1)", vec![]).await;
    for (who, state) in [(1, "claimed"), (2, "sending")] {
        let sql =
            "INSERT INTO messages (run_id, recipient_id, state, node_id, attempt, at) VALUES ($1, $2, $3, 7, 1, 1)";
        change(store, sql, args![run.id, i64::from(who), state]).await;
    }
    let notice = "INSERT INTO notices (kind, address, language, data, state, created_at, expires_at, at, due_at)
        VALUES ('confirm', 'x@example.org', 'en', '{}', 'waiting', 1, 9000000000000000, 1, 1)";
    change(store, notice, vec![]).await;
    let (target, place) = (other.path().join("b"), other.path().join("p"));
    done(&["-C", root(&project), "backup", text(&target)]).await;
    let words = done(&["restore", text(&target), text(&place)]).await;
    assert!(words.contains("of hello (1) is paused") && words.contains("of due (20"), "{words}");
    assert!(words.contains("2 mails were on their way"), "{words}");

    let restored = Store::open("sqlite:colloquy.db", &place).await.unwrap();
    let mut session = restored.read().await.unwrap();
    let open = runs::open(&mut session).await.unwrap();
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(open.iter().all(|run| run.state == RunState::Paused), "{open:?}");
    let states: Vec<(i64, String)> =
        session.all("SELECT recipient_id, state FROM messages ORDER BY recipient_id", vec![]).await.unwrap();
    assert_eq!(states, [(1, "waiting".to_owned()), (2, "unknown".to_owned())]);
    let (notice,): (String,) = session.one("SELECT state FROM notices", vec![]).await.unwrap();
    assert_eq!(notice, "unknown");
    drop(session);
    restored.close().await;

    // The original went on: its next person has the number 4, which stands in mails by now.
    fs::write(other.path().join("new.csv"), "address\nnew@example.org\n").unwrap();
    let file = other.path().join("new.csv");
    done(&["-C", text(&place), "import", text(&file), "--topic", "news", "--source", "test"]).await;
    let restored = Store::open("sqlite:colloquy.db", &place).await.unwrap();
    let sql = "SELECT id FROM recipients WHERE address = 'new@example.org'";
    let (id,): (i64,) = restored.read().await.unwrap().one(sql, vec![]).await.unwrap();
    assert!(id > 1_000_000_000, "{id}");
}

#[tokio::test]
async fn a_backup_that_is_killed_leaves_nothing_under_its_name_and_the_next_one_clears_up() {
    let (project, other) = project(2_000).await;
    let target = other.path().join("b");
    let mut killed = 0;
    for delay in (0..24).map(|n| Duration::from_millis(n * 4)) {
        let mut child = command(&["-C", root(&project), "backup", text(&target)]).spawn().unwrap();
        tokio::time::sleep(delay).await;
        child.kill().unwrap();
        if child.wait().unwrap().success() || target.exists() {
            break;
        }
        killed += 1;
    }
    assert!(killed > 0);
    if !target.exists() {
        done(&["-C", root(&project), "backup", text(&target)]).await;
    }
    done(&["restore", text(&target), text(&other.path().join("p"))]).await;
    let left = names(other.path());
    assert_eq!(left, ["b", "p"]);
}

/// Files of at most 64 KB may be written there.
#[tokio::test]
async fn where_there_is_no_room_nothing_is_left() {
    let (project, other) = project(500).await;
    let limited = |words: &[&str]| {
        let line = "ulimit -f 128; trap '' XFSZ; exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", line, env!("CARGO_BIN_EXE_colloquy")]).args(words).env("RUST_LOG", "off");
        said(&command.output().unwrap())
    };
    let (target, place) = (other.path().join("b"), other.path().join("p"));
    let (code, words) = limited(&["-C", root(&project), "backup", text(&target)]);
    assert_eq!((code, names(other.path()).len()), (1, 0), "{words}");
    done(&["-C", root(&project), "backup", text(&target)]).await;
    let (code, words) = limited(&["restore", text(&target), text(&place)]);
    assert_eq!((code, names(other.path())), (1, vec!["b".to_owned()]), "{words}");
}

/// A backup in which something was changed, and the words with which it is refused.
type Fault = (&'static str, fn(&Path), &'static str);

const FAULTS: [Fault; 6] = [
    ("flipped", flip, "colloquy.db is not as it was"),
    (
        "edited",
        |b| fs::write(b.join("project/templates/hello.hbs"), "x").unwrap(),
        "templates/hello.hbs is not as it was",
    ),
    ("short", |b| fs::remove_file(b.join("secrets.toml")).unwrap(), "secrets.toml"),
    ("leaving", |b| rename(b, "spool.db", "project/../../x"), "which no backup holds"),
    ("newer", |b| rewrite(b, "\"format\": 1", "\"format\": 2"), "format 2"),
    ("none", |b| fs::remove_file(b.join("backup.json")).unwrap(), "is no backup"),
];

fn flip(backup: &Path) {
    let path = backup.join("colloquy.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn rewrite(backup: &Path, from: &str, to: &str) {
    let path = backup.join("backup.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

fn rename(backup: &Path, from: &str, to: &str) {
    rewrite(backup, &format!("\"{from}\""), &format!("\"{to}\""));
}

#[tokio::test]
async fn what_is_not_as_it_was_is_refused_and_nothing_is_left_of_it() {
    let (project, other) = project(5).await;
    Spool::open(&project.db.dir.path().join("spool.db")).await.unwrap().close().await;
    for (name, change, words) in FAULTS {
        let (target, place) = (other.path().join(name), other.path().join("p"));
        done(&["-C", root(&project), "backup", text(&target)]).await;
        change(&target);
        let (_, refused) = colloquy(&["restore", text(&target), text(&place)]).await;
        assert!(refused.contains(words), "{name}: {refused}");
        assert!(!place.exists(), "{name}");
    }
    let good = other.path().join("good");
    done(&["-C", root(&project), "backup", text(&good)]).await;
    for used in [root(&project), text(&good)] {
        let before = names(Path::new(used));
        let (code, refused) = colloquy(&["restore", text(&good), used]).await;
        assert_eq!(code, 2, "{refused}");
        assert!(refused.contains("already") && names(Path::new(used)) == before, "{refused}");
    }
    let (code, refused) = colloquy(&["-C", root(&project), "backup", text(&good)]).await;
    assert_eq!((code, refused.contains("exists already")), (2, true), "{refused}");
}

#[tokio::test]
async fn a_project_whose_keys_or_database_do_not_fit_is_not_copied() {
    let (project, other) = project(2).await;
    let target = other.path().join("b");
    let backup = ["-C", root(&project), "backup", text(&target)];
    let stranger = tempfile::tempdir().unwrap();
    done(&["init", text(stranger.path())]).await;
    let (code, refused) = colloquy(&["-C", text(stranger.path()), "backup", text(&target)]).await;
    assert_eq!((code, refused.contains("there is no database yet")), (2, true), "{refused}");

    let secrets: PathBuf = project.db.dir.path().join("config/secrets.toml");
    let own = fs::read(&secrets).unwrap();
    fs::write(&secrets, fs::read(stranger.path().join("config/secrets.toml")).unwrap()).unwrap();
    let (code, refused) = colloquy(&backup).await;
    assert_eq!((code, refused.contains("keys are not those of the database")), (2, true), "{refused}");
    fs::write(&secrets, own).unwrap();

    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'x', TRUE, X'00', 1)";
    change(&project.db.store, newer, vec![]).await;
    let (code, refused) = colloquy(&backup).await;
    assert_eq!((code, refused.contains("schema is not this program's")), (2, true), "{refused}");
    assert_eq!(names(other.path()).len(), 0);
}

#[tokio::test]
async fn a_database_whose_data_was_moved_is_not_copied() {
    let (project, other) = project(2).await;
    let moved = "INSERT INTO facts (name, value) VALUES ('moved', 'postgres://db1/colloquy')";
    change(&project.db.store, moved, vec![]).await;
    let (code, refused) = colloquy(&["-C", root(&project), "backup", text(&other.path().join("b"))]).await;
    assert_eq!((code, refused.contains("was moved to postgres://db1/colloquy")), (1, true), "{refused}");
    assert_eq!(names(other.path()).len(), 0);
}

#[tokio::test]
async fn a_backup_of_postgresql_is_left_to_its_own_tools() {
    let project = Project::new(database(EngineKind::Postgres).await, Settings::default(), |_, _| None).await;
    let (code, refused) = colloquy(&["-C", root(&project), "backup", "/tmp/never"]).await;
    assert_eq!(code, 2, "{refused}");
    for words in ["pg_dump", "spool.db", "config/secrets.toml", "templates/"] {
        assert!(refused.contains(words), "{refused}");
    }
}
