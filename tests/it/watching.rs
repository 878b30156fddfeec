//! `colloquy check --watch`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// As editors save: another file takes the name.
fn save(path: &Path, text: &str) {
    let other = path.with_extension("new");
    fs::write(&other, text).unwrap();
    fs::rename(other, path).unwrap();
}

#[test]
fn a_watched_project_is_checked_again_at_every_change_until_it_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let colloquy = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
        command.arg("-C").arg(dir.path()).args(words).env("RUST_LOG", "off").stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    assert!(colloquy(&["init"]).wait_with_output().unwrap().status.success());
    let mut watching = colloquy(&["check", "--watch"]);
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = |words: &str| {
        let found = lines.by_ref().take_while(|line| !line.starts_with("watching")).collect::<Vec<_>>().join("\n");
        assert!(found.contains(words), "{words} in {found}");
    };
    let campaign = dir.path().join("config/campaigns/welcome.toml");
    let right = fs::read_to_string(&campaign).unwrap();
    seen("0 errors, 0 warnings");
    save(&campaign, &right.replace("topic =", "topc ="));
    seen("unknown key `topc`");
    save(&campaign, &right);
    seen("0 errors, 0 warnings");
    let template = dir.path().join("templates/newsletter.mjml");
    fs::write(&template, fs::read_to_string(&template).unwrap() + "{{#if}}").unwrap();
    seen("templates/newsletter.mjml");

    assert!(Command::new("kill").arg(watching.id().to_string()).status().unwrap().success());
    assert_eq!(watching.wait().unwrap().code(), Some(2), "the last result counts");
}
