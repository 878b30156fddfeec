//! Maildir: a mail is a file in `new`, put there whole; what is being written stands in `tmp` and is nobody's business.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Looked, Sink, Trouble};
use crate::domain::mailbox::Then;

/// Hands every mail in `new` to the sink. Names are read as they are needed, however many there are.
pub(super) async fn look(
    directory: &Path,
    then: &Then,
    most: usize,
    stop: &CancellationToken,
    sink: &impl Sink,
) -> Result<Looked, Trouble> {
    let mut looked = Looked::default();
    let mut names = tokio::fs::read_dir(directory.join("new")).await.map_err(Trouble::Directory)?;
    while let Some(entry) = names.next_entry().await.map_err(Trouble::Directory)? {
        if stop.is_cancelled() {
            return Err(Trouble::Stopped);
        }
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let name = path.clone();
        let read = tokio::task::spawn_blocking(move || read(&name, most)).await.map_err(io::Error::other);
        match read.and_then(|read| read) {
            Ok(Some((head, size))) => {
                sink.take(&head, size).await.map_err(Trouble::Sink)?;
                clear(directory, &path, then).await.map_err(Trouble::Directory)?;
                looked.taken += 1;
            }
            // Somebody else has taken it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(None) | Err(_) => looked.unreadable += 1,
        }
    }
    Ok(looked)
}

/// The first octets of a file, and how many it has; `None` where it is no file. Links are not followed: who can write
/// here must not choose what we read elsewhere.
fn read(path: &Path, most: usize) -> io::Result<Option<(Vec<u8>, u64)>> {
    let named = path.symlink_metadata()?;
    if !named.is_file() {
        return Ok(None);
    }
    let file = File::open(path)?;
    let opened = file.metadata()?;
    let same = |of: &Metadata| (of.dev(), of.ino());
    if same(&named) != same(&opened) {
        return Ok(None);
    }
    let mut head = Vec::new();
    file.take(most as u64).read_to_end(&mut head)?;
    let size = opened.len().max(head.len() as u64);
    Ok(Some((head, size)))
}

/// Removes a mail, or moves it to `cur` as one that was seen. It may be gone already.
async fn clear(directory: &Path, path: &Path, then: &Then) -> io::Result<()> {
    let done = match then {
        Then::Delete => tokio::fs::remove_file(path).await,
        Then::Move(folder) => {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(":2,S");
            tokio::fs::rename(path, directory.join(folder).join(name)).await
        }
    };
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound && !path.exists();
    done.or_else(|error| if gone(&error) { Ok(()) } else { Err(error) })
}

/// Whether there is a Maildir that can be read.
pub(super) fn knock(directory: &Path) -> Result<(), Trouble> {
    for part in ["new", "cur"] {
        std::fs::read_dir(directory.join(part)).map_err(Trouble::Directory)?;
    }
    Ok(())
}

/// Tells of what arrives in `new`. Where the system has no watch to give, or the directory is not there yet, there is none:
/// it is looked into from time to time anyway.
pub(super) fn watch(directory: &Path, arrived: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let new: PathBuf = directory.join("new");
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| event.kind.is_create() || event.kind.is_modify()) {
            arrived.notify_one();
        }
    };
    let watching = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(&new, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watching.inspect_err(|error| tracing::debug!(%error, "a directory is not watched")).ok()
}
