//! The pixel and tracked links over real sockets: what is answered, and what is on disk by then.

use std::sync::Arc;
use std::time::Duration;

use colloquy::clock::Clock;
use colloquy::domain::hit::{HitKind, HitMethod};
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Keyring, Purpose, Token};
use colloquy::metrics::Metrics;
use colloquy::pages::Pages;
use colloquy::store::spool::Spool;
use colloquy::track::{Intake, Options, Tracker};
use colloquy::web::{Answer, Handler, Limits, text};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::http::Server;

const MANY: std::num::NonZeroU32 = std::num::NonZeroU32::new(10_000).unwrap();
const TARGET: &str = "https://shop.example/running/1?a=b#c";

struct Tracking {
    server: Server,
    keys: Arc<Keyring>,
    spool: Spool,
    metrics: Metrics,
    dir: tempfile::TempDir,
}

impl Tracking {
    async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(&dir.path().join("spool.db")).await.unwrap();
        let keys = Arc::new(Keyring::new([(1, [7; 32].as_slice())]));
        let metrics = Metrics::new();
        let (intake, _) = Intake::spawn(spool.clone(), metrics.clone());
        let tracker = Tracker::new(
            Arc::clone(&keys),
            intake,
            Clock::system(),
            metrics.clone(),
            Options { trusted_proxies: Vec::new(), per_network: MANY, burst: MANY },
            None::<Pages>,
        );
        Self { server: Server::start(tracker, limits).await, keys, spool, metrics, dir }
    }

    fn sign(&self, purpose: Purpose) -> String {
        self.keys.sign(&Token { run: RunId(4), recipient: RecipientId(9), purpose })
    }

    fn click(&self) -> String {
        let url = TARGET.to_owned();
        format!("/c/{}", self.sign(Purpose::Click { link: 3, item: 2, category: "trail".into(), url }))
    }

    fn open(&self) -> String {
        format!("/o/{}", self.sign(Purpose::Open))
    }

    /// The methods of the hits that another process would find in the file now.
    async fn on_disk(&self) -> Vec<HitMethod> {
        let other = Spool::open(&self.dir.path().join("spool.db")).await.unwrap();
        other.batch(1_000).await.unwrap().into_iter().map(|spooled| spooled.hit.method).collect()
    }
}

#[tokio::test]
async fn a_click_is_on_disk_with_all_that_is_known_when_the_redirect_arrives() {
    let t = Tracking::start().await;
    let headers = [("User-Agent", "Mozilla/5.0 (X11)"), ("X-Forwarded-For", "10.0.0.1, 203.0.113.77")];
    let reply = t.server.request("GET", &t.click(), &headers, b"").await;
    assert_eq!((reply.status, reply.header("location")), (302, Some(TARGET)));
    assert_eq!(reply.header("cache-control"), Some("no-store"));

    let other = Spool::open(&t.dir.path().join("spool.db")).await.unwrap();
    let [spooled] = other.batch(10).await.unwrap().try_into().unwrap();
    let hit = spooled.hit;
    assert_eq!(
        (hit.kind, hit.method, hit.run, hit.recipient),
        (HitKind::Click, HitMethod::Get, RunId(4), RecipientId(9))
    );
    assert_eq!((hit.link, hit.item, hit.category.as_str(), hit.url.as_str()), (3, 2, "trail", TARGET));
    assert_eq!((hit.user_agent.as_str(), hit.network.as_str()), ("Mozilla/5.0 (X11)", "203.0.113.0/24"));
    assert_eq!(spooled.id.get_version_num(), 7);
}

