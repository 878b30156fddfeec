//! Redirects a second over 256 kept connections, each hit durable before its answer and the forwarder
//! at work, against nginx's `return 302`.

use std::fs;
use std::path::Path;
use std::process::Command;

use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Keyring, Purpose, Token};

use crate::support::{Daemon, Figure, Project, Target, Usage, free_port, median, program, wait_for_port};

const RECIPIENTS: usize = 5_000;
const ROUNDS: usize = 3;
const SECONDS: u32 = 8;
const TEMPLATE: &str = "<p><a href=\"https://shop.bench.example/new\">New</a></p>\
                        <p>{{sender.postal_address}} <a href=\"{{unsubscribe_url}}\">Unsubscribe</a></p>";

/// Each thread walks over all links, from a place of its own.
const SCRIPT: &str = "
local n = 0
function setup(thread) n = n + 1; thread:set('start', n * 1237) end
function init(args)
  requests = {}
  for path in io.lines(args[1]) do requests[#requests + 1] = wrk.format('GET', path) end
  at = start
end
function request() at = at % #requests + 1; return requests[at] end
";

pub fn run() -> Vec<Figure> {
    let (project, keys) = Project::mailed(RECIPIENTS, TEMPLATE);
    fs::write(project.path("paths"), paths(&keys)).unwrap();
    fs::write(project.path("walk.lua"), SCRIPT).unwrap();

    let (_nginx, nginx_port) = nginx(&project.path("nginx"));
    let tracker = Daemon::start(&mut project.command(&["run", "--role", "tracker"]), project.web_port);
    let (mut ratios, mut answered) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (_, limit) = load(&project, nginx_port);
        let (requests, ours) = load(&project, project.web_port);
        println!("  redirects {ours:>7.0}/s, nginx {limit:>7.0}/s, ratio {:.3}", ours / limit);
        ratios.push(ours / limit);
        answered += requests;
    }
    tracker.stop();
    let kept = count(&project.path("colloquy.db")) + count(&project.path("spool.db"));
    println!("  {answered} redirects answered, {kept} hits on disk");
    assert!(kept >= answered, "answered hits are missing");
    let name = "redirects, durable, requests/s to nginx `return 302`".to_owned();
    vec![Figure { name, value: median(ratios), target: Target::AtLeast(0.25) }]
}

/// One link for each recipient of the first run.
fn paths(keys: &Keyring) -> String {
    (1..=RECIPIENTS as i64)
        .map(|recipient| {
            let url = format!("https://shop.bench.example/item/{}?size=42&utm_source=news", recipient % 10);
            let purpose = Purpose::Click { link: 1, item: 0, category: "running".to_owned(), url };
            format!("/c/{}\n", keys.sign(&Token { run: RunId(1), recipient: RecipientId(recipient), purpose }))
        })
        .collect()
}

/// nginx with two workers, no log, and one answer for all.
fn nginx(dir: &Path) -> (Daemon, u16) {
    fs::create_dir(dir).unwrap();
    let (here, port) = (dir.display(), free_port());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/{kind};"))
        .concat();
    let config = format!(
        "daemon off; worker_processes 2; pid {here}/pid; events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; {temporary}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ return 302 https://shop.bench.example/item; }} }} }}\n"
    );
    let path = dir.join("nginx.conf");
    fs::write(&path, config).unwrap();
    let log = dir.join("error.log");
    (Daemon::start(program("nginx").arg("-e").arg(log).arg("-c").arg(path), port), port)
}

/// Puts the load of 256 kept connections on a port: requests answered by a redirect, and their rate.
fn load(project: &Project, port: u16) -> (u64, f64) {
    wait_for_port(port, || true);
    let (duration, url) = (format!("{SECONDS}s"), format!("http://127.0.0.1:{port}/"));
    let mut wrk: Command = program("wrk");
    wrk.args(["-t2", "-c256", "-d", &duration, "-s"]).arg(project.path("walk.lua")).arg(url);
    let output = Usage::of(wrk.arg("--").arg(project.path("paths"))).output;
    assert!(!output.contains("Non-2xx or 3xx"), "not all were redirected:\n{output}");
    let number = |after: &str, part: usize| -> f64 {
        let line = output.lines().find(|line| line.contains(after)).unwrap_or_else(|| panic!("{output}"));
        line.split_whitespace().nth(part).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{output}"))
    };
    (number("requests in", 0) as u64, number("Requests/sec:", 1))
}

/// Hits in a database.
fn count(database: &Path) -> u64 {
    let output = Usage::of(program("sqlite3").arg(database).arg("SELECT COUNT(*) FROM hits")).output;
    output.trim().parse().unwrap()
}
