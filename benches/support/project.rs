//! A project in a directory of its own, driven through the command line.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use colloquy::config::Secrets;
use colloquy::domain::token::Keyring;
use tempfile::TempDir;

use super::Usage;

/// What everybody subscribes to.
const TOPIC: &str = "news";

/// A project with one relay and one campaign, `bench`.
pub struct Project {
    dir: TempDir,
    /// Where its tracking service listens.
    pub web_port: u16,
}

impl Project {
    /// A new one; `relay` is the relay's URL, `template` the campaign's HTML.
    pub fn new(relay: &str, connections: usize, template: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let web_port = super::free_port();
        let project = Self { dir, web_port };
        project.run(&["init"]);
        fs::remove_dir_all(project.path("config/campaigns")).unwrap();
        fs::create_dir(project.path("config/campaigns")).unwrap();
        let settings = format!(
            "[sender]\nfrom = \"Bench <news@bench.example>\"\npostal_address = \"Bench, 1 Road, Town\"\n\
             imprint_url = \"https://bench.example/imprint\"\n\
             [web]\nbase_url = \"https://t.bench.example\"\nlisten = \"127.0.0.1:{web_port}\"\n\
             [[relay]]\nname = \"sink\"\nurl = \"{relay}\"\nconnections = {connections}\n\
             [topics.{TOPIC}]\ntitle = \"News\"\n[categories]\nrunning = \"Running\"\n"
        );
        fs::write(project.path("config/colloquy.toml"), settings).unwrap();
        let campaign = format!(
            "topic = \"{TOPIC}\"\nsubject = \"{{{{first_name}}}}, your news\"\ntemplate = \"bench.hbs\"\n\
             [audience]\nwhere = 'true'\n[links]\n\"https://shop.bench.example/*\" = \"running\"\n"
        );
        fs::write(project.path("config/campaigns/bench.toml"), campaign).unwrap();
        fs::write(project.path("templates/bench.hbs"), template).unwrap();
        project
    }

    /// One whose campaign went to so many people, with what signs its links. The sink may go, its mails have gone.
    pub fn mailed(recipients: usize, template: &str) -> (Self, Keyring) {
        let sink = super::Sink::start();
        let project = Self::new(&format!("smtp://127.0.0.1:{}", sink.port), 10, template);
        let csv = project.path("recipients.csv");
        write_recipients(&csv, recipients);
        project.import(&csv);
        project.send(recipients);
        let keys = Secrets::load(&project.path("config/secrets.toml")).unwrap().keyring();
        (project, keys)
    }

    /// Adds lines to its settings.
    pub fn configure(&self, lines: &str) {
        let path = self.path("config/colloquy.toml");
        let settings = fs::read_to_string(&path).unwrap();
        fs::write(path, settings + lines).unwrap();
    }

    /// A path inside the project.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// The program on this project.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
        command.arg("-C").arg(self.dir.path()).args(arguments).env("RUST_LOG", "warn");
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Usage {
        Usage::of(&mut self.command(arguments))
    }

    /// Imports a CSV file with consent to tracking.
    pub fn import(&self, file: &Path) -> Usage {
        self.run(&["import", file.to_str().unwrap(), "--topic", TOPIC, "--source", "bench", "--tracking"])
    }

    /// Sends the campaign to everybody, all of whom must be accepted.
    pub fn send(&self, recipients: usize) -> Usage {
        let usage = self.run(&["send", "bench"]);
        let expected = format!("accepted   {recipients}\n");
        assert!(usage.output.contains(&expected), "not all were accepted:\n{}", usage.output);
        usage
    }
}

/// Writes a CSV file of so many recipients.
pub fn write_recipients(path: &Path, count: usize) {
    const NAMES: [&str; 8] = ["Anna", "Björn", "Chiara", "Djamal", "Émilie", "Fatma", "Grzegorz", "Hanna"];
    const COUNTRIES: [&str; 4] = ["DE", "AT", "CH", "FR"];
    let mut file = BufWriter::new(fs::File::create(path).unwrap());
    writeln!(file, "address,first_name,country,city,customer_number").unwrap();
    for n in 0..count {
        let (name, country) = (NAMES[n % NAMES.len()], COUNTRIES[n / 3 % COUNTRIES.len()]);
        writeln!(file, "reader{n}@domain{}.example,{name},{country},\"Town, {}\",{}", n % 997, n % 4001, 100_000 + n)
            .unwrap();
    }
    file.flush().unwrap();
}
