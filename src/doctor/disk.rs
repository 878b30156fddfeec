//! Room where the database, the spool and file relays write.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Finding, Patient};
use crate::domain::relay::RelayUrl;

const GIB: u64 = 1 << 30;
/// Below this a busy day fills it.
const LITTLE: u64 = 2 * GIB;
/// Below this it is full any minute.
const NOTHING: u64 = GIB / 4;

pub(super) async fn look(patient: &Patient<'_>) -> Vec<Finding> {
    let mut places = BTreeSet::from([patient.root.clone()]);
    let settings = &patient.loaded.settings;
    if let Some(file) = settings.machine.database_url.strip_prefix("sqlite:") {
        places.insert(existing(&patient.root.join(file.trim_start_matches("//"))));
    }
    for relay in &settings.relays {
        if let RelayUrl::File(directory) = &relay.url {
            places.insert(existing(&patient.root.join(directory)));
        }
    }
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for place in places {
        let (device, free) = match free(&place).await {
            Ok(found) => found,
            Err(words) => {
                findings.push(Finding::warn(format!("disk at {}", place.display()), words, "df should know it"));
                continue;
            }
        };
        if seen.insert(device) {
            findings.push(judged(&place, free));
        }
    }
    findings
}

/// The directory that is there, of a file or directory that may not be yet.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(path).to_owned()
}

fn judged(place: &Path, free: u64) -> Finding {
    let check = format!("disk at {}", place.display());
    let found = format!("{:.1} GiB are free", free as f64 / GIB as f64);
    let mend = "make room: hits, messages and the log of the database are written here";
    match free {
        NOTHING.. if free >= LITTLE => Finding::ok(check, found),
        NOTHING.. => Finding::warn(check, found, mend),
        _ => Finding::fail(check, found, mend),
    }
}

/// The device of a path and its free octets, as `df` knows them.
async fn free(path: &Path) -> Result<(String, u64), String> {
    let output = Command::new("df").arg("-Pk").arg(path).output().await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut fields = text.lines().nth(1).unwrap_or_default().split_whitespace();
    let device = fields.next().unwrap_or_default().to_owned();
    let free: u64 = fields.nth(2).and_then(|free| free.parse().ok()).ok_or("df says nothing that can be read")?;
    Ok((device, free * 1_024))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn little_room_is_told_before_there_is_none() {
        let level = |free| judged(Path::new("/"), free).level;
        assert_eq!((level(20 * GIB), level(GIB), level(GIB / 8)), (Level::Ok, Level::Warn, Level::Fail));
    }
}
