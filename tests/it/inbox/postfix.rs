//! Reports that Postfix writes, by each way in: what a real server makes of a refusal behind it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use colloquy::args;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::mail_path::{MailPath, MailUse};
use colloquy::lifecycle::Stop;
use colloquy::services::{Role, Services};
use colloquy::store::{EngineKind, Store};
use tempfile::TempDir;

use super::dovecot::Dovecot;
use super::kept;
use crate::peers::{Killed, Postfix, through_postfix};
use crate::project::{Project, Settings};
use crate::support::{Database, database, on_both_engines};

/// A project whose mail goes through a Postfix that passes on what comes back by `transport`; behind it nobody knows `a3`.
async fn project(db: Database, transport: &str, master: &str, inbox: &str) -> (Project, (Postfix, TempDir)) {
    let script = |step, line: &str| {
        (step == Step::Rcpt && line.contains("a3@")).then(|| Act::Say("550 5.1.1 no such user".to_owned()))
    };
    let mut project = Project::new(db, Settings::default(), script).await;
    let file = project.db.dir.path().join("config/colloquy.toml");
    let config = fs::read_to_string(&file).unwrap();
    let config = config.replace("[sender]\n", "[sender]\nbounce_domain = \"b.shop.example\"\n");
    fs::write(&file, format!("{config}{inbox}")).unwrap();
    let main = format!("transport_maps = inline:{{b.shop.example={transport}}}");
    let postfix = through_postfix(&mut project, [&main, master]).await;
    project.import_addresses(["a3@example.org", "a4@example.org"].into_iter().map(str::to_owned)).await;
    (project, postfix)
}

/// Waits until so many mails stand there.
async fn until(store: &Store, state: &str, mails: i64) {
    let sql = "SELECT COUNT(*) FROM inbound WHERE state = $1";
    for _ in 0..1_200 {
        let (found,): (i64,) = store.read().await.unwrap().one(sql, args![state]).await.unwrap();
        if found >= mails {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no mail is {state}: {:?}", kept(store).await);
}

/// What was found of the mails that were handled.
async fn found(store: &Store) -> Vec<(String, String, String)> {
    let sql = "SELECT way, kind, effect FROM inbound WHERE state = 'handled' ORDER BY id";
    store.read().await.unwrap().all(sql, args![]).await.unwrap()
}

/// Gives a directory and what is in it to `nobody`, as whom the mail server runs commands.
fn give(directory: &Path) {
    lchown(directory, Some(65_534), Some(65_534)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give(&path);
        } else {
            lchown(path, Some(65_534), Some(65_534)).unwrap();
        }
    }
}

on_both_engines! {
    async fn by_the_pipe_a_report_is_on_disk_with_its_signed_address(db) {
        let program = tempfile::tempdir().unwrap();
        fs::set_permissions(program.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let colloquy = program.path().join("colloquy");
        fs::copy(env!("CARGO_BIN_EXE_colloquy"), &colloquy).unwrap();
        let master = format!(
            "colloquy unix - n n - 4 pipe\n  flags=q user=nobody null_sender= argv={} -C {} inbox accept --sender ${{sender}} --recipient ${{recipient}}\n",
            colloquy.display(),
            db.dir.path().display(),
        );
        let (project, _postfix) = project(db, "colloquy:", &master, "").await;
        give(project.db.dir.path());
        project.send().await;
        until(&project.db.store, "waiting", 1).await;
        let kept = kept(&project.db.store).await;
        assert_eq!((kept.len(), kept[0].way.as_str(), kept[0].sender.as_deref()), (1, "pipe", Some("")));
        let (local, domain) = kept[0].recipient.as_deref().unwrap().split_once('@').unwrap();
        let path = MailPath::verify(local, &project.app().secrets().unwrap().keyring()).expect("our own signature");
        assert_eq!((domain, path.purpose), ("b.shop.example", MailUse::Bounce));
        let raw = String::from_utf8(kept[0].raw.clone().unwrap()).unwrap();
        assert!(raw.contains("\nFinal-Recipient: rfc822; a3@example.org\n"), "{raw}");
    }

    async fn by_lmtp_a_report_is_taken_and_handled(db) {
        let port = crate::support::ports::free_port();
        let inbox = format!("[inbox]\nlisten = \"127.0.0.1:{port}\"\n");
        let (project, _postfix) = project(db, &format!("lmtp:inet:127.0.0.1:{port}"), "", &inbox).await;
        let stop = Stop::default();
        let services = Services::start(project.app().site(), &[Role::Inbox], stop.clone()).await.unwrap();
        project.send().await;
        until(&project.db.store, "handled", 1).await;
        let own = |text: &str| text.to_owned();
        assert_eq!(found(&project.db.store).await, [(own("lmtp"), own("bounce"), own("dead"))]);
        stop.soft.cancel();
        assert!(services.finished().await);
    }
}

#[tokio::test]
async fn through_dovecot_a_report_is_read_by_imap_with_tls_and_handled() {
    let dovecot = Dovecot::start().await;
    let inbox = format!(
        "[inbox]\n[[inbox.mailbox]]\nname = \"bounces\"\nurl = \"imaps://localhost:{}/INBOX\"\n\
         username = \"bounces\"\npassword_env = \"BOUNCES_PASSWORD\"\nevery = \"1s\"\n",
        dovecot.imaps
    );
    let transport = format!("lmtp:inet:127.0.0.1:{}", dovecot.lmtp);
    let (project, _postfix) = project(database(EngineKind::Sqlite).await, &transport, "", &inbox).await;
    project.send().await;
    let service = Command::new(env!("CARGO_BIN_EXE_colloquy"))
        .args(["-C", project.db.dir.path().to_str().unwrap(), "run", "--role", "inbox"])
        .env("BOUNCES_PASSWORD", "secret")
        .env("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/authority.pem"))
        .env_remove("SSL_CERT_DIR")
        .stderr(Stdio::null())
        .spawn();
    let _service = Killed(service.unwrap());
    until(&project.db.store, "handled", 1).await;
    let own = |text: &str| text.to_owned();
    assert_eq!(found(&project.db.store).await, [(own("bounces"), own("bounce"), own("dead"))]);
}
