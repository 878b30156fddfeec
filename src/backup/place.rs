//! Directories that are there as a whole or not at all, and files that are on disk when they are said to be.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::{Entry, Error, Result, at};
use crate::domain::hex::hex;

/// A directory in which something is made. It goes with this value, unless it was renamed.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    /// Locked as long as somebody works in it.
    _lock: File,
}

impl Unfinished {
    /// Makes it. What a killed process left there is removed.
    ///
    /// # Errors
    /// When somebody is at it, or it cannot be made.
    pub fn new(path: PathBuf) -> Result<Self> {
        if path.symlink_metadata().is_ok() {
            let _left = lock(&path)?;
            fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        private_directory(&path).map_err(at(&path))?;
        Ok(Self { _lock: lock(&path)?, path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, for good.
    ///
    /// # Errors
    /// When something has that name by now.
    pub fn finish(self, name: &Path) -> Result<()> {
        sync_below(&self.path)?;
        fs::rename(&self.path, name).map_err(at(name))?;
        sync_parent(name)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it was renamed; and if it stays, the next one removes it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn lock(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(at(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Refused(format!("somebody else is writing {}", path.display()))),
        Err(TryLockError::Error(error)) => Err(at(path)(error)),
    }
}

/// Makes a directory that only its owner may enter.
fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// A new, empty file that only its owner may read.
pub(super) fn private_file(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))
}

/// Copies a file with its mode into a place that must be free, onto the disk. Directories on the way are made.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Entry> {
    // Opening a pipe would wait for who writes into it.
    let found = fs::metadata(from).map_err(at(from))?;
    if !found.is_file() {
        return Err(Error::Refused(format!("{} is no file", from.display())));
    }
    let mut source = File::open(from).map_err(at(from))?;
    if let Some(parent) = to.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(at(parent))?;
    }
    let mut target = private_file(to)?;
    let entry = pump(&mut source, &mut target, from)?;
    let mode = fs::Permissions::from_mode(found.permissions().mode() & 0o777);
    target.set_permissions(mode).and_then(|()| target.sync_all()).map_err(at(to))?;
    Ok(entry)
}

/// Brings a file to the disk, and says what is in it.
pub(super) fn seal(path: &Path) -> Result<Entry> {
    let mut file = File::open(path).map_err(at(path))?;
    file.sync_all().map_err(at(path))?;
    pump(&mut file, &mut io::sink(), path)
}

fn pump(source: &mut impl Read, target: &mut impl Write, named: &Path) -> Result<Entry> {
    let mut context = Context::new(&SHA256);
    let mut size = 0;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let read = source.read(&mut buffer).map_err(at(named))?;
        let Some(read) = buffer.get(..read).filter(|read| !read.is_empty()) else { break };
        context.update(read);
        target.write_all(read).map_err(at(named))?;
        size += read.len() as u64;
    }
    Ok(Entry { size, sha256: hex(context.finish().as_ref()) })
}

/// Brings the names in a directory and below it to the disk.
pub(super) fn sync_below(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let entry = entry.map_err(at(directory))?;
        if entry.file_type().map_err(at(directory))?.is_dir() {
            sync_below(&entry.path())?;
        }
    }
    sync(directory)
}

pub(super) fn sync_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), sync)
}

pub(super) fn sync(directory: &Path) -> Result<()> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(at(directory))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_pipe_is_refused_and_nobody_waits_for_who_writes_into_it() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, to) = (dir.path().join("pipe"), dir.path().join("copy"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (tells, told) = mpsc::channel();
        std::thread::spawn(move || tells.send(copy(&pipe, &to).map_err(|error| error.to_string())));
        let refused = told.recv_timeout(Duration::from_secs(10)).expect("it does not wait").unwrap_err();
        assert!(refused.ends_with("pipe is no file"), "{refused}");
        assert!(!dir.path().join("copy").exists());
    }
}
