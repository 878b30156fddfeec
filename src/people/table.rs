//! A file with a header line: which delimiter it has, whose rows are kept aside, and why.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::records::{Record, Records};
use super::{Error, Result};

/// Columns that a file of rejected rows brings along; passed over when it is imported after repair, and
/// not repeated in the file of what is rejected again.
const REJECTED_COLUMNS: [&str; 2] = ["rejected_line", "rejected_reason"];

/// Whether a column comes from a file of rejected rows.
#[must_use]
pub fn is_of_rejects(column: &str) -> bool {
    REJECTED_COLUMNS.iter().any(|own| own.eq_ignore_ascii_case(column))
}

/// An open file, its header read.
pub struct Table {
    path: PathBuf,
    records: Records<File>,
    record: Record,
    header: Vec<String>,
    header_line: u64,
    delimiter: u8,
    rejects: Option<BufWriter<File>>,
    rejected: u64,
    raw_header: Vec<u8>,
}

impl Table {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When it cannot be read, is not UTF-8, is empty, or two columns have the same name or none.
    pub fn open(path: &Path) -> Result<Self> {
        let refused = |line, message: &str, hint: &str| Error::Refused {
            file: path.to_owned(),
            line,
            message: message.to_owned(),
            hint: hint.to_owned(),
        };
        let mut records = records(path)?;
        let delimiter = delimiter(records.head());
        records.delimit(delimiter);
        let mut record = Record::default();
        match records.read(&mut record).map_err(Error::file(path))? {
            None => return Err(refused(1, "the file is empty", "its first line names the columns")),
            Some(Err(fault)) => {
                return Err(refused(record.line, &fault.to_string(), "the first line names the columns"));
            }
            Some(Ok(())) => {}
        }
        let header: Vec<String> = record.fields().map(|name| name.trim().to_owned()).collect();
        for (n, name) in header.iter().enumerate() {
            if name.is_empty() {
                let message = format!("column {} has no name", n + 1);
                return Err(refused(record.line, &message, "name it, or take it out"));
            }
            if let Some(first) = header[..n].iter().position(|other| other.to_lowercase() == name.to_lowercase()) {
                let message = format!("columns {} and {} are both named '{name}'", first + 1, n + 1);
                return Err(refused(record.line, &message, "rename one of them, or take it out"));
            }
        }
        let rejects = rejects_path(path);
        if let Err(source) = std::fs::remove_file(&rejects) {
            // What an earlier import rejected is replaced by what this one does.
            if source.kind() != std::io::ErrorKind::NotFound {
                return Err(Error::File { file: rejects, source });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            header_line: record.line,
            raw_header: record.raw.clone(),
            records,
            record,
            header,
            delimiter,
            rejects: None,
            rejected: 0,
        })
    }

