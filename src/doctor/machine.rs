//! The machine itself: its clock, how many files it lets us open, and the file of the keys.

use std::time::Duration;

use tokio::time::Instant;

use super::{Finding, Patient};

/// How far two clocks of one machine may run apart within [`WATCHED`].
const TOLERANCE: f64 = 0.1;
const WATCHED: Duration = Duration::from_millis(300);
/// What database, spool, listener and logs take beside the connections of relays and readers.
const SPARE_FILES: u64 = 200;

pub(super) async fn look(patient: &Patient<'_>) -> Vec<Finding> {
    vec![steady(patient).await, files(patient), keys(patient)]
}

/// Whether the clock on the wall runs as the one that only counts.
async fn steady(patient: &Patient<'_>) -> Finding {
    let (wall, counted) = (patient.clock.now(), Instant::now());
    patient.clock.sleep(WATCHED).await;
    let drift = patient.clock.now().seconds_since(wall) - counted.elapsed().as_secs_f64();
    if drift.abs() <= TOLERANCE {
        return Finding::ok("clock", "runs steadily");
    }
    let found = format!("jumped by {drift:.1} s while it was watched");
    Finding::fail("clock", found, "let one service alone set it: chrony or systemd-timesyncd")
}

fn files(patient: &Patient<'_>) -> Finding {
    let check = "open files";
    let settings = &patient.loaded.settings;
    let relays: u64 = settings.relays.iter().map(|relay| u64::from(relay.connections)).sum();
    let needed = relays + crate::web::Limits::default().connections as u64 + SPARE_FILES;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let allowed = match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => u64::MAX,
        Some(number) => number.parse().unwrap_or(0),
        None => return Finding::warn(check, "the limit is not known", "look at `ulimit -n` where colloquy runs"),
    };
    if allowed >= needed {
        return Finding::ok(check, format!("{allowed} may be open, {needed} may be needed"));
    }
    let mend = format!("raise it where colloquy runs: LimitNOFILE={needed} in the unit, or ulimit -n {needed}");
    Finding::warn(check, format!("{allowed} may be open in this shell, {needed} may be needed"), mend)
}

fn keys(patient: &Patient<'_>) -> Finding {
    let file = patient.loaded.settings.machine.secrets_file.display().to_string();
    let check = format!("keys in {file}");
    match &patient.keyring {
        Ok(_) => Finding::ok(check, "are there, and nobody else may read them"),
        Err(words) => {
            let mend = format!("chmod 600 {file}; where it is lost, take the copy: without it old links are dead");
            Finding::fail(check, words.lines().next().unwrap_or_default(), mend)
        }
    }
}
