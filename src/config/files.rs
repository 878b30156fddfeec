//! Where a project's files come from: a directory, or an applied version kept elsewhere.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::credentials::{without_password, without_passwords};
use crate::domain::hex::hex;
use aws_lc_rs::digest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The project's own file.
pub const PROJECT_FILE: &str = "config/colloquy.toml";
/// Where campaigns are, one file each.
pub const CAMPAIGNS: &str = "config/campaigns";
/// Where templates, layouts and partials are.
pub const TEMPLATES: &str = "templates";
/// How templates' names end: Handlebars, and Handlebars in MJML.
const TEMPLATE_ENDINGS: [&str; 2] = ["hbs", "mjml"];

/// The files of a project. Paths are relative to its root, with `/` between their parts.
#[derive(Clone, Debug)]
pub enum ProjectFiles {
    /// Under this directory, as they are at the moment of reading.
    Disk(PathBuf),
    /// An applied version: texts by path; pictures and attachments in base64.
    Frozen(BTreeMap<String, String>),
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read: {source}")]
pub struct FileError {
    /// The path under the project's root.
    pub path: String,
    /// Why.
    pub source: io::Error,
}

impl ProjectFiles {
    /// The text of a file, `None` when there is no such file.
    ///
    /// # Errors
    /// When the path leaves the project, or the file cannot be read or is not UTF-8.
    pub fn read(&self, path: &str) -> Result<Option<String>, FileError> {
        self.read_by(path, |file| std::fs::read_to_string(file))
    }

    /// A file as `read` takes it from the disk, or as it was frozen.
    pub(super) fn read_by(
        &self,
        path: &str,
        read: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Option<String>, FileError> {
        let fail = |source| FileError { path: path.into(), source };
        if !stays_inside(path) {
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the project")));
        }
        match self {
            Self::Frozen(files) => Ok(files.get(path).cloned()),
            Self::Disk(root) => match read(&root.join(path)) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(fail(error)),
            },
        }
    }

    /// The paths of all files at or below a directory whose names end in `.EXTENSION`, sorted. Hidden files are left
    /// out: editors keep their locks there. A directory that does not exist has none.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn list(&self, directory: &str, extension: &str) -> Result<Vec<String>, FileError> {
        let mut paths = self.below(directory)?;
        paths.retain(|path| Path::new(path).extension().is_some_and(|found| found == extension));
        Ok(paths)
    }

    /// The paths of all files at or below a directory, sorted, without hidden ones.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn below(&self, directory: &str) -> Result<Vec<String>, FileError> {
        let mut paths = Vec::new();
        match self {
            Self::Frozen(files) => paths.extend(
                files
                    .keys()
                    .filter(|path| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/')))
                    .cloned(),
            ),
            Self::Disk(root) => walk(root, directory, &mut paths)?,
        }
        paths.sort();
        Ok(paths)
    }

    /// Exactly the files that a version needs: the project's file, campaigns, templates, how pages look, and the
    /// pictures and attachments that these name, in base64. Passwords in the database's
    /// URLs are taken out, as secrets never enter a version. What is applied should be loaded from the frozen files, so
    /// that it is what was checked.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn freeze(&self) -> Result<BTreeMap<String, String>, FileError> {
        let mut paths = self.list(CAMPAIGNS, "toml")?;
        for ending in TEMPLATE_ENDINGS {
            paths.extend(self.list(TEMPLATES, ending)?);
        }
        paths.extend(self.looks()?);
        let mut files = BTreeMap::new();
        for path in paths {
            if let Some(text) = self.read(&path)? {
                files.insert(path, text);
            }
        }
        for path in self.named(&files.values().map(String::as_str))? {
            if let Some(encoded) = self.read_encoded(&path)? {
                files.insert(path, encoded);
            }
        }
        if let Some(text) = self.read(PROJECT_FILE)? {
            files.insert(PROJECT_FILE.into(), without_database_password(text));
        }
        Ok(files)
    }
}

/// Names a version by its content: SHA-256 over paths and texts, each preceded by its length, in hexadecimal.
#[must_use]
pub fn hash(files: &BTreeMap<String, String>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in files.iter().flat_map(|(path, text)| [path, text]) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex(context.finish().as_ref())
}

