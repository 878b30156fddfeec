//! How long the faults are staged, by which seeds, and the table of what was done.

use std::io::Write as _;
use std::ops::Range;

use colloquy::store::EngineKind;
use tokio::time::Instant;

/// One of two, by the form that was asked for.
pub fn form<T>(short: T, long: T) -> T {
    if std::env::var("COLLOQUY_FAULTS").is_ok_and(|form| form == "long") { long } else { short }
}

/// The seeds to play: so many, unless as many or a certain one were asked for.
pub fn seeds(short: u64, long: u64) -> Range<u64> {
    match (number("COLLOQUY_SEED"), number("COLLOQUY_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => 0..seeds.unwrap_or(form(short, long)),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// A line of the table: a fault, how often it was staged, and what became of the messages. It is written at its end,
/// as broken when the test fails.
pub struct Row {
    fault: String,
    engine: EngineKind,
    began: Instant,
    /// How often the fault was staged.
    pub times: usize,
    /// Messages that went through it.
    pub messages: usize,
    /// Those whose fate was swallowed.
    pub unknown: usize,
}

impl Row {
    pub fn begin(fault: impl Into<String>, engine: EngineKind) -> Self {
        Self { fault: fault.into(), engine, began: Instant::now(), times: 0, messages: 0, unknown: 0 }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let Self { fault, times, messages, unknown, .. } = self;
        let engine = if self.engine == EngineKind::Sqlite { "SQLite" } else { "PostgreSQL" };
        let result = if std::thread::panicking() { "BROKEN" } else { "kept" };
        let seconds = self.began.elapsed().as_secs();
        let line = format!("{fault}|{engine}|{times}|{messages}|{unknown}|{seconds} s|{result}");
        println!("{line}");
        let Ok(table) = std::env::var("COLLOQUY_FAULTS_TABLE") else { return };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(table);
        file.and_then(|mut file| writeln!(file, "{line}")).expect("the table can be written");
    }
}
