//! The whole service under load for long: one million recipients, three runs, readers all the while, on both engines.
//! Memory, file handles and lags must not grow from run to run, and nothing may be lost or twice.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use colloquy::clock::Clock;
use colloquy::config::Secrets;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Keyring, Purpose, Token};
use hyper::{Method, StatusCode};
use jiff::Timestamp;

use crate::support::{
    Daemon, Figure, Http, Postgres, Project, Sink, Target, Usage, free_port, program, write_recipients,
};

const RUNS: i64 = 3;
const HITS_PER_SECOND: u32 = 100;
const MIB: f64 = 1024.0 * 1024.0;
const LOOK: Duration = Duration::from_secs(5);
/// Of every hundred, so many fetch the pixel; the others follow the link.
const OPENS: u64 = 60;
const TEMPLATE: &str = "<p>Hello {{first_name}}, <a href=\"https://shop.bench.example/new\">new shoes</a>.</p>\
                        <p>{{sender.postal_address}} <a href=\"{{unsubscribe_url}}\">Unsubscribe</a></p>";

/// The most that was seen during a run.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    mib: f64,
    files: f64,
    spooled: f64,
    lag: f64,
}

pub fn run() -> Vec<Figure> {
    let recipients = std::env::var("COLLOQUY_SOAK").map_or(1_000_000, |text| text.parse().unwrap());
    let sink = Sink::start();
    let postgres = Postgres::start();
    let url = postgres.database("soak");
    [("SQLite", None), ("PostgreSQL", Some(url.as_str()))]
        .into_iter()
        .flat_map(|(engine, url)| soak(engine, url, &sink, recipients))
        .collect()
}

fn soak(engine: &str, url: Option<&str>, sink: &Sink, recipients: usize) -> Vec<Figure> {
    let project = Project::new(&format!("smtp://127.0.0.1:{}", sink.port), 10, TEMPLATE);
    let console = free_port();
    project.configure(&format!("[console]\nlisten = \"127.0.0.1:{console}\"\n"));
    if let Some(url) = url {
        project.configure(&format!("[database]\nurl = \"{url}\"\n"));
    }
    let csv = project.path("recipients.csv");
    write_recipients(&csv, recipients);
    project.import(&csv);
    let keys = Secrets::load(&project.path("config/secrets.toml")).unwrap().keyring();
    let service = Daemon::start(&mut project.command(&["run"]), console);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (most, answered) = runtime.block_on(async {
        let readers = Readers { keys, run: AtomicI64::new(0), mailed: AtomicI64::new(0), answered: AtomicU64::new(0) };
        let readers = Arc::new(readers);
        let reading = tokio::spawn(Arc::clone(&readers).read(project.web_port));
        let mut console = Http::connect(console).await;
        let mut most = Vec::new();
        for run in 1..=RUNS {
            begin(&project, run);
            let start = Instant::now();
            let seen = watch(&service, &mut console, &readers, run, recipients).await;
            println!(
                "  {engine}, run {run}: {recipients} messages in {:.0} s; at most {:.1} MiB, {} files, {} hits in the \
                 spool, lag {:.1} s",
                start.elapsed().as_secs_f64(),
                seen.mib,
                seen.files,
                seen.spooled,
                seen.lag
            );
            most.push(seen);
        }
        reading.abort();
        settle(&mut console).await;
        (most, readers.answered.load(Ordering::Relaxed))
    });
    service.stop();
    let status = project.run(&["status", "--json"]).output.replace(": ", ":");
    let complete = status.matches(&format!("\"accepted\":{recipients}")).count();
    assert_eq!(complete, RUNS as usize, "not all were accepted:\n{status}");
    let count = "SELECT COUNT(*) FROM hits";
    let hits = match url {
        Some(url) => Usage::of(program("psql").args([url, "-Atc", count])),
        None => Usage::of(program("sqlite3").arg(project.path("colloquy.db")).arg(count)),
    };
    // The last one was perhaps not waited for.
    let kept: u64 = hits.output.trim().parse().unwrap();
    assert!(kept == answered || kept == answered + 1, "{answered} hits were answered, {kept} are kept");
    let checked = project.run(&["score", "rebuild", "--check"]).output;
    println!("  {engine}: {answered} hits answered; {}", checked.trim().lines().last().unwrap_or_default());
    let (first, last) = (most[0], most[most.len() - 1]);
    let figure = |what: &str, value, target| Figure { name: format!("soak, {engine}, {what}"), value, target };
    vec![
        figure("memory in the last run to the first's", last.mib / first.mib, Target::AtMost(1.1)),
        figure("files in the last run to the first's", last.files / first.files, Target::AtMost(1.1)),
        figure("hits in the spool, at most", last.spooled, Target::AtMost(10.0 * f64::from(HITS_PER_SECOND))),
        figure("the scorer's lag, s", last.lag, Target::AtMost(10.0)),
    ]
}

