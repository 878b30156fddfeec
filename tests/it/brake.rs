//! Pausing, resuming and cancelling as a person does it: by the program, during a run, and with whatever the files say.

use std::fs;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::clock::Clock;
use colloquy::demo::catcher::Step;
use colloquy::domain::message::MessageState;
use colloquy::store::runs::{self, Run};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::project::{Project, Settings};
use crate::support::{Database, on_both_engines};

const PEOPLE: usize = 600;

/// A project whose relay takes 200 messages a second, and how many it has taken.
async fn slow(db: Database) -> (Project, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let script = move |step, _: &str| {
        if step == Step::Dot {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        None
    };
    let settings = Settings { relay: "connections = 2\nrate = \"200/s\"", ..Settings::default() };
    let project = Project::new(db, settings, script).await;
    project.import(PEOPLE).await;
    (project, taken)
}

fn command(project: &Project, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    command.arg("-C").arg(project.db.dir.path()).args(words).env("RUST_LOG", "warn").kill_on_drop(true);
    command
}

/// Runs the program to its end: its exit code, and what it says.
async fn colloquy(project: &Project, words: &[&str]) -> (i32, String) {
    said(&command(project, words).output().await.unwrap())
}

fn said(output: &Output) -> (i32, String) {
    let words = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(words).unwrap())
}

