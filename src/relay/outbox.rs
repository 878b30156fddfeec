//! The `file:` relay: one `.eml` file for each message.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::DirBuilder;

use super::message::{Envelope, Message};
use super::open::OpenError;
use crate::domain::outcome::{Outcome, Reply, Stage, clean};

/// A directory that takes mail.
pub(super) struct Outbox {
    directory: Arc<Path>,
}

impl Outbox {
    /// Makes the directory if it is not there yet; then only its owner may enter it.
    pub(super) async fn open(directory: &Path) -> Result<Self, OpenError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .await
            .map_err(|error| OpenError::permanent(Stage::File, format!("{}: {error}", directory.display())))?;
        Ok(Self { directory: directory.into() })
    }

    /// Writes the message to `ID.eml`, durably, whole or not at all. The name follows from the
    /// message, so that writing it again cannot make a second one.
    pub(super) async fn put(&self, envelope: &Envelope<'_>, message: &Message) -> Outcome {
        let directory = Arc::clone(&self.directory);
        let id: String = envelope.safe_id().collect();
        let content = message.content().into_owned();
        match tokio::task::spawn_blocking(move || write(&directory, &id, content.as_bytes())).await {
            Ok(Ok(path)) => {
                let words = path.file_name().unwrap_or_default().to_string_lossy();
                Outcome::Accepted { reply: Reply::new(250, &words) }
            }
            Ok(Err(error)) => not_written(&error.to_string()),
            Err(_) => not_written("the writer was stopped"),
        }
    }
}

fn not_written(words: &str) -> Outcome {
    Outcome::NotSent { stage: Stage::File, words: clean(words) }
}

fn write(directory: &Path, id: &str, content: &[u8]) -> io::Result<PathBuf> {
    let path = directory.join(format!("{id}.eml"));
    let partial = directory.join(format!(".{id}.partial"));
    let mut file = File::create(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&partial, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(path)
}
