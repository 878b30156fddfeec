//! A project that has written to its people, and what comes back to it.

use std::sync::Arc;

use aws_lc_rs::hmac;
use colloquy::args;
use colloquy::clock::Clock;
use colloquy::demo::catcher::Caught;
use colloquy::domain::address::Address;
use colloquy::domain::time::Micros;
use colloquy::inbox::{Arrival, Intake, Parts, Reader, Rules, Taken};
use colloquy::metrics::Metrics;
use colloquy::send::{Ended, Sender};
use colloquy::store::inbound::{self, Listed};
use colloquy::store::runs::{self, Run};
use colloquy::store::{Store, Value, suppressions, versions};
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::support::Database;

/// A mail that one of them got.
#[derive(Clone, Debug)]
pub struct Mail {
    pub return_path: String,
    text: String,
}

impl Mail {
    /// A header field, unfolded.
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
    }

    pub fn reply_to(&self) -> String {
        let field = self.header("Reply-To");
        field.rsplit_once('<').map_or(field.as_str(), |(_, address)| address.trim_end_matches('>')).to_owned()
    }

    pub fn leave_by_mail(&self) -> String {
        let field = self.header("List-Unsubscribe");
        let (_, mailto) = field.split_once("<mailto:").unwrap();
        mailto.split('?').next().unwrap().to_owned()
    }
}

pub struct Post {
    project: Project,
    pub run: Run,
    intake: Intake,
    reader: Reader,
    caught: Vec<Caught>,
    pub metrics: Metrics,
}

impl Post {
    /// Sends a mail to `a0@example.org` and so on.
    pub async fn begin(db: Database, people: usize) -> Self {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        let path = project.db.dir.path().join("config/colloquy.toml");
        let toml = std::fs::read_to_string(&path).unwrap();
        let own = "bounce_domain = \"b.shop.example\"\nreply_to = \"service@shop.example\"\ncatch_replies = true\n";
        std::fs::write(&path, toml.replace("[database]", &format!("{own}[database]"))).unwrap();
        project.import(people).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        let metrics = Metrics::new();
        let reader = reader(&project, &metrics);
        let intake = Intake::new(project.db.store.clone(), Clock::system(), Metrics::new());
        let mut post = Self { project, run, intake, reader, caught: Vec::new(), metrics };
        post.collect();
        post
    }

    pub fn another_reader(&self) -> Reader {
        reader(&self.project, &self.metrics)
    }

    fn collect(&mut self) {
        while let Ok(mail) = self.project.caught.try_recv() {
            self.caught.push(mail);
        }
    }

    /// Sends the campaign once more.
    pub async fn send_again(&mut self) {
        let (run, ended) = self.project.send().await;
        assert_eq!(ended, Ended::Done);
        self.run = run;
        self.collect();
    }

    pub fn store(&self) -> &Store {
        &self.project.db.store
    }

    pub fn key(&self) -> hmac::Key {
        self.project.app().secrets().unwrap().suppression_key()
    }

    pub fn now(&self) -> Micros {
        Clock::system().now()
    }

    /// The last mail that this address got.
    pub fn mail_to(&self, address: &str) -> Mail {
        let mail = self.caught.iter().rev().find(|mail| mail.recipients == [address]).expect("it got a mail");
        let text = String::from_utf8(mail.message.clone()).unwrap();
        Mail { return_path: mail.return_path.clone(), text }
    }

    /// Brings a mail; without an envelope when `to` is empty.
    pub async fn deliver(&self, to: &str, mail: &str) -> Taken {
        self.bring(to, mail.as_bytes()).await
    }

    pub async fn bring(&self, to: &str, raw: &[u8]) -> Taken {
        let recipient = (!to.is_empty()).then_some(to);
        let arrival = Arrival { way: "pipe", sender: None, recipient, raw, size: raw.len() as u64 };
        self.intake.take(arrival).await.unwrap()
    }

    pub fn rules(&self) -> Rules {
        Rules::from(&self.project.app().loaded.project)
    }

    /// Handles all that waits.
    pub async fn read_all(&mut self) {
        let rules = self.rules();
        while self.reader.step(&rules).await.unwrap() {}
    }

    /// In the order of arrival.
    pub async fn listed(&self) -> Vec<Listed> {
        let mut listed = inbound::list(&mut self.store().read().await.unwrap(), [None; 3], 1_000).await.unwrap();
        listed.reverse();
        listed
    }

    /// Kind and effect of each mail.
    pub async fn effects(&self) -> Vec<(&'static str, &'static str)> {
        let word = |word: Option<String>| &*Box::leak(word.unwrap_or_default().into_boxed_str());
        self.listed().await.into_iter().map(|mail| (word(mail.kind), word(mail.effect))).collect()
    }

    /// Who of `a0@example.org` … `a9@example.org` is suppressed.
    pub async fn suppressed(&self) -> Vec<String> {
        let mut found = Vec::new();
        for address in (0..10).map(|n| format!("a{n}@example.org")) {
            let hash = Address::parse(&address).unwrap().hash(&self.key());
            if suppressions::contains(&mut self.store().read().await.unwrap(), &hash).await.unwrap() {
                found.push(address);
            }
        }
        found
    }