    /// The columns' names, trimmed.
    #[must_use]
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The file's name without its directory.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Octets passed so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.records.position()
    }

    /// A complaint about the header.
    #[must_use]
    pub fn refuse(&self, message: String, hint: String) -> Error {
        Error::Refused { file: self.path.clone(), line: self.header_line, message, hint }
    }

    /// Reads the next row that has a field for each column; others are rejected on the way.
    ///
    /// # Errors
    /// When the file cannot be read or the rejected rows cannot be written.
    pub fn read(&mut self) -> Result<Option<&Record>> {
        loop {
            let Some(read) = self.records.read(&mut self.record).map_err(Error::file(&self.path))? else {
                return Ok(None);
            };
            if let Err(fault) = read {
                self.reject(&fault.to_string())?;
                continue;
            }
            if self.record.len() == self.header.len() {
                break;
            }
            let reason = format!("the row has {} fields, the header has {}", self.record.len(), self.header.len());
            if self.record.lines > 1 {
                // Rather a stray quote than a field of several lines.
                self.records.keep_first_line(&mut self.record).map_err(Error::file(&self.path))?;
            }
            self.reject(&reason)?;
        }
        Ok(Some(&self.record))
    }

    /// Keeps the row that was read last aside.
    ///
    /// # Errors
    /// When the file of rejected rows cannot be written.
    pub fn reject(&mut self, reason: &str) -> Result<()> {
        let raw = std::mem::take(&mut self.record.raw);
        let rejected = self.reject_row(self.record.line, &raw, reason);
        self.record.raw = raw;
        rejected
    }

    /// Keeps a row that was read earlier aside.
    ///
    /// # Errors
    /// When the file of rejected rows cannot be written.
    pub fn reject_row(&mut self, line: u64, raw: &[u8], reason: &str) -> Result<()> {
        self.rejected += 1;
        self.write_reject(line, raw, reason).map_err(Error::file(&rejects_path(&self.path)))
    }

    fn write_reject(&mut self, line: u64, raw: &[u8], reason: &str) -> io::Result<()> {
        let delimiter = [self.delimiter];
        let earlier =
            |raw: &[u8]| without(raw, self.delimiter, |n| self.header.get(n).is_some_and(|c| is_of_rejects(c)));
        let out = match &mut self.rejects {
            Some(out) => out,
            None => {
                let out = self.rejects.insert(BufWriter::new(File::create(rejects_path(&self.path))?));
                let header =
                    [REJECTED_COLUMNS[0].as_bytes(), REJECTED_COLUMNS[1].as_bytes(), &earlier(&self.raw_header)];
                out.write_all(&header.join(delimiter.as_slice()))?;
                out.write_all(b"\n")?;
                out
            }
        };
        let (line, raw) = (line.to_string(), earlier(raw));
        // A stray quote must not spoil this file as well.
        let stray = raw.iter().filter(|&&octet| octet == b'"').count() % 2 == 1;
        let raw = if stray { quoted(&raw) } else { raw };
        let row = [line.as_bytes(), &quoted(reason.as_bytes()), &raw];
        out.write_all(&row.join(delimiter.as_slice()))?;
        out.write_all(b"\n")
    }

    /// Writes the rejected rows out: how many there are, and where.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(mut self) -> Result<Rejects> {
        let path = rejects_path(&self.path);
        let Some(mut out) = self.rejects.take() else { return Ok(Rejects::default()) };
        out.flush().map_err(Error::file(&path))?;
        Ok(Rejects { rows: self.rejected, file: Some(path) })
    }
}

/// Rows that were not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects {
    /// How many.
    pub rows: u64,
    /// Where they stand; none when all were taken.
    pub file: Option<PathBuf>,
}

/// `people.csv` → `people.rejected.csv`.
fn rejects_path(path: &Path) -> PathBuf {
    path.with_extension("rejected.csv")
}

/// As a quoted field.
fn quoted(text: &[u8]) -> Vec<u8> {
    let inner = text.split(|&octet| octet == b'"').collect::<Vec<_>>().join(b"\"\"".as_slice());
    [b"\"", inner.as_slice(), b"\""].concat()
}

/// A row without some of its cells, the others as they stand in it, quotes and all.
fn without(raw: &[u8], delimiter: u8, dropped: impl Fn(usize) -> bool) -> Vec<u8> {
    let (mut first, mut opens, mut quoted) = (true, false, false);
    let ends = |octet: &u8| {
        opens = if first { *octet == b'"' } else { opens };
        quoted ^= opens && *octet == b'"';
        first = !quoted && *octet == delimiter;
        first
    };
    let cells = raw.split(ends).enumerate().filter(|(n, _)| !dropped(*n)).map(|(_, cell)| cell);
    cells.collect::<Vec<_>>().join([delimiter].as_slice())
}

/// Opens a file of records.
///
/// # Errors
/// When it cannot be read, or is UTF-16.
pub(super) fn records(path: &Path) -> Result<Records<File>> {
    let records = File::open(path).and_then(Records::new).map_err(Error::file(path))?;
    if is_utf16(records.head()) {
        return Err(Error::Refused {
            file: path.to_owned(),
            line: 1,
            message: "the file is UTF-16".to_owned(),
            hint: "save it as \"CSV UTF-8\"".to_owned(),
        });
    }
    Ok(records)
}

fn is_utf16(head: &[u8]) -> bool {
    let nul = |n: usize| head.get(n) == Some(&0);
    head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") || (nul(0) && nul(2)) || (nul(1) && nul(3))
}

