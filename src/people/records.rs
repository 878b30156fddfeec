//! Records of a delimited file (RFC 4180, with any ASCII delimiter), read in constant memory.
//!
//! A quote that never closes would swallow the rest of a file. Here it costs its own line: a record
//! has a largest size, and reading goes on with the line after the one in which it began. A line ends with
//! a line feed, a carriage return, or both.

use std::io::{self, Read};
use std::ops::Range;

/// Largest record, in octets.
const LIMIT: usize = 64 * 1_024;
const BLOCK: usize = 256 * 1_024;

/// What is wrong with a record. Its text is what a person reads beside the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A field's opening quote has no partner.
    #[error("a quote opens in this line and is not closed")]
    Unclosed,
    /// A quoted field goes on after its closing quote.
    #[error("text follows a closing quote; quotes inside a quoted field are doubled (\"\")")]
    AfterQuote,
    /// Other text than UTF-8.
    #[error("the row is not UTF-8; save the file as \"CSV UTF-8\"")]
    Encoding,
    /// No text at all.
    #[error("the row has a NUL character")]
    Nul,
    /// More than a record may have.
    #[error("the row is longer than 64 KiB")]
    TooLong,
}

/// Reads records one by one.
pub struct Records<R> {
    source: R,
    delimiter: u8,
    window: Vec<u8>,
    /// Where the next record starts in the window.
    next: usize,
    /// Where the last record started; it stays in the window until the next is read.
    last: usize,
    ended: bool,
    /// Line of the next record, from 1.
    line: u64,
    /// Octets before the window.
    before: u64,
}

/// One record.
#[derive(Debug, Default)]
pub struct Record {
    /// Where it starts, from 1.
    pub line: u64,
    /// How many lines it takes.
    pub lines: u64,
    /// As it stands in the file, without its line end.
    pub raw: Vec<u8>,
    text: String,
    fields: Vec<Range<usize>>,
}

impl Record {
    /// How many fields it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether it has no field, as with a fault.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// A field without its quotes; empty when there are fewer.
    #[must_use]
    pub fn field(&self, n: usize) -> &str {
        self.fields.get(n).map_or("", |range| &self.text[range.clone()])
    }

    /// Checks the text and takes quotes away.
    fn unquote(&mut self) -> Result<(), Fault> {
        let raw = std::str::from_utf8(&self.raw).map_err(|_| Fault::Encoding)?;
        if self.raw.contains(&0) {
            return Err(Fault::Nul);
        }
        self.text.clear();
        for field in &mut self.fields {
            let start = self.text.len();
            match raw[field.clone()].strip_prefix('"') {
                Some(quoted) => {
                    let mut parts = quoted[..quoted.len() - 1].split("\"\"");
                    self.text.push_str(parts.next().unwrap_or_default());
                    for part in parts {
                        self.text.push('"');
                        self.text.push_str(part);
                    }
                }
                None => self.text.push_str(&raw[field.clone()]),
            }
            *field = start..self.text.len();
        }
        Ok(())
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|range| &self.text[range.clone()])
    }
}

/// Where a record ends.
enum End {
    /// The window must grow first.
    More,
    /// So must it, and a quote is open.
    Quoted,
    /// The octets of the record, and those with its line end.
    At(usize, usize),
    Fault(Fault),
}

