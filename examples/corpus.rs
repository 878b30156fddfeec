//! Holds the classification of what comes back by mail against a corpus of real messages: `make corpus`.
//!
//! The corpus is a directory with `expected.jsonl`: one object a message, with `file`, `kind`, `recipients` and where
//! they are known from, `hard`, and `strict` where that is sure. Exit code 1 when a rate is below its bar.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use colloquy::domain::inbound::{Consequence, Kind};
use colloquy::mail::{Classified, classify};
use serde_json::Value;

/// Where the addresses are stated by the message itself.
const STATED: [&str; 3] = ["delivery-status", "x-failed-recipients", "arf-field"];

#[derive(Default)]
struct Rate {
    right: usize,
    all: usize,
}

impl Rate {
    fn count(&mut self, right: bool) -> bool {
        self.right += usize::from(right);
        self.all += 1;
        right
    }

    fn percent(&self) -> f64 {
        self.right as f64 * 100.0 / self.all.max(1) as f64
    }
}

fn main() -> ExitCode {
    let named = std::env::var_os("COLLOQUY_CORPUS").map(PathBuf::from);
    let corpus = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/inbound"));
    let Ok(expected) = fs::read_to_string(corpus.join("expected.jsonl")) else {
        eprintln!("there is no corpus at {}; name its directory in COLLOQUY_CORPUS", corpus.display());
        return ExitCode::FAILURE;
    };
    let expected: Vec<Value> =
        expected.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let messages: Vec<Vec<u8>> =
        expected.iter().map(|own| fs::read(corpus.join(word(own, "file"))).expect("a message can be read")).collect();
    let (mut addresses, mut hardness, mut kinds) = (Rate::default(), Rate::default(), Rate::default());
    let (mut wrongly_dead, mut wrongly_bounce) = (0, 0);
    let begun = Instant::now();
    let found: Vec<Classified> = messages.iter().map(|raw| classify(raw)).collect();
    let speed = messages.len() as f64 / begun.elapsed().as_secs_f64();
    for (own, found) in expected.iter().zip(&found) {
        let say = |what: &str| println!("{what}: {} is {}: {found:?}", word(own, "file"), word(own, "kind"));
        if STATED.contains(&word(own, "recipients_source")) && !addresses.count(same_addresses(own, found)) {
            say("address");
        }
        if own["strict"] == true
            && own["hard"].is_boolean()
            && reports(own)
            && !hardness.count(same_hardness(own, found))
        {
            say("hardness");
        }
        if let Some(right) = same_kind(own, found.kind)
            && !kinds.count(right)
        {
            say("kind");
        }
        let is_dead = found.recipients.iter().any(|own| own.consequence == Consequence::Dead);
        if is_dead && ["soft", "auto-reply", "delivered", "none", "complaint"].contains(&word(own, "kind")) {
            wrongly_dead += 1;
            say("wrongly dead");
        }
        if word(own, "kind") == "none" && matches!(found.kind, Kind::Bounce | Kind::Delay | Kind::Complaint) {
            wrongly_bounce += 1;
            say("wrongly a report");
        }
    }
    println!("\n{} messages, {speed:.0}/s in the first round", found.len());
    println!("addresses that the report states   {:>6.1} % of {}   (bar 98 %)", addresses.percent(), addresses.all);
    println!("hard or soft                       {:>6.1} % of {}   (bar 97 %)", hardness.percent(), hardness.all);
    println!("kind                               {:>6.1} % of {}", kinds.percent(), kinds.all);
    println!("wrongly dead                       {wrongly_dead:>6}          (bar 0)");
    println!("ordinary mail taken for a report   {wrongly_bounce:>6}          (bar 0)");
    let met = addresses.percent() >= 98.0 && hardness.percent() >= 97.0 && wrongly_dead == 0 && wrongly_bounce == 0;
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn word<'a>(own: &'a Value, name: &str) -> &'a str {
    own[name].as_str().unwrap_or_default()
}

fn reports(own: &Value) -> bool {
    ["hard", "soft"].contains(&word(own, "kind"))
}

fn same_addresses(own: &Value, found: &Classified) -> bool {
    let sorted = |mut addresses: Vec<String>| {
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    };
    let stated = own["recipients"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_lowercase);
    sorted(stated.collect()) == sorted(found.recipients.iter().map(|own| own.address.to_lowercase()).collect())
}

/// Whether anybody's failure is hard.
fn same_hardness(own: &Value, found: &Classified) -> bool {
    !found.recipients.is_empty() && own["hard"] == found.recipients.iter().any(|recipient| recipient.hard)
}

fn same_kind(own: &Value, found: Kind) -> Option<bool> {
    Some(match word(own, "kind") {
        "hard" | "mixed" | "bounce" => found == Kind::Bounce,
        "soft" => matches!(found, Kind::Bounce | Kind::Delay),
        "complaint" => found == Kind::Complaint,
        "auto-reply" => found == Kind::AutoReply,
        "none" => !matches!(found, Kind::Bounce | Kind::Delay | Kind::Complaint),
        _ => return None,
    })
}
