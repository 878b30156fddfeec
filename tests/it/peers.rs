//! Sending to mail servers that others wrote: Postfix's `smtp-sink`, and Postfix as a smarthost.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::mail_path::{MailPath, MailUse};
use colloquy::domain::message::MessageState;
use colloquy::send::Ended;
use colloquy::store::EngineKind;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::project::{Project, Settings};
use crate::support::database;
use crate::support::ports::free_port;

pub async fn wait_for(port: u16) {
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing listens on port {port}; is Postfix installed? scripts/setup installs it");
}

/// A process that ends with the test.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn smtp_sink_takes_every_message_once() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    let dump = project.db.dir.path().join("dump");
    fs::create_dir(&dump).unwrap();
    fs::set_permissions(&dump, PermissionsExt::from_mode(0o777)).unwrap();
    fs::set_permissions(project.db.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let port = free_port();
    let mut sink = Command::new("/usr/sbin/smtp-sink");
    // It does not run as root.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        sink.args(["-u", "nobody"]);
    }
    let sink = sink
        .args(["-d", &format!("{}/mail.", dump.display()), &format!("127.0.0.1:{port}"), "100"])
        .stderr(Stdio::null())
        .spawn()
        .expect("smtp-sink is installed by scripts/setup");
    let _sink = Killed(sink);
    wait_for(port).await;
    project.relay(&format!("smtp://127.0.0.1:{port}"));
    project.import(500).await;
    let (run, ended) = project.send().await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(project.count(&run, MessageState::Accepted).await, 500);

    let mut recipients: Vec<String> = fs::read_dir(&dump)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .filter_map(|mail| mail.lines().find_map(|line| line.strip_prefix("X-Rcpt-Args: ").map(str::to_owned)))
        .collect();
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients.len(), 500);
}

/// A Postfix instance of its own, which hands everything to one relay.
pub struct Postfix {
    dir: PathBuf,
}

impl Postfix {
    /// Starts one in this directory; `more` are lines of `main.cf` and of `master.cf`.
    pub fn start(dir: PathBuf, port: u16, relay: u16, more: [&str; 2]) -> Self {
        for part in ["etc", "queue", "data"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        let id = |kind| {
            let out = Command::new("id").args([kind, "postfix"]).output().unwrap();
            String::from_utf8(out.stdout).unwrap().trim().parse::<u32>().expect("Postfix is installed by scripts/setup")
        };
        chown(dir.join("data"), Some(id("-u")), Some(id("-g"))).unwrap();
        let root = dir.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {root}/queue\ndata_directory = {root}/data\n\
             myhostname = smarthost.example\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             mynetworks = 127.0.0.0/8\nmydestination =\nrelayhost = [127.0.0.1]:{relay}\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\nsmtp_dns_support_level = disabled\nsmtputf8_enable = no\n\
             smtpd_recipient_restrictions = check_recipient_access inline:{{a7@example.org=REJECT}}, permit\n\
             maillog_file = {root}/log\nmaillog_file_prefixes = /\n{}\n",
            more[0]
        );
        let services =
            ["cleanup", "rewrite", "bounce", "defer", "trace", "smtp", "relay", "lmtp", "error", "retry", "anvil"];
        let program = |name| match name {
            "rewrite" => "trivial-rewrite",
            "defer" | "trace" => "bounce",
            "relay" => "smtp",
            "retry" => "error",
            other => other,
        };
        let mut master = format!(
            "127.0.0.1:{port} inet n - n - - smtpd\nqmgr unix n - n 300 1 qmgr\n\
             proxymap unix - - n - - proxymap\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
        );
        for name in services {
            let public = if name == "cleanup" { "n" } else { "-" };
            master += &format!("{name} unix {public} - n - 0 {}\n", program(name));
        }
        master += more[1];
        fs::write(dir.join("etc/main.cf"), main).unwrap();
        fs::write(dir.join("etc/master.cf"), master).unwrap();
        let postfix = Self { dir };
        postfix.command("start");
        postfix
    }

    fn command(&self, verb: &str) {
        let etc = self.dir.join("etc");
        let status = Command::new("/usr/sbin/postfix").arg("-c").arg(etc).arg(verb).stderr(Stdio::null()).status();
        assert!(status.expect("Postfix is installed by scripts/setup").success(), "postfix {verb}; it needs root");
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let etc = self.dir.join("etc");
        let _ = Command::new("/usr/sbin/postfix").arg("-c").arg(etc).arg("abort").stderr(Stdio::null()).status();
    }
}