#[tokio::test]
async fn the_pixel_is_a_picture_that_nobody_keeps() {
    let t = Tracking::start().await;
    for path in [t.open(), format!("{}.gif", t.open())] {
        let reply = t.server.get(&path).await;
        assert_eq!((reply.status, reply.body.len(), &reply.body[..6]), (200, 43, b"GIF89a".as_slice()));
        assert_eq!(reply.header("content-type"), Some("image/gif"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    assert_eq!(t.on_disk().await, [HitMethod::Get, HitMethod::Get]);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same_404() {
    let t = Tracking::start().await;
    let plain = t.server.get("/nothing/here").await;
    assert_eq!(plain.status, 404);
    let click = t.click();
    let foreign = Keyring::new([(1, [8; 32].as_slice())]).sign(&Token {
        run: RunId(4),
        recipient: RecipientId(9),
        purpose: Purpose::Click { link: 1, item: 0, category: String::new(), url: TARGET.into() },
    });
    let script = Purpose::Click { link: 1, item: 0, category: String::new(), url: "javascript:alert(1)".into() };
    let forged = format!("{}{}", &click[..click.len() - 1], if click.ends_with('A') { 'B' } else { 'A' });
    for path in [
        forged,
        click[..click.len() - 5].to_owned(),
        format!("/c/{foreign}"),
        format!("/c/{}", t.sign(Purpose::Open)),
        click.replace("/c/", "/o/"),
        format!("/c/{}", t.sign(Purpose::Unsubscribe)),
        format!("/c/{}", t.sign(script)),
        format!("/c/{}", "A".repeat(5_000)),
        format!("{click}?x=https://evil.example/").replace("/c/", "/c/x"),
        "/c/".into(),
        "/o/.gif".into(),
        "/".into(),
        "/u/x".into(),
    ] {
        assert_eq!(t.server.get(&path).await, plain, "{path}");
    }
    assert_eq!(t.server.request("POST", "/c/x", &[], b"a=b").await.status, 404);
    assert!(t.on_disk().await.is_empty());
}

#[tokio::test]
async fn scanners_are_answered_and_kept_by_their_method() {
    let t = Tracking::start().await;
    let head = t.server.request("HEAD", &t.click(), &[], b"").await;
    assert_eq!((head.status, head.header("location"), head.body.len()), (302, Some(TARGET), 0));
    let head = t.server.request("HEAD", &t.open(), &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("43"), 0));
    let options = t.server.request("OPTIONS", &t.click(), &[], b"").await;
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
    let prefetch = t.server.request("GET", &t.click(), &[("Sec-Purpose", "prefetch;prerender")], b"").await;
    assert_eq!(prefetch.status, 302);
    let post = t.server.request("POST", &t.click(), &[], b"").await;
    assert_eq!((post.status, post.header("location")), (405, None));
    use HitMethod::{Head, Options, Prefetch};
    assert_eq!(t.on_disk().await, [Head, Head, Options, Prefetch]);
}

#[tokio::test]
async fn a_hit_that_cannot_be_kept_is_not_answered_as_if_it_were() {
    let t = Tracking::start().await;
    t.spool.close().await;
    for path in [t.click(), t.open()] {
        let reply = t.server.get(&path).await;
        assert_eq!((reply.status, reply.header("location")), (503, None));
        assert!(reply.header("retry-after").is_some());
    }
    assert!(t.metrics.encode().contains(r#"colloquy_hits_total{fate="lost"} 2"#));
}

#[tokio::test]
async fn whoever_withdrew_tracking_is_redirected_and_not_stored() {
    let t = Tracking::start().await;
    t.spool.silence(&[RecipientId(9)]).await.unwrap();
    assert_eq!(t.server.get(&t.click()).await.header("location"), Some(TARGET));
    assert!(t.on_disk().await.is_empty());
    assert!(t.metrics.encode().contains(r#"colloquy_hits_total{fate="silenced"} 1"#));
}

#[tokio::test]
async fn many_hits_at_once_share_commits_and_all_are_kept() {
    let t = Tracking::start().await;
    let (click, address) = (t.click(), t.server.address);
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let request = format!("GET {click} HTTP/1.1\r\nHost: t\r\n\r\n");
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for _ in 0..25 {
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let mut answer = vec![0; 1_024];
                    let read = stream.read(&mut answer).await.unwrap();
                    assert!(answer[..read].starts_with(b"HTTP/1.1 302"));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(t.on_disk().await.len(), 1_000);
}

#[tokio::test]
async fn heads_that_are_too_long_and_bodies_are_refused() {
    let t = Tracking::start().await;
    // What is not read any more makes the kernel reset the connection, and the answer may be lost.
    let refused = |status: u16| matches!(status, 0 | 414 | 431);
    for length in [20_000, 70_000] {
        let long = "A".repeat(length);
        assert!(refused(t.server.get(&format!("/c/{long}")).await.status));
        assert!(refused(t.server.request("GET", &t.click(), &[("Cookie", &long)], b"").await.status));
    }
    assert_eq!(t.server.get("/c/x").await.status, 404);
    assert_eq!(t.server.request("GET", &t.click(), &[], b"body").await.status, 413);
    assert!(t.on_disk().await.is_empty());
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_is_closed() {
    let limits = Limits { head_timeout: Duration::from_millis(100), connections: 1, ..Limits::default() };
    let t = Tracking::with(limits).await;
    // Its connection is the only one there is, so the next answer proves that it was closed.
    let mut slow = TcpStream::connect(t.server.address).await.unwrap();
    slow.write_all(b"GET /c/x HTTP/1.1\r\nHost: t").await.unwrap();
    let mut silent = TcpStream::connect(t.server.address).await.unwrap();
    assert_eq!(t.server.get(&t.open()).await.status, 200);
    for stream in [&mut slow, &mut silent] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
}

#[derive(Clone)]
struct Gate {
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

impl Handler for Gate {
    async fn answer(&self, _: Request<Incoming>, _: std::net::IpAddr) -> Answer {
        self.entered.notify_one();
        self.release.notified().await;
        text(StatusCode::OK, "done\n")
    }
}

#[tokio::test]
async fn stopping_lets_a_request_in_flight_end() {
    let gate = Gate { entered: Arc::default(), release: Arc::default() };
    let server = Server::start(gate.clone(), Limits::default()).await;
    let shutdown = server.shutdown.clone();
    let client = async { server.get("/").await };
    let stop = async {
        gate.entered.notified().await;
        shutdown.cancel();
        gate.release.notify_one();
    };
    let (reply, ()) = tokio::join!(client, stop);
    assert_eq!(reply.text(), "done\n");
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn stopping_does_not_wait_longer_than_the_grace() {
    let gate = Gate { entered: Arc::default(), release: Arc::default() };
    let limits = Limits { grace: Duration::from_millis(50), ..Limits::default() };
    let server = Server::start(gate.clone(), limits).await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    gate.entered.notified().await;
    server.shutdown.cancel();
    server.task.await.unwrap();
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
