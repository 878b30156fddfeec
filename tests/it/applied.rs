//! What was applied counts, and not what the files say meanwhile.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use colloquy::app::Site;
use colloquy::args;
use colloquy::clock::Clock;
use colloquy::config::Reach;
use colloquy::domain::id::RecipientId;
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::token::{Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::services::{Role, Services};
use colloquy::store::runs::{self, Run};
use colloquy::store::{score, versions};
use tokio::process::Command;

use crate::project::{Project, Settings};
use crate::service::{get, request};
use crate::support::on_both_engines;

async fn apply(project: &Project) {
    let app = project.app();
    let store = &project.db.store;
    let version = app.freeze(store).await.unwrap();
    let mut tx = store.write().await.unwrap();
    versions::apply(&mut tx, version, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

fn edit(project: &Project, from: &str, to: &str) {
    let path = project.db.dir.path().join("config/colloquy.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
}

/// The project as `colloquy run` opens it.
fn site(project: &Project) -> Site {
    Site::open(project.db.dir.path(), Clock::system(), Reach::Services).unwrap()
}

async fn serve(project: &Project, roles: &[Role]) -> (Services, Stop) {
    let stop = Stop::default();
    (Services::start(site(project), roles, stop.clone()).await.unwrap(), stop)
}

async fn end((services, stop): (Services, Stop)) {
    stop.soft.cancel();
    assert!(services.finished().await);
}

/// Begins a run as `colloquy send` does, and waits until the service has sent it.
async fn sent(project: &Project) -> Run {
    let app = project.app();
    let run = app.begin(&project.db.store, app.campaign("hello").unwrap(), true).await.unwrap();
    loop {
        let found = runs::by_id(&mut project.db.store.read().await.unwrap(), run.id).await.unwrap().unwrap();
        if found.state == RunState::Done {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn act(project: &Project, key: &str) {
    let mut tx = project.db.store.write().await.unwrap();
    let sql = "INSERT INTO actions (key, recipient_id, kind, category, at) VALUES ($1, 1, 'click', 'running', 1000000)";
    tx.execute(sql, args![key]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Waits until every action is scored.
async fn scored(project: &Project) {
    let now = Clock::system().now();
    while score::backlog(&mut project.db.store.read().await.unwrap(), now).await.unwrap().actions > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks for a page until it holds some words.
async fn shows(at: SocketAddr, path: &str, words: &str) {
    while !get(at, path).await.contains(words) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

on_both_engines! {
    async fn a_service_keeps_the_cap_that_was_applied_until_another_is(db) {
        let settings = Settings { limits: "frequency_cap = \"1 per 7d\"", ..Settings::default() };
        let project = Project::new(db, settings, |_, _| None).await;
        project.import(5).await;
        apply(&project).await;
        edit(&project, "frequency_cap = \"1 per 7d\"", "");
        let service = serve(&project, &[Role::Sender]).await;
        let first = sent(&project).await;
        assert_eq!(project.count(&first, MessageState::Accepted).await, 5);
        let second = sent(&project).await;
        assert_eq!(project.count(&second, MessageState::Accepted).await, 0, "the cap that was applied holds");

        edit(&project, "name = \"catcher\"", "name = \"other\"");
        apply(&project).await;
        loop {
            let run = sent(&project).await;
            if project.count(&run, MessageState::Accepted).await == 5 {
                break;
            }
        }
        let last = "SELECT relay FROM messages WHERE state = 'accepted' ORDER BY run_id DESC LIMIT 1";
        let (relay,): (String,) = project.db.store.read().await.unwrap().one(last, args![]).await.unwrap();
        assert_eq!(relay, "other");
        end(service).await;
    }

    async fn an_edit_that_was_not_applied_does_not_stop_scoring(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(1).await;
        apply(&project).await;
        for key in ["first", "second"] {
            act(&project, key).await;
            let service = serve(&project, &[Role::Scorer]).await;
            scored(&project).await;
            end(service).await;
            edit(&project, "[limits]", "[score]\nhalf_life = \"3d\"\n[limits]");
        }
    }

    async fn tracker_and_pages_serve_whatever_the_files_say(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(1).await;
        let app = project.app();
        edit(&project, "[limits]", "[limits]\nfrequency_cp = \"");
        fs::write(project.db.dir.path().join("templates/hello.hbs"), "{{#if").unwrap();
        let service = serve(&project, &Role::ALL).await;
        let at = service.0.web.unwrap();
        let keys = app.secrets().unwrap().keyring();
        let token = |purpose| keys.sign(&Token { run: colloquy::domain::id::RunId(1), recipient: RecipientId(1), purpose });
        let purpose = Purpose::Click { link: 1, item: 0, category: String::new(), url: "https://shop.example/".into() };
        let answer = get(at, &format!("/c/{}", token(purpose))).await;
        assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
        let preferences = format!("/p/{}", token(Purpose::Preferences));
        let answer = get(at, &preferences).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        edit(&project, "[limits]\nfrequency_cp = \"", "[limits]");
        fs::write(project.db.dir.path().join("templates/hello.hbs"), "Hello").unwrap();
        edit(&project, "title = \"News\"", "title = \"News of the shop\"");
        apply(&project).await;
        shows(at, &preferences, "News of the shop").await;
        end(service).await;
    }

    async fn pages_with_a_tracker_and_without_are_limited_and_say_so_in_the_readers_language(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        edit(&project, "[web]\n", "[web]\nper_network = \"1/s\"\n");
        for roles in [&[Role::Pages][..], &[Role::Pages, Role::Tracker]] {
            let service = serve(&project, roles).await;
            let at = service.0.web.unwrap();
            let ask = async |path, network| {
                let head = format!("GET {path} HTTP/1.1\r\nX-Forwarded-For: {network}\r\nAccept-Language: de");
                request(at, &head).await
            };
            let mut refused = String::new();
            for _ in 0..1_000 {
                refused = ask("/p/forged", "203.0.113.9").await;
                if refused.starts_with("HTTP/1.1 429") {
                    break;
                }
            }
            assert!(refused.contains("<html lang=\"de\"") && refused.contains("Zu viele Anfragen"), "{refused}");
            assert!(refused.contains("retry-after: 5"), "{refused}");
            // A moment later a request or two may be let through.
            let mut answers = Vec::new();
            for _ in 0..9 {
                answers.push(ask("/api/subscribe", "203.0.113.9").await);
            }
            assert!(answers.iter().any(|answer| answer.contains("{\"error\":\"too many")), "{answers:?}");
            let other = ask("/p/forged", "198.51.100.1").await;
            assert!(other.starts_with("HTTP/1.1 404") && other.contains("Hier ist nichts"), "{other}");
            end(service).await;
        }
    }

    async fn send_uses_the_relays_that_were_applied(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(3).await;
        apply(&project).await;
        edit(&project, "smtp://127.0.0.1:", "smtp://127.0.0.2:");
        let output = Command::new(env!("CARGO_BIN_EXE_colloquy"))
            .arg("-C").arg(project.db.dir.path()).args(["send", "hello"]).env("RUST_LOG", "warn")
            .output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(project.drain().len(), 3);
        let note = String::from_utf8(output.stderr).unwrap();
        assert!(note.contains("limits and relays are those of the applied version 1, not of the run's 2"), "{note}");
    }
}
