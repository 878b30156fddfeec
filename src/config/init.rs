//! `colloquy init`: writes a small, commented, working project.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SecureRandom;

use super::secrets::Secrets;

/// Path in the project and text.
const FILES: &[(&str, &str)] = &[];

/// The file of the new project's keys.
const SECRETS: &str = "config/secrets.toml";

/// Why no project was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Files that would have been overwritten, relative to the directory.
    #[error("{} would be overwritten; choose a directory without a project", .0.join(", "))]
    Exists(Vec<String>),
    /// A file or directory could not be written; what was written before is removed again.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes the sample project into a directory, which is made if it does not exist, with keys from `random`. Returns the
/// paths written, relative to the directory.
///
/// # Errors
/// When a file exists already or cannot be written; then nothing is left behind.
pub fn init(directory: &Path, random: &dyn SecureRandom) -> Result<Vec<PathBuf>, InitError> {
    let paths = || FILES.iter().map(|(path, _)| *path).chain([SECRETS]);
    let existing: Vec<_> =
        paths().filter(|path| directory.join(path).symlink_metadata().is_ok()).map(str::to_owned).collect();
    if !existing.is_empty() {
        return Err(InitError::Exists(existing));
    }
    let mut written = Written::default();
    let result = write_all(directory, random, &mut written);
    match result {
        Ok(()) => Ok(paths().map(PathBuf::from).collect()),
        Err(error) => {
            written.remove();
            Err(error)
        }
    }
}

fn write_all(directory: &Path, random: &dyn SecureRandom, written: &mut Written) -> Result<(), InitError> {
    for (path, text) in FILES {
        written.file(&directory.join(path), |path| std::fs::File::create_new(path)?.write_all(text.as_bytes()))?;
    }
    written.file(&directory.join(SECRETS), |path| Secrets::generate(random)?.write_new(path))
}

/// What has been made so far, in order.
#[derive(Default)]
struct Written {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Written {
    fn file(&mut self, path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), InitError> {
        let fail = |source| InitError::Write { path: path.into(), source };
        let missing: Vec<_> =
            path.ancestors().skip(1).take_while(|a| !a.as_os_str().is_empty() && !a.exists()).collect();
        for directory in missing.into_iter().rev() {
            std::fs::create_dir(directory).map_err(fail)?;
            self.directories.push(directory.into());
        }
        let existed = path.symlink_metadata().is_ok();
        let result = write(path).map_err(fail);
        if !existed {
            self.files.push(path.into());
        }
        result
    }

    /// Removes what was made. What cannot be removed is left: the first error matters more.
    fn remove(self) {
        for file in self.files {
            let _ = std::fs::remove_file(file);
        }
        for directory in self.directories.into_iter().rev() {
            let _ = std::fs::remove_dir(directory);
        }
    }
}
