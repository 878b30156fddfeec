//! `colloquy init`: writes a small, commented, working project.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SecureRandom;

use super::schema::Schema;
use super::secrets::Secrets;

/// Path in the project and text.
const FILES: [(&str, &str); 12] = [
    ("config/colloquy.toml", include_str!("example/colloquy.toml")),
    ("config/campaigns/welcome.toml", include_str!("example/campaigns/welcome.toml")),
    ("config/campaigns/gear.toml", include_str!("example/campaigns/gear.toml")),
    ("config/campaigns/letter.toml", include_str!("example/campaigns/letter.toml")),
    ("templates/layouts/base.mjml", include_str!("example/templates/layouts/base.mjml")),
    ("templates/partials/footer.hbs", include_str!("example/templates/partials/footer.hbs")),
    ("templates/newsletter.mjml", include_str!("example/templates/newsletter.mjml")),
    ("templates/offers.mjml", include_str!("example/templates/offers.mjml")),
    ("templates/letter.hbs", include_str!("example/templates/letter.hbs")),
    ("recipients.csv", include_str!("example/recipients.csv")),
    (".gitignore", include_str!("example/gitignore")),
    ("README.md", include_str!("example/README.md")),
];

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
    let paths = || FILES.iter().map(|(path, _)| *path).chain(Schema::ALL.map(Schema::path)).chain([SECRETS]);
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
        let text = format!("{}{text}", Schema::of_file(path).map_or("", Schema::directive));
        written.file(&directory.join(path), |path| std::fs::File::create_new(path)?.write_all(text.as_bytes()))?;
    }
    for schema in Schema::ALL {
        let text = schema.text();
        written
            .file(&directory.join(schema.path()), |path| std::fs::File::create_new(path)?.write_all(text.as_bytes()))?;
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
        let named = path.ancestors().skip(1).take_while(|directory| !directory.as_os_str().is_empty());
        let missing: Vec<_> = named.take_while(|directory| !directory.exists()).collect();
        for directory in missing.into_iter().rev() {
            std::fs::create_dir(directory).map_err(fail)?;
            self.directories.push(directory.into());
        }
        let result = write(path);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            return result.map_err(fail);
        }
        self.files.push(path.into());
        result.map_err(fail)
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

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;
    use crate::config::{ProjectFiles, load};

    fn new_project(directory: &Path) -> Result<Vec<PathBuf>, InitError> {
        init(directory, &SystemRandom::new())
    }

    #[test]
    fn the_project_that_init_writes_loads_without_any_complaint() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("new/project");
        let paths = new_project(&project).unwrap();
        assert!(paths.iter().all(|path| project.join(path).is_file()));
        let loaded = load(&ProjectFiles::Disk(project.clone())).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.campaigns.keys().collect::<Vec<_>>(), ["gear", "letter", "welcome"]);
        Secrets::load(&project.join(&loaded.settings.machine.secrets_file)).unwrap();
    }

    #[test]
    fn every_key_that_the_sample_shows_in_a_comment_is_taken_as_it_stands() {
        let uncommented = |text: &str| {
            let settings = text.lines().map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest,
                _ => line,
            });
            settings.collect::<Vec<_>>().join("\n")
        };
        let files = FILES.iter().map(|(path, text)| ((*path).to_owned(), uncommented(text))).collect();
        let loaded = load(&ProjectFiles::Frozen(files)).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!((loaded.settings.relays.len(), loaded.settings.dkim.len()), (2, 1));
        assert!(loaded.campaigns["welcome"].schedule.is_some());
    }

    #[test]
    fn a_second_init_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let readme = dir.path().join("README.md");
        std::fs::write(&readme, "mine").unwrap();
        let error = new_project(dir.path()).unwrap_err();
        assert!(matches!(&error, InitError::Exists(paths) if paths == &["README.md"]), "{error}");
        assert_eq!(std::fs::read_to_string(&readme).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_written_before_a_failure_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("templates"), "a file where a directory must be").unwrap();
        assert!(matches!(new_project(dir.path()), Err(InitError::Write { .. })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
