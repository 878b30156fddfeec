//! A process of the finished program that can be killed, frozen and thawed.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A process; it dies with its value.
pub struct Process(Child);

impl Process {
    /// Runs `colloquy -C DIR WORDS`.
    pub fn start(dir: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
        Self::of(command.arg("-C").arg(dir).args(words))
    }

    /// The same of services; returns once they have started.
    ///
    /// # Panics
    /// When it ends before.
    pub async fn started(dir: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
        command.arg("-C").arg(dir).args(words).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Self::with(command.env("RUST_LOG", "warn,colloquy::services=info"));
        let mut lines = BufReader::new(process.0.stderr.take().expect("it is piped")).lines();
        while let line = lines.next_line().await.unwrap().expect("it starts")
            && !line.contains("started")
        {}
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        process
    }

    /// Runs this command, whatever it says.
    pub fn of(command: &mut Command) -> Self {
        Self::with(command.stdout(Stdio::null()).stderr(Stdio::null()).env("RUST_LOG", "warn"))
    }

    /// Runs this command as it is.
    pub fn with(command: &mut Command) -> Self {
        Self(command.kill_on_drop(true).spawn().unwrap())
    }

    /// Its number.
    pub fn id(&self) -> String {
        self.0.id().expect("it runs").to_string()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it ended before.
    pub async fn kill(mut self) {
        assert!(self.is_running(), "it ended before it was killed");
        self.0.kill().await.unwrap();
    }

    /// Asks it to stop; whether it ended well.
    pub async fn stop(self) -> bool {
        self.signal("TERM").await;
        self.end().await == 0
    }

    /// Waits for its end; its exit code.
    ///
    /// # Panics
    /// When a signal ended it.
    pub async fn end(mut self) -> i32 {
        self.0.wait().await.unwrap().code().expect("no signal ended it")
    }

    pub async fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([format!("-{name}"), self.id()]).status().await.unwrap().success());
    }
}
