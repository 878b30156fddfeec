//! Mailboxes of Dovecot, by IMAP and POP3.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use colloquy::domain::mailbox::{DEFAULT_EVERY, MailboxConfig, MailboxUrl, Then};
use colloquy::inbox::MOST_KEPT;
use colloquy::mailbox::{Looked, Mailbox, Options, Trouble};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::kept;
use super::maildir::{Basket, Crashing, maildir};
use crate::peers::wait_for;
use crate::project::{Settings, write_project};
use crate::support::on_both_engines;
use crate::support::ports::free_port;

const AUTHORITY: &[u8] = include_bytes!("../tls/authority.pem");
/// Debian's `nobody` and `nogroup`, to whom the mailbox belongs.
const NOBODY: u32 = 65_534;

/// A Dovecot of its own with one mailbox, whoever logs in; it ends with the test.
pub struct Dovecot {
    home: TempDir,
    pub imap: u16,
    pub imaps: u16,
    pub pop3: u16,
    pub pop3s: u16,
    pub lmtp: u16,
}

impl Dovecot {
    pub async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls");
        for file in ["server.pem", "server.key"] {
            fs::copy(format!("{tls}/{file}"), home.path().join(file)).unwrap();
        }
        maildir(&home.path().join("mail"));
        let dovecot = Self {
            home,
            imap: free_port(),
            imaps: free_port(),
            pop3: free_port(),
            pop3s: free_port(),
            lmtp: free_port(),
        };
        dovecot.own();
        fs::write(dovecot.config(), dovecot.text()).unwrap();
        let started =
            Command::new("/usr/sbin/dovecot").arg("-c").arg(dovecot.config()).stderr(Stdio::inherit()).status();
        assert!(started.expect("Dovecot is installed by scripts/setup").success(), "Dovecot starts; it needs root");
        for port in [dovecot.imap, dovecot.imaps, dovecot.pop3, dovecot.pop3s, dovecot.lmtp] {
            wait_for(port).await;
        }
        dovecot
    }

    fn config(&self) -> PathBuf {
        self.home.path().join("dovecot.conf")
    }

    fn text(&self) -> String {
        let root = self.home.path().display();
        let Self { imap, imaps, pop3, pop3s, lmtp, .. } = self;
        let listener = |name: &str, port: &u16, ssl: &str| {
            format!("  inet_listener {name} {{\n    port = {port}\n    ssl = {ssl}\n  }}\n")
        };
        format!(
            "protocols = imap pop3 lmtp\nlisten = 127.0.0.1\nbase_dir = {root}/run\nstate_dir = {root}/run\n\
             log_path = {root}/log\nssl = yes\nssl_cert = <{root}/server.pem\nssl_key = <{root}/server.key\n\
             disable_plaintext_auth = no\nauth_mechanisms = plain\nmail_location = maildir:{root}/mail\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\n\
             passdb {{\n  driver = static\n  args = password=secret\n}}\n\
             userdb {{\n  driver = static\n  args = uid={NOBODY} gid={NOBODY} home={root}/mail allow_all_users=yes\n}}\n\
             service imap-login {{\n  chroot =\n{}{}}}\nservice pop3-login {{\n  chroot =\n{}{}}}\nservice lmtp {{\n{}}}\n\
             service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n",
            listener("imap", imap, "no"),
            listener("imaps", imaps, "yes"),
            listener("pop3", pop3, "no"),
            listener("pop3s", pop3s, "yes"),
            listener("lmtp", lmtp, "no"),
        )
    }

    /// Puts mails into the mailbox.
    pub fn deliver(&self, mails: impl IntoIterator<Item = Vec<u8>>) {
        for (n, mail) in mails.into_iter().enumerate() {
            // Under tmp first, as Maildir has it.
            let [tmp, new] = ["tmp", "new"].map(|part| self.home.path().join(format!("mail/{part}/{n:06}.mail")));
            fs::write(&tmp, mail).unwrap();
            chown(&tmp, Some(NOBODY), Some(NOBODY)).unwrap();
            fs::rename(tmp, new).unwrap();
        }
    }

    fn own(&self) {
        for part in ["mail", "mail/new", "mail/cur", "mail/tmp"] {
            chown(self.home.path().join(part), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// Where the mailbox is, by every protocol and security.
    fn urls(&self) -> [String; 6] {
        let Self { imap, imaps, pop3, pop3s, .. } = self;
        [
            format!("imap://localhost:{imap}/INBOX"),
            format!("imap+starttls://localhost:{imap}"),
            format!("imaps://localhost:{imaps}/INBOX"),
            format!("pop3://localhost:{pop3}"),
            format!("pop3+starttls://localhost:{pop3}"),
            format!("pop3s://localhost:{pop3s}"),
        ]
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ =
            Command::new("/usr/bin/doveadm").arg("-c").arg(self.config()).arg("stop").stderr(Stdio::null()).status();
    }
}

fn mailbox(url: &str, password: &str, then: Then, roots: Option<&[u8]>) -> Mailbox {
    let config = MailboxConfig {
        name: "bounces".to_owned(),
        url: MailboxUrl::parse(url).unwrap(),
        username: Some("bounces".to_owned()),
        password_env: Some("BOUNCES_PASSWORD".to_owned()),
        every: DEFAULT_EVERY,
        then,
    };
    let stop = CancellationToken::new();
    let password = Some(password.to_owned().into());
    let root = std::path::Path::new("/");
    Mailbox::new(config, Options { root, password, extra_roots: roots, most: MOST_KEPT, stop }).unwrap()
}

fn open(url: &str) -> Mailbox {
    mailbox(url, "secret", Then::Delete, Some(AUTHORITY))
}

#[tokio::test]
async fn every_protocol_by_every_security_brings_the_same_octets_once() {
    let dovecot = Dovecot::start().await;
    let huge = [b"From: c\r\n\r\n".to_vec(), b"0123456789abcdef\r\n".repeat(700_000)].concat();
    let mails =
        [b"From: a\r\n\r\nhello\r\n".to_vec(), b"From: b\r\n\r\n.\r\n..\r\n\xff\r \x01\"\\){5}\r\n".to_vec(), huge];
    for url in dovecot.urls() {
        dovecot.deliver(mails.clone());
        assert_eq!(open(&url).knock().await.unwrap(), Some(3), "{url}");
        let basket = Basket::default();
        assert_eq!(open(&url).look(&basket).await.unwrap(), Looked { taken: 3, unreadable: 0 }, "{url}");
        let expected: Vec<_> = mails.iter().map(|mail| mail[..mail.len().min(MOST_KEPT)].to_vec()).collect();
        assert!(basket.mails() == expected, "{url} brought other octets");
        let mut sizes: Vec<_> = basket.0.lock().unwrap().iter().map(|(_, size)| *size).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, mails.clone().map(|mail| mail.len() as u64), "{url}");
        assert_eq!(open(&url).look(&basket).await.unwrap(), Looked::default(), "{url}: they are gone");
    }
}

#[tokio::test]
async fn by_imap_mails_can_move_to_a_folder_which_is_made() {
    let dovecot = Dovecot::start().await;
    let url = format!("imaps://localhost:{}", dovecot.imaps);
    let moving = mailbox(&url, "secret", Then::Move("Handled mail".to_owned()), Some(AUTHORITY));
    for n in 1..=2 {
        dovecot.deliver([b"From: a\n\nhello\n".to_vec()]);
        assert_eq!(moving.look(&Basket::default()).await.unwrap().taken, 1);
        assert_eq!(open(&format!("{url}/Handled mail")).knock().await.unwrap(), Some(n));
    }
    assert_eq!(open(&url).knock().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_password_goes_to_a_proven_server_only_and_trouble_tells_no_secret() {
    let dovecot = Dovecot::start().await;
    dovecot.deliver([b"From: a\n\nhello\n".to_vec()]);
    for url in dovecot.urls() {
        let wrong = mailbox(&url, "wrong\"pass word\\", Then::Delete, Some(AUTHORITY)).look(&Basket::default()).await;
        let trouble = wrong.unwrap_err();
        assert!(matches!(trouble, Trouble::Login(_)), "{url}: {trouble:?}");
        let told = format!("{trouble} {trouble:?}");
        assert!(!told.contains("pass") && !told.contains("bounces"), "{told}");
        if url.contains("s://") {
            for (url, roots) in [(url.clone(), None), (url.replace("localhost", "127.0.0.1"), Some(AUTHORITY))] {
                let unproven = mailbox(&url, "secret", Then::Delete, roots).look(&Basket::default()).await;
                assert!(matches!(unproven, Err(Trouble::Tls(_))), "{url}: {unproven:?}");
            }
        }
    }
    let nobody = format!("imap://localhost:{}", free_port());
    assert!(matches!(open(&nobody).look(&Basket::default()).await, Err(Trouble::Connect(_))));
    let missing = open(&format!("imap://localhost:{}/None", dovecot.imap)).look(&Basket::default()).await.unwrap_err();
    assert!(missing.to_string().starts_with("the server refused to open the folder"), "{missing}");
    assert_eq!(
        open(&format!("imap://localhost:{}", dovecot.imap)).knock().await.unwrap(),
        Some(1),
        "it is still there"
    );
}

#[tokio::test]
async fn a_mail_that_the_server_cannot_read_stays_and_the_others_come() {
    let dovecot = Dovecot::start().await;
    dovecot.deliver((0..150).map(|n| format!("From: a\n\nmail {n}\n").into_bytes()));
    for bad in ["000007", "000120"] {
        let file = dovecot.home.path().join(format!("mail/new/{bad}.mail"));
        chown(&file, Some(0), Some(0)).unwrap();
        fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let basket = Basket::default();
    let looked = open(&format!("imap://localhost:{}", dovecot.imap)).look(&basket).await.unwrap();
    assert_eq!(looked, Looked { taken: 148, unreadable: 2 });
    let mut mails = basket.mails();
    mails.dedup();
    assert_eq!(mails.len(), 148);
}

#[tokio::test]
async fn behind_a_mail_over_which_a_server_hangs_up_the_others_come_by_pop3() {
    let dovecot = Dovecot::start().await;
    dovecot.deliver((0..30).map(|n| format!("From: a\n\nmail {n}\n").into_bytes()));
    let url = format!("pop3://localhost:{}", dovecot.pop3);
    // Once the server knows their sizes, it lets us in although it cannot read two of them.
    assert_eq!(open(&url).knock().await.unwrap(), Some(30));
    for bad in ["000007", "000020"] {
        let found = fs::read_dir(dovecot.home.path().join("mail/cur"))
            .unwrap()
            .chain(fs::read_dir(dovecot.home.path().join("mail/new")).unwrap());
        let file = found.map(|entry| entry.unwrap().path()).find(|path| path.to_string_lossy().contains(bad)).unwrap();
        chown(&file, Some(0), Some(0)).unwrap();
        fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let basket = Basket::default();
    let looked = open(&url).look(&basket).await.unwrap();
    assert_eq!(looked, Looked { taken: 28, unreadable: 2 });
    assert_eq!(open(&url).knock().await.unwrap(), Some(2));
}

#[tokio::test]
async fn mailboxes_of_many_mails_are_emptied() {
    let dovecot = Dovecot::start().await;
    for url in [format!("imap://localhost:{}", dovecot.imap), format!("pop3://localhost:{}", dovecot.pop3)] {
        dovecot.deliver((0..1_203).map(|n| format!("From: a\n\nmail {n}\n").into_bytes()));
        let basket = Basket::default();
        assert_eq!(open(&url).look(&basket).await.unwrap(), Looked { taken: 1_203, unreadable: 0 });
        let mut mails = basket.mails();
        mails.dedup();
        assert_eq!((mails.len(), open(&url).knock().await.unwrap()), (1_203, Some(0)));
    }
}

#[tokio::test]
async fn doctor_knocks_at_each_mailbox() {
    let dovecot = Dovecot::start().await;
    dovecot.deliver([b"From: a\n\nhello\n".to_vec()]);
    let project = tempfile::tempdir().unwrap();
    write_project(project.path(), "sqlite:colloquy.db", "file:outbox", &Settings::default());
    let file = project.path().join("config/colloquy.toml");
    let config = fs::read_to_string(&file).unwrap();
    let mailbox = |name: &str, url: &str, password: &str| {
        format!(
            "[[inbox.mailbox]]\nname = \"{name}\"\nurl = \"{url}\"\nusername = \"bounces\"\npassword_env = \"{password}\"\n"
        )
    };
    let url = format!("imaps://localhost:{}", dovecot.imaps);
    let inbox = mailbox("right", &url, "RIGHT") + &mailbox("wrong", &url, "WRONG") + &mailbox("unset", &url, "UNSET");
    fs::write(&file, format!("{config}{inbox}")).unwrap();
    let dns = crate::support::dns::serve(Vec::new()).await;
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_colloquy"));
    doctor.arg("-C").arg(project.path()).args(["doctor", "--dns", &dns.to_string()]);
    doctor.env("RIGHT", "secret").env("WRONG", "hunter2").env("SSL_CERT_FILE", dovecot.home.path().join("ca.pem"));
    fs::write(dovecot.home.path().join("ca.pem"), AUTHORITY).unwrap();
    let output = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for line in [
        "ok    mailbox right: lets us in; mails there: 1",
        "FAIL  mailbox wrong: the server does not let us in [AUTHENTICATIONFAILED]",
        "FAIL  mailbox unset: mailbox 'unset' takes its password from the variable UNSET, which is not set",
    ] {
        assert!(said.lines().any(|own| own.starts_with(line)), "{line} is missing in\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

on_both_engines! {
    async fn a_crash_between_taking_and_removing_brings_the_same_octets_again(db) {
        let dovecot = Dovecot::start().await;
        for (n, url) in dovecot.urls().iter().enumerate().filter(|(n, _)| n % 3 == 2) {
            dovecot.deliver((0..3).map(|mail| format!("From: {n}\n\nmail {mail}\n").into_bytes()));
            let sink = Crashing::new(&db.store);
            for _ in 0..3 {
                assert!(matches!(open(url).look(&sink).await, Err(Trouble::Sink(_))));
            }
            assert_eq!(open(url).look(&sink).await.unwrap().taken, 3);
            assert_eq!(open(url).knock().await.unwrap(), Some(0));
        }
        assert_eq!(kept(&db.store).await.len(), 6, "three of each, and none twice");
    }
}
