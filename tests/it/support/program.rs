//! The finished program, run to its end.

use std::process::{Command, Output};

/// `colloquy WORDS`, which logs little.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    command.args(words).env("RUST_LOG", "warn");
    command
}

/// Its exit code, and all that it said.
pub fn said(output: &Output) -> (i32, String) {
    let words = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(words).unwrap())
}

/// Runs the program to its end on a thread of its own, so that a service in this process goes on.
pub async fn colloquy(words: &[&str]) -> (i32, String) {
    let mut command = command(words);
    said(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

/// The same, which must end well.
pub async fn done(words: &[&str]) -> String {
    let (code, said) = colloquy(words).await;
    assert_eq!(code, 0, "{words:?}\n{said}");
    said
}