/// What stands most often in the first line, outside quotes.
pub(super) fn delimiter(head: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for &octet in head.iter().skip_while(|octet| b"\r\n".contains(octet)) {
        match octet {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => counts.iter_mut().filter(|c| c.0 == octet).for_each(|c| c.1 += 1),
        }
    }
    // Of equals the last: names have commas in them more often than tabs.
    counts.into_iter().filter(|c| c.1 > 0).max_by_key(|c| c.1).map_or(b',', |c| c.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.csv");
        std::fs::write(&path, content).unwrap();
        (dir, path)
    }

    fn refusal(content: &[u8]) -> String {
        let (_dir, path) = written(content);
        let error = Table::open(&path).err().expect("refused");
        assert!(error.is_refusal());
        error.to_string().split_once("people.csv:").unwrap().1.to_owned()
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_refused_with_its_line() {
        assert!(refusal(b"").starts_with("1: the file is empty"));
        assert!(refusal(b"\xFF\xFEa\0,\0b\0").starts_with("1: the file is UTF-16"));
        assert!(refusal(b"a\0d\0d\0").starts_with("1: the file is UTF-16"));
        assert!(refusal(b"email,gr\xF6\xDFe\n").starts_with("1: the row is not UTF-8"));
        assert!(refusal(b"email,,x\n").starts_with("1: column 2 has no name"));
        assert!(refusal(b"\n\nemail;Name; name\n").starts_with("3: columns 2 and 3 are both named 'name'"));
        assert!(refusal(b"email,\"name\n").starts_with("1: a quote opens"));
    }

    #[test]
    fn the_delimiter_is_the_one_of_the_header_line() {
        for (head, expected) in [
            ("email;name\na,b,c,d", b';'),
            ("email\tname, full", b'\t'),
            ("\"a;b;c;d\",e", b','),
            ("email", b','),
            ("\"a\n;;;;\",b", b','),
        ] {
            assert_eq!(delimiter(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[test]
    fn rejected_rows_are_kept_as_they_were_with_line_and_reason() {
        let (dir, path) = written(b"email;name\na@b.example;\"x\ny\"\nonly\nc;\"d\ne;f\ng;M\xFC\n");
        std::fs::write(dir.path().join("people.rejected.csv"), "of yesterday").unwrap();
        let mut table = Table::open(&path).unwrap();
        let row = table.read().unwrap().unwrap();
        assert_eq!((row.line, row.field(1)), (2, "x\ny"));
        table.reject("not \"mine\"").unwrap();
        assert_eq!(table.read().unwrap().unwrap().field(0), "e");
        assert!(table.read().unwrap().is_none());
        let rejects = table.finish().unwrap();
        assert_eq!(
            (rejects.rows, rejects.file.as_deref()),
            (4, Some(dir.path().join("people.rejected.csv").as_path()))
        );
        let expected: &[u8] = b"rejected_line;rejected_reason;email;name\n\
            2;\"not \"\"mine\"\"\";a@b.example;\"x\ny\"\n\
            4;\"the row has 1 fields, the header has 2\";only\n\
            5;\"a quote opens in this line and is not closed\";\"c;\"\"d\"\n\
            7;\"the row is not UTF-8; save the file as \"\"CSV UTF-8\"\"\";g;M\xFC\n";
        assert_eq!(
            String::from_utf8_lossy(&std::fs::read(rejects.file.unwrap()).unwrap()),
            String::from_utf8_lossy(expected)
        );
    }

    #[test]
    fn what_is_rejected_twice_bears_only_the_later_line_and_reason() {
        let (_dir, path) = written(
            b"rejected_line,email,name,Rejected_Reason\n\
            7,a@b.example,5\" x,\"not \"\"mine\"\", or so\"\n8,\"c,d\",\"e\nf\",of old\n9,\"c,\"\"d\"\n",
        );
        let mut table = Table::open(&path).unwrap();
        while table.read().unwrap().is_some() {
            table.reject("again").unwrap();
        }
        let rejects = table.finish().unwrap();
        let written = std::fs::read_to_string(rejects.file.unwrap()).unwrap();
        let expected = "rejected_line,rejected_reason,email,name\n\
            2,\"again\",\"a@b.example,5\"\" x\"\n3,\"again\",\"c,d\",\"e\nf\"\n\
            5,\"the row has 2 fields, the header has 4\",\"c,\"\"d\"\n";
        assert_eq!(written, expected);
    }

    #[test]
    fn a_file_without_faults_leaves_no_file_of_rejects() {
        let (dir, path) = written(b"email\na@b.example\n");
        let mut table = Table::open(&path).unwrap();
        while table.read().unwrap().is_some() {}
        assert_eq!(table.finish().unwrap(), Rejects::default());
        assert!(!dir.path().join("people.rejected.csv").exists());
    }
}
