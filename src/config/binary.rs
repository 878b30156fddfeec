//! Files that are not text: pictures and attachments. A version holds them as lines of base64 (RFC 2045 §6.8), which is
//! also how they travel, so that nothing is encoded per message.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::files::{FileError, ProjectFiles, TEMPLATES, walk};
use crate::domain::media::is_image;

/// Where attachments are.
pub const FILES: &str = "files";
/// Octets of the largest file that is taken.
pub const MAX_FILE: u64 = 10 * 1_024 * 1_024;
/// Octets of a file in one line of base64: 76 characters.
const LINE: usize = 57;

impl ProjectFiles {
    /// A file in lines of base64 that end with CRLF, `None` when there is no such file.
    ///
    /// # Errors
    /// When the path leaves the project, or the file cannot be read or is larger than `MAX_FILE`.
    pub fn read_encoded(&self, path: &str) -> Result<Option<String>, FileError> {
        self.read_by(path, |file| {
            if std::fs::metadata(file)?.len() > MAX_FILE {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 10 MB"));
            }
            Ok(encoded(&std::fs::read(file)?))
        })
    }

    /// The pictures and attachments whose paths stand in `texts`, as templates and campaigns write them.
    pub(super) fn named<'a>(&self, texts: &(impl Iterator<Item = &'a str> + Clone)) -> Result<Vec<String>, FileError> {
        let mut paths = Vec::new();
        match self {
            Self::Frozen(files) => paths.extend(files.keys().cloned()),
            Self::Disk(root) => {
                walk(root, TEMPLATES, &mut paths)?;
                walk(root, FILES, &mut paths)?;
            }
        }
        paths.retain(|path| {
            let written = match path.strip_prefix(TEMPLATES).and_then(|rest| rest.strip_prefix('/')) {
                Some(below) if is_image(path) => below,
                None if path.strip_prefix(FILES).is_some_and(|rest| rest.starts_with('/')) => path,
                _ => return false,
            };
            texts.clone().any(|text| text.contains(written))
        });
        paths.sort();
        Ok(paths)
    }
}

/// How many octets lines of base64 stand for, padding included.
#[must_use]
pub fn decoded_size(encoded: &str) -> usize {
    (encoded.len() - encoded.matches("\r\n").count() * 2) / 4 * 3
}

fn encoded(bytes: &[u8]) -> String {
    let mut lines = String::with_capacity(bytes.len() / LINE * 78 + 80);
    for line in bytes.chunks(LINE) {
        STANDARD.encode_string(line, &mut lines);
        lines.push_str("\r\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_frozen_in_lines_of_base64_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in [
            ("config/campaigns/a.toml", b"file = \"files/a.pdf\"".as_slice()),
            ("templates/a.hbs", b"<img src=\"images/logo.png\">"),
            ("templates/images/logo.png", &[255; 100]),
            ("templates/images/other.png", b"x"),
            ("files/a.pdf", b"pdf"),
            ("files/b.pdf", b"other"),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let disk = ProjectFiles::Disk(dir.path().into());
        let frozen = disk.freeze().unwrap();
        let paths: Vec<_> = frozen.keys().map(String::as_str).collect();
        assert_eq!(paths, ["config/campaigns/a.toml", "files/a.pdf", "templates/a.hbs", "templates/images/logo.png"]);
        assert_eq!(frozen["files/a.pdf"], "cGRm\r\n");
        let logo = &frozen["templates/images/logo.png"];
        assert_eq!(logo.split("\r\n").map(str::len).collect::<Vec<_>>(), [76, 60, 0]);
        assert_eq!(decoded_size(logo), 102);
        assert_eq!(ProjectFiles::Frozen(frozen.clone()).freeze().unwrap(), frozen);
    }

    #[test]
    fn a_file_that_is_too_large_or_outside_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(FILES)).unwrap();
        let file = std::fs::File::create(dir.path().join("files/large.zip")).unwrap();
        file.set_len(MAX_FILE + 1).unwrap();
        let disk = ProjectFiles::Disk(dir.path().into());
        assert!(disk.read_encoded("files/large.zip").unwrap_err().to_string().contains("larger than 10 MB"));
        assert!(disk.read_encoded("../etc/passwd").is_err());
        assert!(disk.read_encoded("files/none.zip").unwrap().is_none());
    }
}