impl<R: Read> Records<R> {
    /// Reads from `source`, which stands at its start; a UTF-8 byte order mark is passed over.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(source: R) -> io::Result<Self> {
        let window = Vec::with_capacity(2 * BLOCK);
        let mut records = Self { source, delimiter: b',', window, next: 0, last: 0, ended: false, line: 1, before: 0 };
        records.grow()?;
        if records.window.starts_with(b"\xEF\xBB\xBF") {
            records.next = 3;
        }
        Ok(records)
    }

    /// The file's beginning, up to a quarter of a MiB, without the byte order mark.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.window[self.next..]
    }

    /// Sets what stands between fields; before it is a comma.
    pub fn delimit(&mut self, delimiter: u8) {
        self.delimiter = delimiter;
    }

    /// Octets passed so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.before + self.next as u64
    }

    /// Reads the next record; blank lines are passed over. `None` at the end. With a fault, `record`
    /// holds place and raw text.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn read(&mut self, record: &mut Record) -> io::Result<Option<Result<(), Fault>>> {
        if !self.skip_blank_lines()? {
            return Ok(None);
        }
        loop {
            match self.end(record) {
                End::More | End::Quoted if self.window.len() - self.next <= LIMIT => self.grow()?,
                End::Quoted if self.window[self.next..][..LIMIT].iter().any(ends_line) => {
                    return self.fault(record, Fault::Unclosed).map(|f| Some(Err(f)));
                }
                End::More | End::Quoted => return self.fault(record, Fault::TooLong).map(|f| Some(Err(f))),
                End::Fault(fault) => return self.fault(record, fault).map(|f| Some(Err(f))),
                End::At(octets, _) if octets > LIMIT => {
                    return self.fault(record, Fault::TooLong).map(|f| Some(Err(f)));
                }
                End::At(octets, with_line_end) => {
                    self.take(record, octets, with_line_end);
                    let checked = record.unquote();
                    if checked.is_err() {
                        record.fields.clear();
                    }
                    return Ok(Some(checked));
                }
            }
        }
    }

    /// Gives a record of several lines back, keeps its first line in `record`, and goes on after it:
    /// for a record that turned out not to be one, as after a stray quote.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn keep_first_line(&mut self, record: &mut Record) -> io::Result<()> {
        self.next = self.last;
        self.line = record.line;
        self.first_line(record)
    }

    fn fault(&mut self, record: &mut Record, fault: Fault) -> io::Result<Fault> {
        record.line = self.line;
        self.first_line(record)?;
        Ok(fault)
    }

    /// Takes what is left of the line as raw text.
    fn first_line(&mut self, record: &mut Record) -> io::Result<()> {
        record.raw.clear();
        record.fields.clear();
        record.lines = 1;
        loop {
            let rest = &self.window[self.next..];
            let end = rest.iter().position(ends_line);
            let line = &rest[..end.unwrap_or(rest.len())];
            // A line of many MiB keeps only its beginning.
            let kept = &line[..line.len().min(LIMIT - record.raw.len().min(LIMIT))];
            record.raw.extend_from_slice(kept);
            self.next += line.len();
            if end.is_some() || self.ended {
                break;
            }
            self.grow()?;
        }
        if self.window.get(self.next) == Some(&b'\r') {
            if self.next + 1 == self.window.len() && !self.ended {
                self.grow()?;
            }
            self.next += 1;
        }
        if self.window.get(self.next) == Some(&b'\n') {
            self.next += 1;
        }
        self.line += 1;
        Ok(())
    }

    fn skip_blank_lines(&mut self) -> io::Result<bool> {
        loop {
            match self.window.get(self.next) {
                Some(b'\n') => self.line += 1,
                Some(b'\r') => match self.window.get(self.next + 1) {
                    Some(b'\n') => {}
                    None if !self.ended => {
                        self.grow()?;
                        continue;
                    }
                    _ => self.line += 1,
                },
                Some(_) => return Ok(true),
                None if self.ended => return Ok(false),
                None => {
                    self.grow()?;
                    continue;
                }
            }
            self.next += 1;
        }
    }

    /// Finds the end of the record that starts at `next`, and its fields' places in the raw text.
    fn end(&self, record: &mut Record) -> End {
        let bytes = &self.window[self.next..];
        record.fields.clear();
        let mut at = 0;
        loop {
            let start = at;
            if bytes.get(at) == Some(&b'"') {
                at += 1;
                loop {
                    match bytes[at..].iter().position(|&b| b == b'"') {
                        Some(quote) if bytes.get(at + quote + 1) == Some(&b'"') => at += quote + 2,
                        Some(quote) if at + quote + 1 == bytes.len() && !self.ended => return End::More,
                        Some(quote) => break at += quote + 1,
                        None if self.ended => return End::Fault(Fault::Unclosed),
                        None => return End::Quoted,
                    }
                }
                record.fields.push(start..at);
                at += bytes[at..].iter().take_while(|&&b| b == b' ' && b != self.delimiter).count();
                if bytes.get(at).is_some_and(|b| *b != self.delimiter && !ends_line(b)) {
                    return End::Fault(Fault::AfterQuote);
                }
            } else {
                let stop = |b: &u8| *b == self.delimiter || ends_line(b);
                at = bytes[at..].iter().position(stop).map_or(bytes.len(), |n| at + n);
                record.fields.push(start..at);
            }
            match bytes.get(at) {
                Some(&b) if b == self.delimiter => at += 1,
                Some(b'\n') => return End::At(at, at + 1),
                Some(_) => match bytes.get(at + 1) {
                    Some(b'\n') => return End::At(at, at + 2),
                    None if !self.ended => return End::More,
                    // A lone carriage return ends a line as well, as old spreadsheets write it.
                    _ => return End::At(at, at + 1),
                },
                None if self.ended => return End::At(at, at),
                None => return End::More,
            }
        }
    }

    fn take(&mut self, record: &mut Record, octets: usize, with_line_end: usize) {
        let bytes = &self.window[self.next..self.next + with_line_end];
        record.raw.clear();
        record.raw.extend_from_slice(&bytes[..octets]);
        record.line = self.line;
        record.lines = 1 + line_ends(&bytes[..octets]);
        self.line += record.lines;
        self.last = self.next;
        self.next += with_line_end;
    }

    /// Reads another block behind what is not used yet.
    fn grow(&mut self) -> io::Result<()> {
        self.window.drain(..self.next);
        self.before += self.next as u64;
        self.next = 0;
        let read = self.source.by_ref().take(BLOCK as u64).read_to_end(&mut self.window)?;
        self.ended = read < BLOCK;
        Ok(())
    }
}

fn ends_line(octet: &u8) -> bool {
    matches!(octet, b'\n' | b'\r')
}

/// How many line ends there are; a carriage return and its line feed are one.
fn line_ends(octets: &[u8]) -> u64 {
    let ends = |at: usize| octets[at] == b'\n' || (octets[at] == b'\r' && octets.get(at + 1) != Some(&b'\n'));
    (0..octets.len()).filter(|&at| ends(at)).count() as u64
}

#[cfg(test)]
mod tests;
