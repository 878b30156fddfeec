//! What every mail must obey, judged by programs that others wrote.

mod keys;
mod letter;
mod matrix;
mod opinions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A project that `init` wrote, driven through the command line; its relay is the directory `outbox`.
pub struct Shop(tempfile::TempDir);

impl Shop {
    /// A new one.
    pub fn new() -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        shop.done(&["init"]);
        shop.edit("config/colloquy.toml", "frequency_cap = \"2 per 7d\"", "frequency_cap = \"100 per 7d\"");
        shop
    }

    /// A path inside the project.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(inside)
    }

    /// Runs a command: its exit code, and what it says.
    pub fn colloquy(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
        let Output { status, stdout, stderr } =
            command.current_dir(self.0.path()).args(arguments).env("RUST_LOG", "warn").output().unwrap();
        (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    /// Runs a command that must succeed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let (code, words) = self.colloquy(arguments);
        assert_eq!(code, 0, "colloquy {arguments:?}\n{words}");
        words
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    /// Replaces a part of a file of the project, which must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{from} in {path}");
        self.write(path, &text.replace(from, to));
    }

    /// Adds lines to the end of `config/colloquy.toml`.
    pub fn configure(&self, lines: &str) {
        let path = "config/colloquy.toml";
        let text = fs::read_to_string(self.path(path)).unwrap();
        self.write(path, &format!("{text}\n{lines}"));
    }

    /// Makes a key and puts it behind those that are configured.
    pub fn key(&self, domain: &str, selector: &str, algorithm: &str) -> String {
        let words = self.done(&["dkim", "new", domain, "--selector", selector, "--algorithm", algorithm]);
        let (_, lines) = words.split_once("[[dkim]]").unwrap();
        self.configure(&format!("[[dkim]]{lines}"));
        words
    }

    /// Sends the campaign `welcome` to the sample recipients; the mails as they were written.
    pub fn send(&self) -> Vec<String> {
        self.done(&["import", "recipients.csv", "--topic", "news", "--source", "test", "--tracking"]);
        let _ = fs::remove_dir_all(self.path("outbox"));
        self.done(&["send", "welcome", "--again"]);
        self.mails()
    }

    /// The mails in the outbox.
    pub fn mails(&self) -> Vec<String> {
        let mut paths: Vec<_> = fs::read_dir(self.path("outbox")).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }
}

/// The selectors of a mail's signatures, in order.
pub fn selectors(mail: &str) -> Vec<&str> {
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    head.split("DKIM-Signature:").skip(1).map(|field| tag(field, "s")).collect()
}

/// The value of a tag of a signature or record.
pub fn tag<'a>(field: &'a str, name: &str) -> &'a str {
    let mut tags = field.split(';').filter_map(|tag| tag.trim().split_once('='));
    tags.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("{name} in {field}")).1
}

/// Runs a program of the system to its end: its exit code, and what it says.
pub fn program(name: &str, arguments: &[&str], input: &str) -> (i32, String) {
    use std::io::Write as _;
    use std::process::Stdio;
    let path = format!("/usr/bin:/usr/sbin:/bin:/sbin:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("env");
    command.env("PATH", path).arg(name).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_ne!(output.status.code(), Some(127), "{name} is missing; scripts/setup test installs it");
    (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}
