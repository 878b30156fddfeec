//! `colloquy doctor` against a DNS server, a relay, a service behind TLS, and both databases.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use colloquy::store::EngineKind;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::project::{Project, Settings};
use crate::relay::tls::acceptor;
use crate::support::dns::{self, Record};
use crate::support::ports::free_port;
use crate::support::{database, on_both_engines};

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/authority.pem");

fn record(name: &str, kind: &'static str, value: &str) -> Record {
    (name.to_owned(), kind, value.to_owned())
}

fn colloquy(project: &Project) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    command.arg("-C").arg(project.db.dir.path()).env("RUST_LOG", "off").env("SSL_CERT_FILE", AUTHORITY);
    command
}

/// What the doctor says: its exit code, its words, and its findings as `level check`.
pub async fn examined(project: &Project, dns: std::net::SocketAddr) -> (i32, String, Vec<String>) {
    examined_with(project, dns, &[]).await
}

async fn examined_with(project: &Project, dns: std::net::SocketAddr, more: &[&str]) -> (i32, String, Vec<String>) {
    let mut command = colloquy(project);
    command.args(["doctor", "--json", "--dns", &dns.to_string()]).args(more).env("RELAY_PASSWORD", "hunter2");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let words = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let said: Value = serde_json::from_str(&words).unwrap_or_else(|_| panic!("{words}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = said["findings"].as_array().unwrap();
    let findings = findings.iter().map(|one| format!("{} {}", text(&one["level"]), text(&one["check"]))).collect();
    (output.status.code().unwrap(), words, findings)
}

fn edit(project: &Project, edits: &[(&str, &str)]) {
    let file = project.db.dir.path().join("config/colloquy.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    for (from, to) in edits {
        assert!(text.contains(from), "{from} in {text}");
        text = text.replace(from, to);
    }
    fs::write(file, text).unwrap();
}

/// Puts TLS in front of a port; the certificate is that of `localhost`.
async fn secured(plain: u16) -> u16 {
    let port = free_port();
    // `localhost` has two addresses.
    for address in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((address, port)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor().accept(client).await else { return };
                    let mut server = TcpStream::connect(("127.0.0.1", plain)).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    }
    port
}

struct Service(Child);

impl Service {
    async fn start(project: &Project, port: u16) -> Self {
        let service = Self(colloquy(project).arg("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

on_both_engines! {
    async fn a_project_in_order_fails_nothing(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(1).await;
        let plain = free_port();
        let port = secured(plain).await;
        edit(&project, &[
            ("base_url = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"",
             &format!("base_url = \"https://localhost:{port}\"\nlisten = \"127.0.0.1:{plain}\"")),
            ("[database]", "bounce_domain = \"b.shop.example\"\n[database]"),
        ]);
        let made = colloquy(&project).args(["dkim", "new", "shop.example", "--selector", "c1"]).output().unwrap();
        let made = String::from_utf8(made.stdout).unwrap();
        let lines = &made[made.find("[[dkim]]").unwrap_or_else(|| panic!("{made}"))..];
        let lines: Vec<_> = lines.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
        edit(&project, &[("[topics.news]", &format!("{}\n[topics.news]", lines.join("\n")))]);
        let key = project.app().loaded.settings.dkim[0].clone();
        let keys = colloquy::config::dkim::keys(project.db.dir.path(), &[key]).unwrap();
        let dns = dns::serve(vec![
            record("c1._domainkey.shop.example", "TXT", &keys[0].1.record()),
            record("b.shop.example", "TXT", "v=spf1 ip4:192.0.2.1 -all"),
            record("b.shop.example", "TXT", "site-verification=1"),
            record("b.shop.example", "MX", "10 mx.shop.example"),
            record("mx.shop.example", "A", "192.0.2.1"),
            record("_dmarc.shop.example", "TXT", "v=DMARC1; p=none; rua=mailto:dmarc@shop.example"),
        ]).await;
        let _service = Service::start(&project, plain).await;
        let (code, words, findings) = examined(&project, dns).await;
        // The tests' PostgreSQL is set to forget after a power cut.
        let postgres = project.db.store.kind() == EngineKind::Postgres;
        let failed: Vec<_> = findings.iter().filter(|found| found.starts_with("fail")).collect();
        assert_eq!(failed, if postgres { vec!["fail durability"] } else { vec![] }, "{words}");
        assert_eq!(code, i32::from(postgres), "{words}");
        for expected in [
            "ok database",
            if postgres { "fail durability" } else { "ok durability" },
            "ok clock",
            "ok keys in config/secrets.toml",
            "ok relay catcher",
            "ok DKIM of c1._domainkey.shop.example",
            "ok SPF of b.shop.example",
            "ok DMARC of shop.example",
            "ok MX of b.shop.example",
            "ok alignment",
            "ok links",
            "ok base_url at 127.0.0.1",
            "ok base_url at ::1",
            "ok clock of base_url",
        ] {
            assert!(findings.iter().any(|found| found == expected), "{expected} in {words}");
        }
        assert_eq!(postgres, findings.iter().any(|found| found == "ok clock of the database"), "{words}");
    }
}

#[tokio::test]
async fn an_address_that_only_this_machine_does_not_reach_is_warned_of_and_spf_is_evaluated_for_those_named() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    let plain = free_port();
    edit(
        &project,
        &[(
            "base_url = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"",
            &format!("base_url = \"http://t.shop.example:{plain}\"\nlisten = \"127.0.0.1:{plain}\""),
        )],
    );
    let dns = dns::serve(vec![
        record("t.shop.example", "A", "127.0.0.1"),
        // Set aside for documentation: nothing answers there (RFC 3849).
        record("t.shop.example", "AAAA", "2001:db8::1"),
        record("shop.example", "TXT", "v=spf1 ip4:192.0.2.1 include:spf.relay.example ~all"),
        record("spf.relay.example", "TXT", "v=spf1 ip6:2001:db8:1::/48 -all"),
        record("shop.example", "MX", "10 t.shop.example"),
    ])
    .await;
    let _service = Service::start(&project, plain).await;
    let named = ["--leaves-from", "192.0.2.1", "192.0.2.9", "2001:db8:1::7"];
    let (_, words, findings) = examined_with(&project, dns, &named).await;
    for expected in [
        "ok base_url at 127.0.0.1",
        "warn base_url at 2001:db8::1",
        "ok SPF for 192.0.2.1",
        "fail SPF for 192.0.2.9",
        "ok SPF for 2001:db8:1::7",
    ] {
        assert!(findings.iter().any(|found| found == expected), "{expected} in {words}");
    }
    for said in ["this machine does not reach it", "does not let it send: softfail", "add ip4:192.0.2.9 to the record"]
    {
        assert!(words.contains(said), "{said} in {words}");
    }
}

#[tokio::test]
async fn what_fails_says_how_to_mend_it_and_shows_no_secret() {
    let settings = Settings { relay: "username = \"shop\"\npassword_env = \"RELAY_PASSWORD\"", ..Settings::default() };
    let project = Project::new(database(EngineKind::Sqlite).await, settings, |_, _| None).await;
    edit(
        &project,
        &[
            (
                "[topics.news]",
                "[[relay]]\nname = \"gone\"\nurl = \"smtp://127.0.0.1:1\"\n[[relay]]\nname = \"unset\"\n\
          url = \"smtp://127.0.0.1:1\"\nusername = \"shop\"\npassword_env = \"NOT_SET_ANYWHERE\"\n\
          [[dkim]]\ndomain = \"shop.example\"\nselector = \"c1\"\nkey_file = \"config/dkim.pem\"\n[topics.news]",
            ),
            ("[database]", "bounce_domain = \"b.elsewhere.example\"\n[database]"),
        ],
    );
    let secrets = project.db.dir.path().join("config/secrets.toml");
    fs::set_permissions(secrets, fs::Permissions::from_mode(0o644)).unwrap();
    let key = project.db.dir.path().join("config/dkim.pem");
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&key).status().unwrap();
    assert!(made.success());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let dns = dns::serve(vec![
        record("c1._domainkey.shop.example", "TXT", "v=DKIM1; k=ed25519; p=AAAA"),
        record("b.elsewhere.example", "TXT", "v=spf1 -all"),
        record("b.elsewhere.example", "TXT", "v=spf1 +all"),
        record("b.elsewhere.example", "MX", "0 ."),
        record("_dmarc.shop.example", "TXT", "v=DMARC1; rua=mailto:dmarc@shop.example"),
    ])
    .await;
    let (code, words, findings) = examined(&project, dns).await;
    assert_eq!(code, 1, "{words}");
    for (expected, mend) in [
        ("fail keys in config/secrets.toml", "chmod 600 config/secrets.toml"),
        ("fail relay catcher", "look at username, and at the password in RELAY_PASSWORD"),
        ("fail relay gone", "look at 127.0.0.1, port 1"),
        ("fail relay unset", "set the variable where colloquy runs"),
        ("fail DKIM of c1._domainkey.shop.example", "as `colloquy dkim show` prints it"),
        ("fail SPF of b.elsewhere.example", "put them together in one"),
        ("fail DMARC of shop.example", "write a policy: p=none, p=quarantine or p=reject"),
        ("fail MX of b.elsewhere.example", "publish an MX record at b.elsewhere.example"),
        ("warn alignment", "set [sender] bounce_domain to a domain below shop.example"),
        ("warn links", "serve it by https"),
    ] {
        assert!(findings.iter().any(|found| found == expected), "{expected} in {words}");
        assert!(words.contains(mend), "{mend} in {words}");
    }
    assert!(!words.contains("hunter2"), "{words}");
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_told_with_its_cause_and_what_mends_that() {
    let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
    fs::write(project.db.dir.path().join("broken.db"), "no database ".repeat(1_000)).unwrap();
    let dns = dns::serve(Vec::new()).await;
    let mut url = "sqlite:colloquy.db";
    for (other, cause, mend) in [
        ("sqlite:broken.db", "file is not a database", "a damaged one comes back by `colloquy restore`"),
        ("postgres://joe:s3cr3tpw@127.0.0.1:1/x", "127.0.0.1:1/x cannot be opened: Connection refused", "PGPASSWORD"),
    ] {
        edit(&project, &[(url, other)]);
        url = other;
        let (code, words, findings) = examined(&project, dns).await;
        assert!(code == 1 && findings.iter().any(|found| found == "fail database"), "{words}");
        assert!(words.contains(cause) && words.contains(mend) && !words.contains("s3cr3tpw"), "{words}");
    }
}
