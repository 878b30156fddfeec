//! What a DKIM signature costs: the whole signing of the 20 KB message of `send` (canonical forms, hashes, key)
//! against `openssl speed rsa2048`, and signed sending against what is left of the processors beside the signatures.

use std::path::Path;
use std::time::Instant;

use colloquy::config::dkim;
use colloquy::domain::dkim::{Algorithm, DkimConfig};
use colloquy::domain::time::Micros;
use colloquy::render::Signer;

use crate::send::{SESSIONS, rate, sample, template};
use crate::support::{Figure, Project, Sink, Target, Usage, median, program, write_recipients};

const SIGNATURES: u32 = 10_000;
const MESSAGES: usize = 20_000;
const ROUNDS: usize = 3;
const DKIM: &str = "[[dkim]]\ndomain = \"bench.example\"\nselector = \"c1\"\nkey_file = \"config/dkim.pem\"\n";

pub fn run() -> Vec<Figure> {
    let figure = |name: &str, values, target| Figure {
        name: name.to_owned(),
        value: median(values),
        target: Target::AtLeast(target),
    };
    vec![
        figure("sign, messages/s to `openssl speed rsa2048`", signing(), 0.9),
        figure("signed send, messages/s to what the CPU allows", sending(), 0.8),
    ]
}

/// Signs the same message over and over on one thread.
fn signing() -> Vec<f64> {
    let dir = tempfile::tempdir().unwrap();
    let message = sample().into_bytes();
    let key_file = dir.path().join("dkim.pem");
    let key = dkim::generate(Algorithm::Rsa, &key_file).unwrap();
    let config = DkimConfig { domain: "bench.example".into(), selector: "c1".into(), key_file };
    let signer = Signer::new(vec![(config, key)]);
    let round = || {
        let limit = openssl(1);
        let begun = Instant::now();
        for n in 0..SIGNATURES {
            let at = Micros(1_796_115_600_000_000 + i64::from(n));
            signer.sign(message.clone(), "bench.example", at).unwrap();
        }
        let rate = f64::from(SIGNATURES) / begun.elapsed().as_secs_f64();
        println!("  sign {rate:>6.0}/s, openssl {limit:>6.0}/s on one processor, ratio {:.3}", rate / limit);
        rate / limit
    };
    (0..ROUNDS).map(|_| round()).collect()
}

/// Sends with and without a key. Were nothing lost, a message would take its time without a signature and that of
/// a signature, spread over all processors.
fn sending() -> Vec<f64> {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("recipients.csv");
    write_recipients(&csv, MESSAGES);
    let sink = Sink::start();
    let round = || {
        let signatures = openssl(std::thread::available_parallelism().unwrap().get());
        let plain = rate(MESSAGES, &send(&sink, &csv, false));
        let signed = rate(MESSAGES, &send(&sink, &csv, true));
        let limit = 1.0 / (1.0 / plain + 1.0 / signatures);
        println!(
            "  signed send {signed:>6.0}/s, without {plain:>6.0}/s, openssl {signatures:>6.0}/s on all processors, \
             limit {limit:>6.0}/s, ratio {:.3}",
            signed / limit
        );
        signed / limit
    };
    (0..ROUNDS).map(|_| round()).collect()
}

fn send(sink: &Sink, csv: &Path, signed: bool) -> Usage {
    let project = Project::new(&format!("smtp://127.0.0.1:{}", sink.port), SESSIONS, &template());
    if signed {
        dkim::generate(Algorithm::Rsa, &project.path("config/dkim.pem")).unwrap();
        project.configure(DKIM);
    }
    project.import(csv);
    project.send(MESSAGES)
}

/// Signatures a second of so many processes at once.
fn openssl(processes: usize) -> f64 {
    let processes = processes.to_string();
    let speed = Usage::of(program("openssl").args(["speed", "-seconds", "3", "-multi", &processes, "rsa2048"]));
    let line = speed.output.lines().find(|line| line.starts_with("rsa 2048")).expect("openssl speed prints a table");
    line.split_whitespace().nth_back(1).and_then(|rate| rate.parse().ok()).expect("signatures a second")
}