    /// Whose actions of a kind there are, with their words.
    pub async fn actions(&self, kind: &str) -> Vec<(i64, Option<String>)> {
        let sql = "SELECT recipient_id, words FROM actions WHERE kind = $1 ORDER BY id";
        self.store().read().await.unwrap().all(sql, args![kind]).await.unwrap()
    }

    /// Who is subscribed.
    pub async fn subscribed(&self) -> Vec<i64> {
        let sql = "SELECT recipient_id FROM subscriptions WHERE subscribed ORDER BY recipient_id";
        let rows: Vec<(i64,)> = self.store().read().await.unwrap().all(sql, vec![]).await.unwrap();
        rows.into_iter().map(|(id,)| id).collect()
    }

    /// The channels by which consent to be mailed was withdrawn.
    pub async fn channels(&self) -> Vec<String> {
        let sql = "SELECT payload FROM consents WHERE purpose = 'contact' AND NOT granted ORDER BY recipient_id";
        let rows: Vec<(String,)> = self.store().read().await.unwrap().all(sql, vec![]).await.unwrap();
        let channel = |(payload,): (String,)| {
            let payload: serde_json::Value = serde_json::from_str(&payload).unwrap();
            payload["channel"].as_str().unwrap().to_owned()
        };
        rows.into_iter().map(channel).collect()
    }

    pub async fn change(&self, sql: &'static str, args: Vec<Value>) {
        let mut tx = self.store().write().await.unwrap();
        tx.execute(sql, args).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// An action of a person, now.
    pub async fn act(&self, recipient: i64, kind: &str) {
        let sql = "INSERT INTO actions (key, recipient_id, kind, at) VALUES ('t', $1, $2, $3)";
        self.change(sql, args![recipient, kind, self.now()]).await;
    }

    /// The run that the service makes of a schedule that is due.
    pub async fn scheduled_run(&self) -> Run {
        let path = self.project.db.dir.path().join("config/campaigns/hello.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let at = jiff::Timestamp::from_microsecond(self.now().0 - 60_000_000).unwrap().strftime("%Y-%m-%dT%H:%M:%S");
        std::fs::write(&path, format!("{text}[schedule]\nat = {at}\ntimezone = \"UTC\"\n")).unwrap();
        let app = self.project.app();
        let version = app.freeze(self.store()).await.unwrap();
        let mut tx = self.store().write().await.unwrap();
        versions::apply(&mut tx, version, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        let (sender, soft, serving) = self.serve().await;
        let run = loop {
            let runs = runs::recent(&mut self.store().read().await.unwrap(), Some("hello")).await.unwrap();
            match runs.into_iter().find(|run| run.id != self.run.id) {
                Some(run) => break run,
                None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        };
        soft.cancel();
        serving.await.unwrap();
        Arc::into_inner(sender).unwrap().finish().await;
        run
    }

    async fn serve(&self) -> (Arc<Sender>, CancellationToken, tokio::task::JoinHandle<()>) {
        let soft = CancellationToken::new();
        let app = self.project.app();
        let sender = Arc::new(app.sender(self.store(), Metrics::new(), soft.clone()).await.unwrap());
        let serving = Arc::clone(&sender);
        (sender, soft, tokio::spawn(async move { serving.serve().await }))
    }

    pub async fn open_notices(&self) -> i64 {
        let sql = "SELECT COUNT(*) FROM notices WHERE state IN ('waiting', 'claimed', 'sending', 'deferred')";
        self.store().read().await.unwrap().one::<(i64,)>(sql, vec![]).await.unwrap().0
    }

    /// Sends what notices wait; the one that was sent.
    pub async fn notice(&mut self) -> Caught {
        let (sender, soft, serving) = self.serve().await;
        let mail = self.project.caught.recv().await.unwrap();
        soft.cancel();
        serving.await.unwrap();
        Arc::into_inner(sender).unwrap().finish().await;
        mail
    }
}

fn reader(project: &Project, metrics: &Metrics) -> Reader {
    let secrets = project.app().secrets().unwrap();
    Reader::new(Parts {
        store: project.db.store.clone(),
        clock: Clock::system(),
        keyring: secrets.keyring().into(),
        suppression_key: secrets.suppression_key(),
        metrics: metrics.clone(),
    })
}

/// A delivery report (RFC 3464).
pub fn report(to: &str, about: &str, status: &str, diagnostic: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example.net\nTo: {to}\nSubject: Undelivered Mail Returned to Sender\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nSorry.\n--x\n\
         Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n\
         Final-Recipient: rfc822; {about}\nAction: failed\nStatus: {status}\nDiagnostic-Code: smtp; {diagnostic}\n\n--x--\n"
    )
}

/// A feedback report (RFC 5965) that names nobody, as some providers send it.
pub fn complaint(mail: &Mail) -> String {
    let copied = ["Message-ID", "List-Unsubscribe"].map(|name| format!("{name}: {}", mail.header(name))).join("\n");
    format!(
        "From: <abuse@provider.example>\nTo: fbl@shop.example\nSubject: FW: Hello\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x\n\nThis is an abuse report.\n--x\n\
         Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Provider/1.0\nVersion: 1\n\n--x\n\
         Content-Type: text/rfc822-headers\n\nFrom: news@shop.example\n{copied}\n--x--\n"
    )
}