/// A `colloquy send` that has handed over a part of its messages.
async fn sending(project: &Project, taken: &AtomicUsize) -> Child {
    let child = command(project, &["send", "hello"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    while taken.load(Ordering::SeqCst) < 50 {
        assert!(child.try_wait().unwrap().is_none(), "the sender ended before anything was taken");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child
}

async fn last_run(project: &Project) -> Run {
    runs::recent(&mut project.db.store.read().await.unwrap(), Some("hello")).await.unwrap().remove(0)
}

/// Leaves the files as somebody does who is in the middle of editing them.
fn break_files(project: &Project) {
    let root = project.db.dir.path();
    fs::remove_file(root.join("config/campaigns/hello.toml")).unwrap();
    fs::write(root.join("config/campaigns/next.toml"), "topic = \"nws\"\nsubject = \"").unwrap();
    fs::write(root.join("templates/hello.hbs"), "{{#if first_name}}").unwrap();
    let config = root.join("config/colloquy.toml");
    let mistakes = "[segments]\nwarm = 'scor >= 20'\n[score]\nhalf_live = \"1d\"\n";
    fs::write(&config, fs::read_to_string(&config).unwrap() + mistakes).unwrap();
}

/// The files of a project as they are, to be put back.
fn kept(project: &Project) -> impl Fn() + use<> {
    let root = project.db.dir.path().to_owned();
    let paths = ["config/colloquy.toml", "config/campaigns/hello.toml", "templates/hello.hbs"];
    let texts = paths.map(|path| (root.join(path), fs::read_to_string(root.join(path)).unwrap()));
    move || {
        fs::remove_file(root.join("config/campaigns/next.toml")).unwrap();
        for (path, text) in &texts {
            fs::write(path, text).unwrap();
        }
    }
}

on_both_engines! {
    async fn a_paused_run_stops_and_goes_on_when_it_is_resumed(db) {
        let (mut project, taken) = slow(db).await;
        let child = sending(&project, &taken).await;
        let put_back = kept(&project);
        break_files(&project);
        let (code, words) = colloquy(&project, &["pause", "hello", "--reason", "wrong price"]).await;
        assert_eq!((code, words.as_str()), (0, "run 1 of hello (1): running → paused\n"));

        let (code, words) = said(&child.wait_with_output().await.unwrap());
        assert_eq!(code, 1, "{words}");
        assert!(words.contains("the run is paused"), "{words}");
        let before = project.drain();
        assert!((50..PEOPLE).contains(&before.len()), "{}", before.len());
        let run = last_run(&project).await;
        assert_eq!(project.count(&run, MessageState::Accepted).await, before.len() as i64);

        put_back();
        let (code, words) = colloquy(&project, &["send", "hello"]).await;
        assert_eq!(code, 2, "{words}");
        assert!(words.contains("run 1 of 'hello' is paused: wrong price") && words.contains("colloquy resume hello"));
        break_files(&project);
        let (code, words) = colloquy(&project, &["resume", "hello"]).await;
        assert_eq!((code, words.as_str()), (0, "run 1 of hello (1): paused → running\n"));
        put_back();
        let (code, words) = colloquy(&project, &["send", "hello"]).await;
        assert_eq!(code, 0, "{words}");
        assert!(words.contains("run 1 of hello (1) is not over and goes on"), "{words}");
        let mut all = [before, project.drain()].concat();
        all.sort();
        all.dedup();
        assert_eq!((all.len(), taken.load(Ordering::SeqCst)), (PEOPLE, PEOPLE));
    }

    async fn a_cancelled_run_ends_for_good(db) {
        let (mut project, taken) = slow(db).await;
        let child = sending(&project, &taken).await;
        break_files(&project);
        let (code, words) = colloquy(&project, &["cancel", "hello", "--reason", "sold out"]).await;
        assert_eq!((code, words.as_str()), (0, "run 1 of hello (1): running → cancelled\n"));

        let (code, words) = said(&child.wait_with_output().await.unwrap());
        assert_eq!(code, 1, "{words}");
        assert!(words.contains("the run is cancelled"), "{words}");
        let sent = project.drain().len() as i64;
        let run = last_run(&project).await;
        let states = runs::states(&mut project.db.store.read().await.unwrap(), run.id).await.unwrap();
        let skipped = states.get(&MessageState::Skipped).copied().unwrap_or(0);
        assert_eq!(states.get(&MessageState::Accepted), Some(&sent));
        assert_eq!(states.values().sum::<i64>(), sent + skipped, "{states:?}");
        assert!(sent < PEOPLE as i64);

        for command in ["resume", "pause", "cancel"] {
            let (code, words) = colloquy(&project, &[command, "hello"]).await;
            assert_eq!(code, 2, "{words}");
            assert!(words.contains("campaign 'hello' has no run that is"), "{words}");
            assert!(words.contains("hint: no campaign has an open run"), "{words}");
        }
    }

    async fn who_is_to_be_stopped_is_looked_for_among_open_runs(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        let app = project.app();
        app.begin(&project.db.store, app.campaign("hello").unwrap(), false).await.unwrap();
        break_files(&project);
        for (words, hint) in [
            (["pause", "helo"], "hint: did you mean `hello`?"),
            (["cancel", "next"], "hint: known: `hello`"),
            (["resume", "hello"], "hint: run 1 is running"),
        ] {
            let (code, said) = colloquy(&project, &words).await;
            assert_eq!(code, 2, "{said}");
            assert!(said.contains(hint), "{said}");
        }
    }

    async fn people_are_looked_after_while_files_have_mistakes(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(3).await;
        break_files(&project);
        for (words, answer) in [
            (&["status"][..], "no run yet"),
            (&["suppress", "a0@example.org", "--reason", "asked"], "1 suppressed"),
            (&["recipient", "show", "a1@example.org"], "a1@example.org"),
            (&["recipient", "export", "a1@example.org"], "\"first_name\": \"Anna 1\""),
            (&["recipient", "erase", "a1@example.org", "--yes"], "erased, and suppressed"),
        ] {
            let (code, said) = colloquy(&project, words).await;
            assert_eq!(code, 0, "{words:?}: {said}");
            assert!(said.contains(answer), "{words:?}: {said}");
        }
        let (code, said) = colloquy(&project, &["check"]).await;
        assert_eq!(code, 2, "the files are broken: {said}");
    }

    async fn a_send_outside_the_window_waits_in_the_foreground_until_it_is_let_go(db) {
        let hour = jiff::tz::TimeZone::UTC.to_datetime(Clock::system().now().into()).hour();
        let later = |hours| format!("\"{:02}:00\"", (hour + hours) % 24);
        let campaign = format!(
            "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n[schedule]\nwindow = [{}, {}]\n",
            later(3),
            later(4)
        );
        let mut project = Project::new(db, Settings { campaign: &campaign, ..Settings::default() }, |_, _| None).await;
        project.import(3).await;
        let mut waiting = command(&project, &["send", "hello"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(waiting.stdout.take().unwrap()).lines();
        let words = lines.next_line().await.unwrap().unwrap();
        assert!(words.starts_with("it is outside the window: the run waits until "), "{words}");
        while last_run(&project).await.wait.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (code, words) = colloquy(&project, &["status"]).await;
        assert_eq!(code, 0);
        assert!(words.contains("run 1 waits until ") && words.contains(": it is outside the window"), "{words}");
        assert_eq!(project.drain().len(), 0);

        let (code, words) = colloquy(&project, &["send", "hello", "--ignore-window"]).await;
        assert_eq!(code, 0, "{words}");
        assert_eq!(waiting.wait().await.unwrap().code(), Some(0), "it goes on, too");
        assert_eq!(project.drain().len(), 3);
        assert_eq!(last_run(&project).await.wait, None);
    }
}