/// A campaign of its own for each run, due in a moment.
fn begin(project: &Project, run: i64) {
    let campaign = fs::read_to_string(project.path("config/campaigns/bench.toml")).unwrap();
    let at = Timestamp::from_microsecond(Clock::system().now().plus(Duration::from_secs(2)).0).unwrap();
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    let scheduled = format!("{campaign}[schedule]\nat = {at}\n");
    fs::write(project.path(&format!("config/campaigns/soak-{run}.toml")), scheduled).unwrap();
    project.run(&["apply"]);
}

/// Looks at the service until it has handed over this run, too.
async fn watch(service: &Daemon, console: &mut Http, readers: &Readers, run: i64, recipients: usize) -> Most {
    let mut most = Most::default();
    loop {
        let metrics = metrics(console).await;
        let (bytes, files) = service.holds();
        most.mib = most.mib.max(bytes as f64 / MIB);
        most.files = most.files.max(files as f64);
        most.spooled = most.spooled.max(sum(&metrics, "colloquy_spool_depth"));
        most.lag = most.lag.max(sum(&metrics, "colloquy_scorer_lag_seconds"));
        let accepted = sum(&metrics, "colloquy_messages_total{") as i64 - (run - 1) * recipients as i64;
        readers.mailed.store(accepted, Ordering::Relaxed);
        readers.run.store(run, Ordering::Relaxed);
        if accepted >= recipients as i64 {
            return most;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until every hit has arrived and is scored.
async fn settle(console: &mut Http) {
    loop {
        let metrics = metrics(console).await;
        if sum(&metrics, "colloquy_spool_depth") + sum(&metrics, "colloquy_scorer_backlog") == 0.0 {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn metrics(console: &mut Http) -> String {
    let (status, body) = console.ask(Method::GET, "/metrics", "").await;
    assert_eq!(status, StatusCode::OK);
    String::from_utf8(body.to_vec()).unwrap()
}

/// What all series whose line begins so add up to.
fn sum(metrics: &str, begins: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(begins));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// People who open and click what they were mailed.
struct Readers {
    keys: Keyring,
    run: AtomicI64,
    mailed: AtomicI64,
    answered: AtomicU64,
}

impl Readers {
    async fn read(self: Arc<Self>, port: u16) {
        let mut http = Http::connect(port).await;
        let mut beat = tokio::time::interval(Duration::from_secs(1) / HITS_PER_SECOND);
        for n in 0_u64.. {
            beat.tick().await;
            let mailed = self.mailed.load(Ordering::Relaxed);
            if mailed < 1 {
                continue;
            }
            // Somebody among them; a prime step meets all before anybody comes twice.
            let recipient = RecipientId((n as i64 * 7_919) % mailed + 1);
            let click = || Purpose::Click {
                link: 1,
                item: 0,
                category: "running".to_owned(),
                url: "https://shop.bench.example/new".to_owned(),
            };
            let (letter, purpose, expected) = match n % 100 {
                ..OPENS => ('o', Purpose::Open, StatusCode::OK),
                _ => ('c', click(), StatusCode::FOUND),
            };
            let token = Token { run: RunId(self.run.load(Ordering::Relaxed)), recipient, purpose };
            let (status, _) = http.ask(Method::GET, &format!("/{letter}/{}", self.keys.sign(&token)), "").await;
            assert_eq!(status, expected);
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
