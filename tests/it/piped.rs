//! Commands whose output nobody reads to its end.

use std::io::pipe;
use std::process::Stdio;

use colloquy::store::EngineKind;

use crate::project::{Project, Settings};
use crate::support::database;
use crate::support::program::command;

/// Each prints something. `send` comes last but one, so that there is a report.
const COMMANDS: [&[&str]; 10] = [
    &["--help"],
    &["check"],
    &["schema"],
    &["plan", "hello"],
    &["plan", "hello", "--json"],
    &["apply"],
    &["status"],
    &["calendar"],
    &["send", "hello"],
    &["report", "hello"],
];

#[tokio::test(flavor = "multi_thread")]
async fn commands_end_quietly_and_well_when_nobody_reads_what_they_print() {
    let mut project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    project.import(3).await;
    let root = project.db.dir.path().to_str().unwrap();
    for words in COMMANDS {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = command(&[&["-C", root], words].concat()).stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{words:?}");
    }
    assert_eq!(project.drain().len(), 3, "what was asked for is done all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_complaints_nobody_reads_still_says_by_its_code_that_it_failed() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let words = ["-C", project.db.dir.path().to_str().unwrap(), "plan", "unknown"];
    let status = command(&words).stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_printed_for_another_reason_is_an_error() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let words = ["-C", project.db.dir.path().to_str().unwrap(), "plan", "hello"];
    let output = command(&words).stdout(Stdio::from(full)).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.starts_with("error: this cannot be printed: "), "{said}");
}
