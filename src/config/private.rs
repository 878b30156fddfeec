//! Files that nobody but their owner may read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::problem::Complaint;

/// The text of a private file; `what` names what it holds, `missing` says what to do without it.
pub(super) fn read(path: &Path, what: &str, missing: impl FnOnce() -> Complaint) -> Result<String, Complaint> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(),
        _ => Complaint::new(error.to_string()),
    })?;
    let mode = file.metadata().map_err(|error| error.to_string())?.mode();
    if mode & 0o077 != 0 {
        return Err(Complaint::new(format!("others may read {what} (mode {:03o})", mode & 0o777))
            .hint(format!("chmod 600 {}", path.display())));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Writes a new file with mode 0600.
///
/// # Errors
/// When the file exists or cannot be written.
pub(super) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