/// Whether a path is relative, plain, and cannot leave the directory that it starts from.
#[must_use]
pub fn stays_inside(path: &str) -> bool {
    !path.contains(['\\', '\0']) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

pub(super) fn walk(root: &Path, directory: &str, paths: &mut Vec<String>) -> Result<(), FileError> {
    let fail = |source| FileError { path: directory.into(), source };
    let entries = match std::fs::read_dir(root.join(directory)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail(error)),
    };
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| {
            fail(io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a UTF-8 name", name.display())))
        })?;
        let path = format!("{directory}/{name}");
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(fail)?.is_dir() {
            walk(root, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn without_database_password(mut text: String) -> String {
    let mut changes = {
        let (table, _) = DeTable::parse_recoverable(&text);
        let database = table.get_ref().get("database").and_then(|section| section.get_ref().as_table());
        let change = |value: &Spanned<DeValue<'_>>| {
            let address = without_password(value.get_ref().as_str()?)?;
            Some((value.span(), toml::Value::String(address).to_string()))
        };
        database.into_iter().flatten().filter_map(|(_, value)| change(value)).collect::<Vec<_>>()
    };
    changes.sort_by_key(|(span, _)| Reverse(span.start));
    for (span, address) in changes {
        text.replace_range(span, &address);
    }
    without_passwords(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(root: &Path) {
        for (path, text) in [
            (PROJECT_FILE, "[database]\nurl = \"postgres://u:s3cr:t@db.example/colloquy\"\n"),
            ("config/secrets.toml", "suppression_key = \"hush\""),
            ("config/campaigns/a.toml", "topic = \"x\""),
            ("config/campaigns/.#a.toml", "lock"),
            ("templates/layouts/base.hbs", "{{> @partial-block}}"),
            ("templates/offers.mjml", "<mjml></mjml>"),
            ("templates/notes.md", "notes"),
        ] {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
    }

    #[test]
    fn a_version_holds_what_it_needs_and_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path());
        let frozen = ProjectFiles::Disk(dir.path().into()).freeze().unwrap();
        let paths: Vec<_> = frozen.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            ["config/campaigns/a.toml", PROJECT_FILE, "templates/layouts/base.hbs", "templates/offers.mjml"]
        );
        assert_eq!(frozen[PROJECT_FILE], "[database]\nurl = \"postgres://u@db.example/colloquy\"\n");
        assert_eq!(ProjectFiles::Frozen(frozen.clone()).freeze().unwrap(), frozen);
    }

    #[test]
    fn no_password_of_the_database_gets_into_a_version_however_it_is_written() {
        for (lines, kept) in [
            (
                "[database]\nurl = \"postgres://u:s3/c@r:et@db/x\"\ndirect_url = 'postgres://u:s3?c#ret@db:1/x'\n",
                "[database]\nurl = \"postgres://u@db/x\"\ndirect_url = \"postgres://u@db:1/x\"\n",
            ),
            (
                "database = { direct_url = \"postgres:\\u002f/u:s3\\u0040cret@a:1,b:2/x\", url = \"postgres://p/x\" }\n",
                "database = { direct_url = \"postgres://u@a:1,b:2/x\", url = \"postgres://p/x\" }\n",
            ),
            (
                "# url = \"postgres://u:s3cret@old/x\"\n[database]\nurl = \"postgres://u@[::1]:5432/x\"\n",
                "# url = \"postgres://u@old/x\"\n[database]\nurl = \"postgres://u@[::1]:5432/x\"\n",
            ),
        ] {
            let files = BTreeMap::from([(PROJECT_FILE.to_owned(), lines.to_owned())]);
            assert_eq!(ProjectFiles::Frozen(files).freeze().unwrap()[PROJECT_FILE], kept);
        }
    }

    #[test]
    fn a_hash_changes_with_path_and_text_and_with_nothing_else() {
        let files = |pairs: &[(&str, &str)]| pairs.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        let one = hash(&files(&[("a", "bc"), ("d", "e")]));
        assert_eq!(one.len(), 64);
        assert_eq!(one, hash(&files(&[("d", "e"), ("a", "bc")])));
        assert_ne!(one, hash(&files(&[("ab", "c"), ("d", "e")])));
        assert_ne!(one, hash(&files(&[("a", "bc"), ("d", "f")])));
    }

    #[test]
    fn a_path_cannot_leave_the_project() {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path());
        for files in [ProjectFiles::Disk(dir.path().join("templates")), ProjectFiles::Frozen(BTreeMap::new())] {
            for path in ["../config/secrets.toml", "/etc/passwd", "a/../../b", "a//b", "", ".", "a\\b"] {
                assert!(files.read(path).is_err(), "{path} was read");
            }
            assert!(files.read("missing.hbs").unwrap().is_none());
            assert!(files.list("missing", "hbs").unwrap().is_empty());
        }
    }
}
