//! The tour of the README, through the finished program.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs the program in a directory: its exit code, and what it says.
fn colloquy(directory: &Path, line: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_colloquy"))
        .current_dir(directory)
        .env("RUST_LOG", "warn")
        .args(line.split(' '))
        .output()
        .unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(words).unwrap())
}

fn done(directory: &Path, line: &str) -> String {
    let (code, words) = colloquy(directory, line);
    assert_eq!(code, 0, "colloquy {line}\n{words}");
    words
}

#[test]
fn a_first_campaign_goes_from_an_empty_directory_to_a_report() {
    let dir = tempfile::tempdir().unwrap();
    assert!(done(dir.path(), "init shop").contains("A project is in ./shop"));
    let shop = dir.path().join("shop");

    assert!(done(&shop, "check").contains("3 campaigns checked: 0 errors, 0 warnings"));
    done(&shop, "import recipients.csv --topic news --source sample --tracking");
    let log = shop.join("colloquy.db-wal");
    assert!(!log.exists(), "what was imported is in the one file, which may be copied now");
    assert!(done(&shop, "plan welcome").contains("messages                              6\n"));
    assert!(!shop.join("outbox").exists(), "a plan sends nothing");
    assert!(done(&shop, "send welcome").contains("accepted   6\n"));
    assert!(!log.exists(), "what was sent is, too");
    assert_eq!(fs::read_dir(shop.join("outbox")).unwrap().count(), 6);
    assert!(done(&shop, "report welcome").contains("accepted  6  100.0 %"));
    assert!(done(&shop, "recipient show anna@recipients.example").contains("message  welcome  run 1  accepted"));
    assert!(done(&shop, "score rebuild --check").contains("each is what the actions say"));
}

#[test]
fn editors_find_the_schema_of_each_file_that_init_writes() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "init");
    for (file, kind) in [("colloquy.toml", "project"), ("campaigns/welcome.toml", "campaign")] {
        let path = dir.path().join("config").join(file);
        let text = fs::read_to_string(&path).unwrap();
        let schema = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
        let schema = fs::read_to_string(path.parent().unwrap().join(schema)).unwrap();
        assert_eq!(schema, done(dir.path(), &format!("schema {kind}")));
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert!(schema["properties"]["topic"].is_object() == (kind == "campaign"));
    }
}

#[test]
fn a_mistake_in_a_file_is_shown_with_its_place_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "init");
    let path = dir.path().join("config/colloquy.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"running\", \"trail\"]", "\"runing\", \"trail\"]"))
        .unwrap();
    for command in ["check", "plan welcome", "send welcome", "apply"] {
        let (code, words) = colloquy(dir.path(), command);
        assert_eq!(code, 2, "{command}: {words}");
        assert!(words.contains("config/colloquy.toml:") && words.contains("did you mean `running`?"), "{words}");
    }
    assert!(!dir.path().join("outbox").exists());
}
