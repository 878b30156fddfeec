//! People who click and leave while faults are staged, and whether what they were told is true.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colloquy::args;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Keyring, Purpose, Token};
use colloquy::store::spool::Spool;
use colloquy::store::{Store, subscriptions};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::project::Project;

/// Somebody who clicks all the time, and somebody who leaves now and then.
pub struct Readers {
    pub web: SocketAddr,
    pub keys: Arc<Keyring>,
    pub run: RunId,
    pub seed: u64,
    pub people: usize,
}

/// What the tracker and the pages have answered.
#[derive(Debug, Default)]
pub struct Answered {
    /// The numbers of the links that led somewhere.
    pub clicks: HashSet<usize>,
    /// Who was told to have left.
    pub left: HashSet<RecipientId>,
    /// How many were asked to try again.
    pub put_off: usize,
    /// How many got no answer.
    pub unheard: usize,
    /// How long a page took at most.
    pub slowest: Duration,
}

impl Readers {
    /// Asks until it is over.
    ///
    /// # Panics
    /// When a link is answered otherwise than by the way there, or a page otherwise than by what was asked for or
    /// by the word to try again.
    pub async fn ask(self, over: CancellationToken) -> Answered {
        let (clicked, left) = tokio::join!(self.click(&over), self.leave(&over));
        Answered { clicks: clicked.clicks, unheard: clicked.unheard + left.unheard, ..left }
    }

    async fn click(&self, over: &CancellationToken) -> Answered {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut answered = Answered::default();
        for number in 0.. {
            if over.is_cancelled() {
                break;
            }
            let url = target(self.seed, number);
            let click = Purpose::Click { link: 1, item: 0, category: "running".into(), url };
            match self.status(&format!("GET /c/{}", self.sign(&mut random, click).1)).await.as_deref() {
                Some("302") => drop(answered.clicks.insert(number)),
                None => answered.unheard += 1,
                Some(other) => panic!("a link is answered by {other}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answered
    }

    async fn leave(&self, over: &CancellationToken) -> Answered {
        let mut random = StdRng::seed_from_u64(self.seed + 1_000);
        let mut answered = Answered::default();
        while !over.is_cancelled() {
            let (who, token) = self.sign(&mut random, Purpose::Unsubscribe);
            let asked = Instant::now();
            let status = self.status(&format!("POST /u/{token}")).await;
            answered.slowest = answered.slowest.max(asked.elapsed());
            match status.as_deref() {
                Some("200") => drop(answered.left.insert(who)),
                Some("503") => answered.put_off += 1,
                None => answered.unheard += 1,
                Some(other) => panic!("a page is answered by {other}"),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        answered
    }

    fn sign(&self, random: &mut StdRng, purpose: Purpose) -> (RecipientId, String) {
        let recipient = RecipientId(random.random_range(1..=self.people as i64));
        (recipient, self.keys.sign(&Token { run: self.run, recipient, purpose }))
    }

    /// By which status this is answered, if it is.
    async fn status(&self, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.web).await.ok()?;
        let body = "List-Unsubscribe=One-Click";
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0)\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n"
        );
        let rest = if line.starts_with("POST") {
            format!("Content-Length: {}\r\n\r\n{body}", body.len())
        } else {
            "\r\n".to_owned()
        };
        stream.write_all(format!("{head}{rest}").as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let answer = String::from_utf8(answer).ok()?;
        Some(answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.to_owned())
    }
}

fn target(seed: u64, number: usize) -> String {
    format!("https://shop.example/{seed}/{number}")
}

async fn stored(store: &Store) -> Vec<(String, i64)> {
    let mut session = store.read().await.unwrap();
    session.all("SELECT url, COUNT(*) FROM hits GROUP BY url", args![]).await.unwrap()
}

impl Answered {
    /// Every hit that was answered is in the spool or in the database, and none is in the database twice. Whoever was
    /// told to have left has.
    pub async fn is_kept(&self, project: &Project, seed: u64) {
        let spool = Spool::open(&project.db.dir.path().join("spool.db")).await.unwrap();
        let mut urls: Vec<String> =
            spool.batch(1_000_000).await.unwrap().into_iter().map(|spooled| spooled.hit.url).collect();
        spool.close().await;
        let store = &project.db.store;
        let stored = stored(store).await;
        let twice: Vec<_> = stored.iter().filter(|(_, times)| *times > 1).collect();
        assert!(twice.is_empty(), "forwarded twice: {twice:?}");
        urls.extend(stored.into_iter().map(|(url, _)| url));
        let kept: HashSet<_> = urls.into_iter().collect();
        let lost: Vec<_> = self.clicks.iter().filter(|number| !kept.contains(&target(seed, **number))).collect();
        assert!(lost.is_empty(), "answered, and neither in the spool nor in the database: {lost:?}");
        assert!(!self.clicks.is_empty(), "no hit was answered");

        let mut session = store.read().await.unwrap();
        for who in &self.left {
            let topics = subscriptions::of(&mut session, *who).await.unwrap();
            assert!(topics.iter().all(|topic| !topic.subscribed), "{who} left, was told so, and is still subscribed");
        }
    }

    /// Prints what was answered.
    pub fn tell(&self) {
        let Self { clicks, left, put_off, slowest, .. } = self;
        println!("{} clicked, {} left, {put_off} were put off, after {slowest:?} at most", clicks.len(), left.len());
    }

    /// Returns once every hit that was answered is in the database.
    pub async fn arrive(&self, store: &Store, seed: u64) {
        loop {
            let stored: HashSet<_> = stored(store).await.into_iter().map(|(url, _)| url).collect();
            if self.clicks.iter().all(|number| stored.contains(&target(seed, *number))) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
