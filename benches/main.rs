//! Benchmarks of the finished binary. Each takes the limit of this machine in the same run, from the
//! tool that does the same step and nothing else, and prints the ratio to it.
//!
//! `make bench` runs all but `soak`, which takes an hour or more; `scripts/bench import send` runs some. Exit code 1 when
//! a target is missed.

mod import;
mod inbox;
mod memory;
mod nodes;
mod pages;
mod redirect;
mod render;
mod send;
mod sign;
mod soak;
mod support;

use std::process::ExitCode;

use self::support::Figure;

/// A benchmark's name and what it measures.
type Bench = (&'static str, fn() -> Vec<Figure>);

const BENCHES: [Bench; 10] = [
    ("import", import::run),
    ("render", render::run),
    ("send", send::run),
    ("nodes", nodes::run),
    ("sign", sign::run),
    ("redirect", redirect::run),
    ("pages", pages::run),
    ("inbox", inbox::run),
    ("memory", memory::run),
    (ASKED_FOR, soak::run),
];

/// Runs only when it is named.
const ASKED_FOR: &str = "soak";

fn main() -> ExitCode {
    // Cargo adds options of its own harness.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = chosen.iter().find(|name| !BENCHES.iter().any(|(known, _)| known == name)) {
        eprintln!("there is no benchmark '{unknown}'; there are: {}", BENCHES.map(|(name, _)| name).join(", "));
        return ExitCode::from(2);
    }
    let mut figures = Vec::new();
    for (name, run) in BENCHES {
        if (chosen.is_empty() && name != ASKED_FOR) || chosen.iter().any(|choice| choice == name) {
            println!("\n{name}");
            figures.extend(run());
        }
    }
    println!("\n{:<58} {:>10}  {:<10}", "figure", "value", "target");
    for figure in &figures {
        println!("{figure}");
    }
    if figures.iter().all(Figure::met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
