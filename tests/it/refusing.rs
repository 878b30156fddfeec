//! What commands refuse to begin, and what they say of what is left out.

use std::fs;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use colloquy::store::Store;

use crate::project::{Project, Settings};
use crate::support::program::{colloquy, done};
use crate::support::{Database, on_both_engines};

async fn project(db: Database, relay: &str) -> Project {
    Project::new(db, Settings { relay, ..Settings::default() }, |_, _| None).await
}

fn file(project: &Project, path: &str) -> PathBuf {
    project.db.dir.path().join(path)
}

/// Runs the program on a project.
async fn run(project: &Project, words: &[&str]) -> (i32, String) {
    colloquy(&[&["-C", project.db.dir.path().to_str().unwrap()], words].concat()).await
}

async fn count(store: &Store, table: &str) -> i64 {
    store.read().await.unwrap().one::<(i64,)>(format!("SELECT COUNT(*) FROM {table}"), vec![]).await.unwrap().0
}

on_both_engines! {
    async fn what_check_finds_is_neither_applied_nor_sent(db) {
        let project = project(db, "").await;
        project.import(3).await;
        let template = file(&project, "templates/hello.hbs");
        let text = fs::read_to_string(&template).unwrap();
        fs::write(&template, text.replacen("Hello", "{{city}}", 1)).unwrap();
        for words in [vec!["check"], vec!["apply"], vec!["send", "hello"], vec!["send", "hello", "--again"]] {
            let (code, said) = run(&project, &words).await;
            assert_eq!(code, 2, "{words:?}: {said}");
            assert!(said.contains("hello: templates/hello.hbs:1:16: 'city' has no value here"), "{words:?}: {said}");
        }
        assert_eq!([count(&project.db.store, "runs").await, count(&project.db.store, "versions").await], [0, 0]);
        fs::write(&template, text).unwrap();
        assert_eq!(run(&project, &["apply"]).await.0, 0);
    }

    async fn who_gets_no_message_keeps_nobody_else_from_theirs_and_is_told_of(db) {
        let mut project = project(db, "").await;
        project.import(30).await;
        let csv = file(&project, "nameless.csv");
        fs::write(&csv, "address\nz1@example.org\nz2@example.org\n").unwrap();
        let import = ["import", csv.to_str().unwrap(), "--topic", "news", "--source", "test"];
        assert_eq!(run(&project, &import).await.0, 0);
        let mut tx = project.db.store.write().await.unwrap();
        let among = "UPDATE recipients SET attributes = '{}' WHERE address = 'a1@example.org'";
        tx.change(1, among, vec![]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(run(&project, &["check"]).await.0, 2);
        let (code, said) = run(&project, &["send", "hello"]).await;
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("warning: hello: 1 of 20 sample recipients would get no message"), "{said}");
        assert!(said.contains("3 skipped: ") && said.contains("'first_name' has no value here"), "{said}");
        assert_eq!(project.drain().len(), 29);
    }

    async fn keys_that_are_not_the_databases_are_refused(db) {
        let project = project(db, "").await;
        project.import(2).await;
        run(&project, &["suppress", "left@example.org", "--reason", "phone"]).await;
        let secrets = file(&project, "config/secrets.toml");
        let own = fs::read(&secrets).unwrap();
        let other = tempfile::tempdir().unwrap();
        colloquy::config::init(other.path(), &SystemRandom::new()).unwrap();
        fs::write(&secrets, fs::read(other.path().join("config/secrets.toml")).unwrap()).unwrap();
        let csv = file(&project, "left.csv");
        fs::write(&csv, "address,first_name\nleft@example.org,Anna\n").unwrap();
        let import = ["import", csv.to_str().unwrap(), "--topic", "news", "--source", "test"];
        for words in [import.as_slice(), &["send", "hello"], &["suppress", "a0@example.org", "--reason", "x"], &["run"]] {
            let (code, said) = run(&project, words).await;
            assert!(code != 0 && said.contains("the keys are not those of the database"), "{words:?}: {code} {said}");
            assert!(said.contains("config/secrets.toml"), "{said}");
        }
        assert_eq!(count(&project.db.store, "recipients WHERE address = 'left@example.org'").await, 0);
        fs::write(&secrets, own).unwrap();
        let (code, said) = run(&project, &import).await;
        assert!(code == 0 && said.contains("1  suppressed, not subscribed"), "{said}");
    }

    async fn no_run_begins_whose_relay_has_no_password(db) {
        let project = project(db, "username = \"shop\"\npassword_env = \"COLLOQUY_TEST_NO_SUCH_VARIABLE\"").await;
        project.import(1).await;
        let (code, said) = run(&project, &["send", "hello"]).await;
        assert!(code != 0 && said.contains("COLLOQUY_TEST_NO_SUCH_VARIABLE, which is not set"), "{code} {said}");
        assert_eq!(count(&project.db.store, "runs").await, 0);
    }

    async fn actions_that_wait_are_told_of_and_a_rebuild_scores_them(db) {
        let project = project(db, "").await;
        project.import(1).await;
        let csv = file(&project, "orders.csv");
        fs::write(&csv, "id,address,kind,category,at\no1,a0@example.org,conversion,running,2026-11-01T10:00:00Z\n").unwrap();
        let dir = project.db.dir.path().to_str().unwrap();
        done(&["-C", dir, "actions", "import", csv.to_str().unwrap()]).await;
        let said = done(&["-C", dir, "plan", "hello"]).await;
        assert!(said.contains("actions that wait to be scored are left out: 1, the oldest of 2026-11-01"), "{said}");
        let said = done(&["-C", dir, "score", "rebuild", "--check"]).await;
        assert!(said.contains("Actions that wait to be scored: 1."), "{said}");
        assert_eq!(count(&project.db.store, "score_entries").await, 0, "a check changes nothing");
        let said = done(&["-C", dir, "score", "rebuild"]).await;
        assert!(said.contains("Actions that had waited are scored now: 1"), "{said}");
        let said = done(&["-C", dir, "score", "rebuild", "--check"]).await;
        assert!(said.contains("1 people have a score, and each is what the actions say"), "{said}");
        let said = done(&["-C", dir, "send", "hello"]).await;
        assert!(!said.contains("wait to be scored"), "{said}");
        done(&["-C", dir, "suppress", "a0@example.org", "--reason", "phone"]).await;
        let said = done(&["-C", dir, "send", "hello", "--again"]).await;
        assert!(said.contains("nobody gets a message: `colloquy plan hello` says why"), "{said}");
    }
}
