//! A project from a backup.

use std::fs;
use std::path::{Path, PathBuf};

use super::place::{self, Unfinished};
use super::{DATABASE, Error, FORMAT, MANIFEST, Manifest, PROJECT, Result, SECRETS, SPOOL, at, refuse_foreign_keys};
use crate::config::files::stays_inside;
use crate::config::{self, Machine, ProjectFiles, Reach};
use crate::store::{self, Store, copy};

/// Where a project is put together, inside of the directory that it is for.
const UNFINISHED: &str = ".unfinished-restore";

/// A project that is being brought back. It is removed again unless it is finished.
#[derive(Debug)]
pub struct Restoring {
    place: Unfinished,
    directory: PathBuf,
    _made: Made,
    /// What the backup says of itself.
    pub manifest: Manifest,
    machine: Machine,
    database: PathBuf,
    secrets: PathBuf,
}

/// A project that was brought back.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What a person has to see to before the project finds its own database and keys.
    pub astray: Vec<String>,
}

impl Restoring {
    /// Copies a backup into a directory that is empty or does not exist, each file compared with its checksum, and looks
    /// whether databases and keys are whole and belong together.
    ///
    /// # Errors
    /// When the directory is in use, or the backup is none, damaged, or its keys are another project's.
    pub async fn begin(backup: &Path, directory: &Path) -> Result<Self> {
        let manifest = read(backup)?;
        let files = ProjectFiles::Disk(backup.join(PROJECT));
        let machine = config::machine(&files, Reach::Database)
            .map_err(|problems| Error::Refused(format!("the backup's configuration cannot be used\n{problems}")))?;
        let directory = std::path::absolute(directory).map_err(at(directory))?;
        let made = Made::new(&directory)?;
        refuse_used(&directory)?;
        let place = Unfinished::new(directory.join(UNFINISHED))?;
        let inside = |path: Option<&Path>, other: &str| {
            let path = path.and_then(Path::to_str).filter(|path| stays_inside(path)).unwrap_or(other);
            place.path().join(path)
        };
        let database = inside(machine.database_file(), DATABASE);
        let secrets = inside(Some(&machine.secrets_file), SECRETS);
        for (path, entry) in &manifest.files {
            let to = match path.as_str() {
                DATABASE => database.clone(),
                SECRETS => secrets.clone(),
                SPOOL => place.path().join(SPOOL),
                other => match other.strip_prefix(PROJECT).and_then(|rest| rest.strip_prefix('/')) {
                    Some(path) if stays_inside(path) => place.path().join(path),
                    _ => return Err(Error::Refused(format!("{MANIFEST} names '{other}', which no backup holds"))),
                },
            };
            if place::copy(&backup.join(path), &to)? != *entry {
                return Err(Error::Refused(format!("{path} is not as it was when the backup was made")));
            }
        }
        let restoring = Self { place, directory, _made: made, manifest, machine, database, secrets };
        restoring.look().await?;
        Ok(restoring)
    }

    async fn look(&self) -> Result<()> {
        for path in [&self.database, &self.place.path().join(SPOOL)] {
            if path.exists()
                && let Some(found) = copy::damage(path).await?
            {
                let name = path.file_name().unwrap_or_default().display();
                return Err(Error::Refused(format!("the database in {name} is damaged: {found}")));
            }
        }
        let store = self.store().await?;
        let fits = refuse_foreign_keys(&store, &self.secrets).await;
        store.close().await;
        fits
    }

    /// The database, brought up to date.
    ///
    /// # Errors
    /// When it is a newer program's.
    pub async fn store(&self) -> store::Result<Store> {
        Store::open(&format!("sqlite:{}", self.database.display()), Path::new("/")).await
    }

    /// Puts the project into its place. Its own file comes last: what is not finished is no project.
    ///
    /// # Errors
    /// When somebody has put something there meanwhile.
    pub fn finish(self) -> Result<Restored> {
        let (from, to) = (self.place.path(), self.directory.as_path());
        place::sync_below(from)?;
        refuse_used(to)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(at(from))? {
            names.push(entry.map_err(at(from))?.file_name());
        }
        names.sort_by_key(|name| name == "config");
        for name in names {
            fs::rename(from.join(&name), to.join(&name)).map_err(at(to))?;
            place::sync(to)?;
        }
        place::sync_parent(to)?;
        Ok(Restored { astray: self.astray(), manifest: self.manifest })
    }

    /// What the configuration looks for outside of the project.
    fn astray(&self) -> Vec<String> {
        let configured = |path: &Path| path.to_str().is_some_and(stays_inside);
        let mut astray = Vec::new();
        if let Some(file) = self.machine.database_file().filter(|file| !configured(file)) {
            astray.push(format!("[database] url names {}; the one from the backup is {DATABASE}", file.display()));
        }
        if !configured(&self.machine.secrets_file) {
            let file = self.machine.secrets_file.display();
            astray.push(format!("[secrets] file names {file}; those from the backup are {SECRETS}"));
        }
        astray
    }
}

/// A directory that goes again if it was made for nothing.
#[derive(Debug)]
struct Made(Option<PathBuf>);

impl Made {
    fn new(directory: &Path) -> Result<Self> {
        if directory.exists() {
            return Ok(Self(None));
        }
        fs::create_dir_all(directory).map_err(at(directory))?;
        Ok(Self(Some(directory.to_owned())))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(directory) = &self.0 {
            // One with a project in it stays.
            let _ = fs::remove_dir(directory);
        }
    }
}

fn read(backup: &Path) -> Result<Manifest> {
    let path = backup.join(MANIFEST);
    let no_backup = |why: String| {
        Error::Refused(format!("{} is no backup: {why}\n  hint: `colloquy backup DIR` makes one", backup.display()))
    };
    let text = fs::read_to_string(&path).map_err(|error| no_backup(format!("{MANIFEST}: {error}")))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| no_backup(format!("{MANIFEST}: {error}")))?;
    if manifest.format != FORMAT {
        return Err(no_backup(format!("its format {} is another program's", manifest.format)));
    }
    for needed in [DATABASE, SECRETS] {
        if !manifest.files.contains_key(needed) {
            return Err(no_backup(format!("{MANIFEST} does not name {needed}")));
        }
    }
    Ok(manifest)
}

/// What a killed restore has left does not count.
fn refuse_used(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let name = entry.map_err(at(directory))?.file_name();
        if name != UNFINISHED {
            return Err(Error::Refused(format!(
                "{} holds {} already\n  hint: a project is restored into a new or empty directory",
                directory.display(),
                name.display()
            )));
        }
    }
    Ok(())
}
