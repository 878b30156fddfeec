//! How soon pages answer while 500 requests a second come in on both cores, looks and saved forms alike, and how soon
//! nginx answers with the same bytes. Latency counts from the instant at which a request was due, so that nothing that
//! waits in line is overlooked.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Keyring, Purpose, Token};
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::support::{Daemon, Figure, Http, Project, Target, free_port, median, program};

const RECIPIENTS: usize = 5_000;
const PER_SECOND: u32 = 500;
const SECONDS: u32 = 10;
const ROUNDS: usize = 3;
/// Kept connections, as a proxy has them.
const CONNECTIONS: usize = 64;
const TEMPLATE: &str = "<h1>New in, {{first_name}}</h1><p><a href=\"https://shop.bench.example/new\">New</a></p>\
                        <p>{{sender.postal_address}} <a href=\"{{unsubscribe_url}}\">Unsubscribe</a>\
                        <a href=\"{{preferences_url}}\">Preferences</a> <a href=\"{{view_url}}\">View</a></p>";

/// A request that is due, and the kind of page that it is for.
#[derive(Clone)]
struct Ask {
    kind: usize,
    method: Method,
    path: String,
    body: &'static str,
}

/// Of ten requests: four preferences, three unsubscriptions, two views, one saved form.
const MIX: [usize; 10] = [0, 1, 0, 2, 1, 0, 3, 2, 0, 1];
const KINDS: [&str; 4] = ["preferences", "unsubscribe", "view", "saved"];

pub fn run() -> Vec<Figure> {
    let (project, keys) = Project::mailed(RECIPIENTS, TEMPLATE);
    let asks: Vec<Ask> = (0..RECIPIENTS).map(|n| ask(&keys, n)).collect();

    let pages = Daemon::start(&mut project.command(&["run", "--role", "pages"]), project.web_port);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // One page of each kind, as nginx will have it.
    let bodies = runtime.block_on(bodies(project.web_port, &asks));
    let (_nginx, nginx_port) = nginx(&project.path("nginx"), &bodies);
    let same: Vec<Ask> = asks
        .iter()
        .map(|ask| Ask { method: Method::GET, path: format!("/{}.html", KINDS[ask.kind]), body: "", ..ask.clone() })
        .collect();
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        let limit = runtime.block_on(load(nginx_port, &same));
        let ours = runtime.block_on(load(project.web_port, &asks));
        println!("  99 % within {ours:>7.2} ms, nginx {limit:>7.2} ms");
        found.push(ours);
    }
    pages.stop();
    let name = format!("pages, 99th percentile at {PER_SECOND} requests/s, ms");
    vec![Figure { name, value: median(found), target: Target::AtMost(50.0) }]
}

fn ask(keys: &Keyring, n: usize) -> Ask {
    let kind = MIX[n % MIX.len()];
    let (letter, purpose) = match kind {
        1 => ('u', Purpose::Unsubscribe),
        2 => ('v', Purpose::View),
        _ => ('p', Purpose::Preferences),
    };
    let token = Token { run: RunId(1), recipient: RecipientId(n as i64 + 1), purpose };
    let (method, body) = if kind == 3 { (Method::POST, "save=1&topic=news&tracking=1") } else { (Method::GET, "") };
    Ask { kind, method, path: format!("/{letter}/{}", keys.sign(&token)), body }
}

async fn bodies(port: u16, asks: &[Ask]) -> Vec<Bytes> {
    let mut http = Http::connect(port).await;
    let mut bodies = Vec::new();
    for kind in 0..KINDS.len() {
        bodies.push(answer(&mut http, asks.iter().find(|ask| ask.kind == kind).unwrap()).await);
    }
    bodies
}

/// nginx with two workers and no log, over files.
fn nginx(dir: &Path, bodies: &[Bytes]) -> (Daemon, u16) {
    fs::create_dir(dir).unwrap();
    for (kind, body) in KINDS.iter().zip(bodies) {
        fs::write(dir.join(format!("{kind}.html")), body).unwrap();
    }
    let (here, port) = (dir.display(), free_port());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/{kind};"))
        .concat();
    let config = format!(
        "daemon off; worker_processes 2; user root; pid {here}/pid; events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; default_type text/html; {temporary}\n\
         server {{ listen 127.0.0.1:{port}; root {here}; }} }}\n"
    );
    let path = dir.join("nginx.conf");
    fs::write(&path, config).unwrap();
    let log = dir.join("error.log");
    (Daemon::start(program("nginx").arg("-e").arg(log).arg("-c").arg(path), port), port)
}

/// The time within which 99 of 100 requests are answered, in milliseconds from when each was due.
async fn load(port: u16, asks: &[Ask]) -> f64 {
    let (due, line) = mpsc::unbounded_channel::<(Instant, Ask)>();
    let line = Arc::new(Mutex::new(line));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (line, mut http) = (Arc::clone(&line), Http::connect(port).await);
        clients.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let next = line.lock().await.recv().await;
                let Some((at, ask)) = next else { return taken };
                answer(&mut http, &ask).await;
                taken.push(at.elapsed());
            }
        });
    }
    let mut beat = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    for n in 0..(PER_SECOND * SECONDS) as usize {
        let at = beat.tick().await;
        due.send((at.into_std(), asks[n % asks.len()].clone())).unwrap();
    }
    drop(due);
    let mut taken: Vec<Duration> = clients.join_all().await.concat();
    taken.sort_unstable();
    assert_eq!(taken.len(), (PER_SECOND * SECONDS) as usize);
    taken[taken.len() * 99 / 100].as_secs_f64() * 1_000.0
}

async fn answer(http: &mut Http, ask: &Ask) -> Bytes {
    let (status, body) = http.ask(ask.method.clone(), &ask.path, ask.body).await;
    assert_eq!(status, StatusCode::OK, "{} {}", ask.method, &ask.path[..3]);
    body
}
