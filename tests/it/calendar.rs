//! What is coming, as the finished program shows it.

use std::fs;

use colloquy::domain::time::Micros;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::project::{Project, Settings};
use crate::support::on_both_engines;

const HEAD: &str = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n[schedule]\n";

/// Runs the program to its end: its exit code, its output, and its notes.
async fn colloquy(project: &Project, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    command.arg("-C").arg(project.db.dir.path()).args(words).env("RUST_LOG", "warn").kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A project with a campaign on Tuesdays, one by recipients' clocks, one on Christmas Eve, and one by hand.
async fn busy(db: crate::support::Database) -> Project {
    let tuesdays =
        format!("{HEAD}every = \"Tue 09:00\"\ntimezone = \"Europe/Berlin\"\nwindow = [\"08:00\", \"20:00\"]\n");
    let limits = "frequency_cap = \"2 per 7d\"\n[calendar]\nblackout = [\"2026-12-24/2026-12-26\"]";
    let project = Project::new(db, Settings { campaign: &tuesdays, limits, ..Settings::default() }, |_, _| None).await;
    let campaigns = project.db.dir.path().join("config/campaigns");
    let write = |name: &str, lines: &str| fs::write(campaigns.join(name), format!("{HEAD}{lines}\n")).unwrap();
    write("own.toml", "at = 2026-12-22T18:00:00\ntimezone = \"recipient\"\nfallback_timezone = \"Europe/Berlin\"");
    write("eve.toml", "at = 2026-12-24T09:00:00\ntimezone = \"Europe/Berlin\"");
    write("hand.toml", "window = [\"08:00\", \"20:00\"]");
    project.import(3).await;
    project
}

async fn json(project: &Project, words: &[&str]) -> Value {
    let (code, words, said) = colloquy(project, &[&["calendar", "--json"], words].concat()).await;
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&words).unwrap()
}

on_both_engines! {
    async fn the_calendar_shows_occasions_with_what_stands_in_their_way(db) {
        let project = busy(db).await;
        let (code, _, said) = colloquy(&project, &["calendar"]).await;
        assert_eq!(code, 0);
        assert!(said.contains("nothing is applied"), "{said}");
        let (code, _, said) = colloquy(&project, &["apply"]).await;
        assert_eq!((code, said.contains("error")), (0, false), "{said}");
        // Edits count with the next apply only.
        fs::remove_file(project.db.dir.path().join("config/campaigns/own.toml")).unwrap();

        let coming = json(&project, &["--from", "2026-12-15T08:00:00Z", "--days", "14"]).await;
        let occasions = coming["occasions"].as_array().unwrap();
        let shown: Vec<_> = occasions.iter().map(|o| json!([o["at"], o["local"], o["zone"], o["campaign"]])).collect();
        assert_eq!(shown, [
            json!(["2026-12-15T08:00:00Z", "2026-12-15T09:00:00", "Europe/Berlin", "hello"]),
            json!(["2026-12-22T04:00:00Z", "2026-12-22T18:00:00", "recipient", "own"]),
            json!(["2026-12-22T08:00:00Z", "2026-12-22T09:00:00", "Europe/Berlin", "hello"]),
            json!(["2026-12-24T08:00:00Z", "2026-12-24T09:00:00", "Europe/Berlin", "eve"]),
        ]);
        assert!(occasions.iter().all(|o| o["expected"] == 3 && o["topic"] == "news"));
        assert_eq!(coming["blackout"], json!(["2026-12-24", "2026-12-25", "2026-12-26"]));
        assert_eq!((&occasions[0]["notes"], &occasions[0]["window"]), (&json!([]), &json!("08:00–20:00")));
        assert_eq!(occasions[2]["notes"], json!(["own is on the topic news on the same day, at 18:00"]));
        assert_eq!(occasions[3]["starts_at"], Value::Null);
        let expires =
            "it is a day without mail: it expires, as nothing can leave by its latest start 2026-12-24T14:00:00Z";
        assert_eq!(occasions[3]["notes"], json!([expires]));

        let (code, text, _) = colloquy(&project, &["calendar", "--from", "2026-12-15T08:00:00Z"]).await;
        assert_eq!(code, 0);
        for line in [
            "Tue 2026-12-15\n  09:00  hello (news), about 3 messages, Europe/Berlin, window 08:00–20:00\n",
            "  18:00  own (news), about 3 messages, each recipient's clocks\n",
            "Thu 2026-12-24, a day without mail\n  09:00  eve (news)",
            "Sat 2026-12-26, a day without mail\n",
        ] {
            assert!(text.contains(line), "{line:?} is missing in\n{text}");
        }
    }

    async fn more_mailings_than_the_cap_allows_are_noted(db) {
        let daily = format!("{HEAD}every = \"daily 09:00\"\n");
        let limits = "frequency_cap = \"2 per 7d\"";
        let project = Project::new(db, Settings { campaign: &daily, limits, ..Settings::default() }, |_, _| None).await;
        let coming = json(&project, &["--from", "2026-12-01T00:00:00Z", "--days", "4"]).await;
        let notes: Vec<_> = coming["occasions"].as_array().unwrap().iter().map(|o| o["notes"].clone()).collect();
        let noted = |n: u32| {
            json!([format!("{n} mailings in the 7 days before: whoever got 2 of them is left out by the frequency cap")])
        };
        assert_eq!(notes, [json!([]), json!([]), noted(2), noted(3)]);
    }

    async fn a_last_run_tells_how_many_to_expect(db) {
        let project = busy(db).await;
        let app = project.app();
        let store = &project.db.store;
        let run = app.begin(store, app.campaign("hello").unwrap(), false).await.unwrap();
        let mut tx = store.write().await.unwrap();
        colloquy::store::runs::set_planned(&mut tx, run.id, 4_711).await.unwrap();
        tx.commit().await.unwrap();
        let coming = json(&project, &["--from", &Micros(run.at.0).to_string(), "--days", "7"]).await;
        let hello = coming["occasions"].as_array().unwrap().iter().find(|o| o["campaign"] == "hello").unwrap();
        assert_eq!((&hello["expected"], &hello["expected_from"]), (&json!(4_711), &json!(run.id.0)));
    }
}
