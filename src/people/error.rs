//! Why a command about people failed.

use std::path::{Path, PathBuf};

use crate::store;

/// An error of this room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not what it should be; nothing of it was taken.
    #[error("{}:{line}: {message}\n  hint: {hint}", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A file cannot be read or written.
    #[error("{}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output(#[source] std::io::Error),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A reader thread ended without a word.
    #[error("reading the file stopped unexpectedly")]
    Reader,
}

impl Error {
    /// Whether the fault lies in what was asked for, not in carrying it out.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let file = path.to_owned();
        move |source| Self::File { file, source }
    }
}

impl From<csv::Error> for Error {
    fn from(error: csv::Error) -> Self {
        Self::Output(match error.into_kind() {
            csv::ErrorKind::Io(source) => source,
            other => std::io::Error::other(format!("{other:?}")),
        })
    }
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;