pub fn relay_port(dir: &Path) -> u16 {
    let config = fs::read_to_string(dir.join("config/colloquy.toml")).unwrap();
    let (_, rest) = config.split_once("smtp://127.0.0.1:").unwrap();
    rest.split('"').next().unwrap().parse().unwrap()
}

/// Puts a Postfix between the project and its catcher; both directory and server go with what is returned.
pub async fn through_postfix(project: &mut Project, more: [&str; 2]) -> (Postfix, TempDir) {
    let catcher = relay_port(project.db.dir.path());
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let port = free_port();
    let postfix = Postfix::start(home.path().to_owned(), port, catcher, more);
    wait_for(port).await;
    project.relay(&format!("smtp://127.0.0.1:{port}"));
    (postfix, home)
}

#[tokio::test]
async fn postfix_as_a_smarthost_passes_on_what_it_takes_and_its_refusal_is_recorded() {
    let mut project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    let _postfix = through_postfix(&mut project, ["", ""]).await;
    project.import(50).await;
    let (run, ended) = project.send().await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(project.count(&run, MessageState::Accepted).await, 49);
    assert_eq!(project.count(&run, MessageState::Rejected).await, 1);

    let mut arrived = Vec::new();
    while arrived.len() < 49 {
        let mail = tokio::time::timeout(Duration::from_secs(60), project.caught.recv()).await.unwrap().unwrap();
        let text = String::from_utf8(mail.message).unwrap();
        assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{text}");
        arrived.extend(mail.recipients);
    }
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived.len(), 49);
    assert!(!arrived.contains(&"a7@example.org".to_owned()));
}

#[tokio::test]
async fn a_report_by_postfix_comes_back_by_the_signed_path_of_its_message_and_names_it() {
    // Postfix takes the message; the server behind it does not know the recipient.
    let script = |step, line: &str| {
        (step == Step::Rcpt && line.contains("a3@")).then(|| Act::Say("550 5.1.1 no such user".to_owned()))
    };
    let mut project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), script).await;
    let file = project.db.dir.path().join("config/colloquy.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace("[sender]\n", "[sender]\nbounce_domain = \"b.shop.example\"\n")).unwrap();
    let _postfix = through_postfix(&mut project, ["", ""]).await;
    let addresses = ["a3@example.org", "a4@example.org", "änna@example.org"];
    project.import_addresses(addresses.into_iter().map(str::to_owned)).await;
    let (run, _) = project.send().await;
    // It offers no SMTPUTF8.
    assert_eq!(project.count(&run, MessageState::Rejected).await, 1);
    assert_eq!(project.count(&run, MessageState::Accepted).await, 2);

    let report = loop {
        let mail = tokio::time::timeout(Duration::from_secs(60), project.caught.recv()).await.unwrap().unwrap();
        if mail.return_path.is_empty() {
            break mail;
        }
        assert!(mail.return_path.starts_with("b-") && mail.return_path.ends_with("@b.shop.example"));
    };
    let (local, domain) = report.recipients[0].split_once('@').unwrap();
    assert_eq!(domain, "b.shop.example");
    let path = MailPath::verify(local, &project.app().secrets().unwrap().keyring()).expect("our own signature");
    assert_eq!((path.purpose, path.run), (MailUse::Bounce, run.id));
    let text = String::from_utf8(report.message).unwrap();
    assert!(text.contains(&format!("Original-Envelope-Id: {}-{}", path.run, path.recipient)), "ENVID\n{text}");
    assert!(text.contains("Original-Recipient: rfc822;a3@example.org"), "ORCPT\n{text}");
    assert!(text.contains("Content-Type: text/rfc822-headers"), "RET=HDRS\n{text}");
}

impl Project {
    /// Sends through another relay from now on.
    fn relay(&self, url: &str) {
        let file = self.db.dir.path().join("config/colloquy.toml");
        let old = format!("smtp://127.0.0.1:{}", relay_port(self.db.dir.path()));
        let config = fs::read_to_string(&file).unwrap().replace(&old, url);
        fs::write(file, config).unwrap();
    }
}
