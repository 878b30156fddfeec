//! Taking a backup.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::place::{self, Unfinished};
use super::{
    DATABASE, Entry, Error, FORMAT, MANIFEST, Manifest, PROJECT, Result, SECRETS, SPOOL, at, refuse_foreign_keys,
};
use crate::clock::Clock;
use crate::config::ProjectFiles;
use crate::store::{Schema, Store, copy, transfer};

/// The project's directories whose files are taken along.
const DIRECTORIES: [&str; 3] = ["config", "templates", "files"];

/// What is copied.
#[derive(Debug)]
pub struct Source<'a> {
    /// The project's directory.
    pub root: &'a Path,
    /// The database.
    pub store: &'a Store,
    /// Its file.
    pub database: PathBuf,
    /// The file with the project's keys.
    pub secrets: PathBuf,
    /// The time.
    pub clock: &'a Clock,
}

/// Copies a project into a directory that does not exist yet, while it is used. The directory is there when all of it
/// is on the disk, and not before.
///
/// # Errors
/// When the place is taken, or something cannot be read or written; then nothing is left behind.
pub async fn take(source: &Source<'_>, target: &Path) -> Result<Manifest> {
    let target = std::path::absolute(target).map_err(at(target))?;
    if target.symlink_metadata().is_ok() {
        return Err(Error::Refused(format!(
            "{} exists already\n  hint: a backup is a new directory, as in backups/2026-11-28",
            target.display()
        )));
    }
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(Error::Refused(format!("{} is no place for a backup", target.display())));
    };
    if source.store.schema().await? != Schema::Current {
        return Err(Error::Refused(
            "the database's schema is not this program's\n  hint: make the backup with the program that runs the service"
                .into(),
        ));
    }
    transfer::refuse(&mut source.store.read().await?).await?;
    refuse_foreign_keys(source.store, &source.secrets).await?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".unfinished-backup");
    let place = Unfinished::new(parent.join(hidden))?;
    let mut files = BTreeMap::new();

    // The spool comes first: a hit goes from there to the database, and so is in one of the copies or in both.
    let spool = source.root.join(SPOOL);
    if spool.try_exists().map_err(at(&spool))? {
        files.insert(SPOOL.to_owned(), database(&spool, &place.path().join(SPOOL)).await?);
    }
    let now = source.clock.now();
    files.insert(DATABASE.to_owned(), database(&source.database, &place.path().join(DATABASE)).await?);
    files.insert(SECRETS.to_owned(), place::copy(&source.secrets, &place.path().join(SECRETS))?);
    for path in project_files(source)? {
        let kept = format!("{PROJECT}/{path}");
        let entry = place::copy(&source.root.join(&path), &place.path().join(&kept))?;
        files.insert(kept, entry);
    }
    let manifest =
        Manifest { format: FORMAT, colloquy: env!("CARGO_PKG_VERSION").to_owned(), at: now.to_string(), files };
    write(&manifest, &place.path().join(MANIFEST))?;
    place.finish(&target)?;
    Ok(manifest)
}

/// All but the keys and the database, which have places of their own.
fn project_files(source: &Source<'_>) -> Result<Vec<String>> {
    let disk = ProjectFiles::Disk(source.root.to_owned());
    let mut paths = Vec::new();
    for directory in DIRECTORIES {
        let found = disk.below(directory).map_err(|error| at(&source.root.join(&error.path))(error.source))?;
        paths.extend(found);
    }
    // The database's log stands beside it, under a longer name.
    let database = source.database.to_string_lossy();
    paths.retain(|path| {
        let path = source.root.join(path);
        path != source.secrets && !path.to_string_lossy().starts_with(&*database)
    });
    Ok(paths)
}

async fn database(from: &Path, to: &Path) -> Result<Entry> {
    drop(place::private_file(to)?);
    copy::copy(from, to).await?;
    place::seal(to)
}

fn write(manifest: &Manifest, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(manifest).map_err(|error| at(path)(error.into()))?;
    let mut file = place::private_file(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(path))
}
