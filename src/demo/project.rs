//! The demonstration's own project: where it may be written, what it consists of, and how it is left.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::rand::SystemRandom;

use crate::app::Refused;
use crate::config::Secrets;

/// Tells a directory that a demonstration has written from any other.
const MARKER: &str = ".colloquy-demo";
const SECRETS: &str = "config/secrets.toml";
const SETTINGS: &str = "config/colloquy.toml";
/// People who let hits be kept with them.
pub const RECIPIENTS: &str = "recipients.csv";
/// People who do not.
pub const UNTRACKED: &str = "recipients-untracked.csv";

const SETTINGS_TEXT: &str = include_str!("sample/colloquy.toml");
const FILES: [(&str, &str); 6] = [
    ("config/campaigns/newsletter.toml", include_str!("sample/campaigns/newsletter.toml")),
    ("config/campaigns/picks.toml", include_str!("sample/campaigns/picks.toml")),
    ("config/campaigns/reminder.toml", include_str!("sample/campaigns/reminder.toml")),
    ("templates/layouts/base.hbs", include_str!("sample/templates/layouts/base.hbs")),
    ("templates/newsletter.hbs", include_str!("sample/templates/newsletter.hbs")),
    ("templates/picks.hbs", include_str!("sample/templates/picks.hbs")),
];
/// What comes into being when the project is used.
const MADE: [&str; 10] = [
    "colloquy.db",
    "colloquy.db-wal",
    "colloquy.db-shm",
    "spool.db",
    "spool.db-wal",
    "spool.db-shm",
    RECIPIENTS,
    UNTRACKED,
    "recipients.rejected.csv",
    "recipients-untracked.rejected.csv",
];
/// Where mail goes once the demonstration's catcher has gone.
const OUTBOX: &str = "outbox";

/// Where the demonstration's parts reach each other.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Pixel, links, pages.
    pub web: SocketAddr,
    /// Metrics and health.
    pub console: SocketAddr,
    /// The mail catcher.
    pub catcher: SocketAddr,
}

/// A project of the demonstration.
#[derive(Clone, Debug)]
pub struct DemoProject {
    /// Its directory.
    pub root: PathBuf,
    places: Places,
}

impl DemoProject {
    /// Writes the project, in place of an earlier demonstration's. Whatever else lies there stays.
    ///
    /// # Errors
    /// [`Refused`] when the directory holds something that no demonstration has written; when a
    /// file cannot be written.
    pub fn write(directory: &Path, places: Places) -> Result<Self> {
        let root = std::path::absolute(directory)?;
        let project = Self { root, places };
        project.clear()?;
        project.file(MARKER, "This directory belongs to `colloquy demo`, which writes it anew each time.\n")?;
        for (path, text) in FILES {
            project.file(path, text)?;
        }
        project.settings(&format!("url = \"smtp://{}\"\nconnections = 8", places.catcher))?;
        Secrets::generate(&SystemRandom::new())?.write_new(&project.root.join(SECRETS)).context(SECRETS)?;
        Ok(project)
    }

    /// Leaves the project so that it works without the catcher: mail becomes files.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn leave(&self) -> Result<()> {
        self.settings(&format!(
            "# The demo sent through its own catcher, smtp://{}, which has ended with it.\nurl = \"file:{OUTBOX}\"",
            self.places.catcher
        ))
    }

    /// Writes one of the project's files.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, path: &str, text: &str) -> Result<()> {
        let path = self.root.join(path);
        let write = || {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(&path, text)
        };
        write().with_context(|| path.display().to_string())
    }

    fn settings(&self, relay: &str) -> Result<()> {
        let Places { web, console, .. } = self.places;
        let text = SETTINGS_TEXT
            .replace("@WEB@", &web.to_string())
            .replace("@CONSOLE@", &console.to_string())
            .replace("@RELAY@", relay);
        self.file(SETTINGS, &text)
    }

    /// Removes what an earlier demonstration has written, and nothing else.
    fn clear(&self) -> Result<()> {
        let shown = self.root.display();
        let mut entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| shown.to_string()),
        };
        if !self.root.join(MARKER).is_file() {
            return match entries.next() {
                None => Ok(()),
                Some(_) => Err(anyhow!(Refused(format!(
                    "{shown} was not written by a demo and is not empty\n  hint: colloquy demo DIR, with another directory"
                )))),
            };
        }
        let mails = std::fs::read_dir(self.root.join(OUTBOX)).into_iter().flatten().flatten().map(|entry| entry.path());
        let mails = mails.filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
        let own = FILES.iter().map(|(path, _)| *path).chain(MADE).chain([SETTINGS, SECRETS]);
        for path in own.map(|path| self.root.join(path)).chain(mails) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ProjectFiles, load};

    fn write(directory: &Path) -> Result<DemoProject> {
        let [web, console, catcher] = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        DemoProject::write(directory, Places { web, console, catcher })
    }

    #[test]
    fn the_project_is_without_complaint_and_ends_with_an_outbox() {
        let dir = tempfile::tempdir().unwrap();
        let project = write(&dir.path().join("demo")).unwrap();
        let relay = || {
            let loaded =
                load(&ProjectFiles::Disk(project.root.clone())).unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(loaded.warnings, []);
            format!("{:?}", loaded.settings.relays[0].url)
        };
        assert!(relay().contains("127.0.0.1"));
        project.leave().unwrap();
        assert!(relay().contains(OUTBOX));
        Secrets::load(&project.root.join(SECRETS)).unwrap();
    }

    #[test]
    fn another_demo_replaces_its_own_files_and_leaves_all_others() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        for name in ["colloquy.db", "notes.txt", "config/campaigns/mine.toml"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        write(dir.path()).unwrap();
        let there = |name: &str| dir.path().join(name).exists();
        assert_eq!(
            (there("colloquy.db"), there("notes.txt"), there("config/campaigns/mine.toml")),
            (false, true, true)
        );
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.txt"), "all of it").unwrap();
        assert!(write(dir.path()).unwrap_err().is::<Refused>());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
