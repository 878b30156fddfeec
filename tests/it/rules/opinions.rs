//! What filters of others think of the mails that `init` writes: `spamassassin` and `rspamd`, with the
//! rules that look at nothing but the mail.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Shop, program};

/// The worst score that a mail may have.
const WORST: f64 = 1.0;

/// One mail of every campaign of the project that `init` writes, by the campaign's name.
fn samples() -> Vec<(String, String)> {
    let shop = Shop::new();
    shop.edit("config/colloquy.toml", "http://localhost:8080", "https://t.alpenlauf.example");
    shop.key("alpenlauf.example", "r1", "rsa");
    shop.done(&["import", "recipients.csv", "--topic", "news", "--source", "test", "--tracking"]);
    let campaigns = fs::read_dir(shop.path("config/campaigns")).unwrap();
    let mut names: Vec<_> =
        campaigns.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    // Who would get it does not matter here.
    names
        .into_iter()
        .map(|name| (name.clone(), shop.done(&["preview", &name, "--as", "anna@recipients.example"])))
        .collect()
}

#[test]
fn spamassassin_has_nothing_against_the_sample_mails() {
    for (name, mail) in samples() {
        let (_, words) = program("spamassassin", &["-L", "-t"], &mail);
        let (_, status) = words.split_once("X-Spam-Status:").unwrap_or_else(|| panic!("no verdict:\n{words}"));
        let (_, score) = status.split_once("score=").unwrap();
        let score: f64 = score.split_whitespace().next().unwrap().parse().unwrap();
        assert!(score <= WORST, "{name} scores {score}: {status}");
    }
}

/// A running rspamd.
struct Rspamd {
    daemon: Child,
    port: String,
    _dir: tempfile::TempDir,
}

impl Drop for Rspamd {
    fn drop(&mut self) {
        // Its workers end with it when it is asked to, not when it is killed.
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ = self.daemon.wait();
    }
}

impl Rspamd {
    /// Starts one without DNS.
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let port = crate::support::ports::free_port().to_string();
        let config = format!(
            ".include \"$CONFDIR/common.conf\"\n\
             options {{\n  pidfile = \"{at}/pid\";\n  .include \"$CONFDIR/options.inc\"\n  disable_hyperscan = true;\n  \
             dns {{ nameserver = [\"127.0.0.1:9\"]; timeout = 0.01s; retransmits = 1; sockets = 1; }}\n}}\n\
             logging {{ type = \"file\"; filename = \"{at}/log\"; level = \"warning\"; }}\n\
             worker \"normal\" {{ bind_socket = \"127.0.0.1:{port}\"; count = 1; }}\n"
        );
        fs::write(dir.path().join("rspamd.conf"), config).unwrap();
        let path = format!("{}:/usr/sbin:/usr/bin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("env");
        command.env("PATH", path).args(["rspamd", "-f", "-i", "-c"]).arg(dir.path().join("rspamd.conf"));
        command.arg(format!("--var=DBDIR={at}")).stdout(Stdio::null()).stderr(Stdio::null());
        Self { daemon: command.spawn().unwrap(), port, _dir: dir }
    }

    /// The score of a mail with the symbols that make it, as soon as the daemon answers.
    async fn judge(&mut self, mail: &str) -> (f64, String) {
        let address = format!("127.0.0.1:{}", self.port);
        for _ in 0..600 {
            let (code, words) =
                program("rspamc", &["-h", &address, "--hostname", "mail.alpenlauf.example", "symbols"], mail);
            let score = words.split_once("Score: ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
            if let (0, Some(score)) = (code, score) {
                return (score, words);
            }
            assert!(self.daemon.try_wait().unwrap().is_none(), "rspamd ended; scripts/setup test installs it");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("rspamd does not answer")
    }
}

#[tokio::test]
async fn rspamd_has_nothing_against_the_sample_mails() {
    let mut rspamd = Rspamd::start();
    for (name, mail) in samples() {
        let (score, words) = rspamd.judge(&mail).await;
        assert!(score <= WORST, "{name} scores {score}:\n{words}");
    }
}
