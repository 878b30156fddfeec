//! What is wrong with a file, and how it is shown: place, source line, underline, hint.

use std::fmt;
use std::ops::Range;

/// What to say about a value, before it is known where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong, without a final stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Complaint {
    /// A complaint without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<String> for Complaint {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for Complaint {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken.
    Warning,
}

/// A complaint and the place that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file's path under the project's root.
    pub file: String,
    /// Where in the file; none when it is about the file as a whole, or about something missing from it.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The whole line; empty when the file holds secrets.
    pub text: String,
    /// How many characters of the line it is about, at least one.
    pub width: usize,
}

impl Place {
    /// The place of a byte range of a text. A range over several lines ends with the first.
    #[must_use]
    pub fn of(text: &str, range: &Range<usize>) -> Self {
        let start = text.floor_char_boundary(range.start);
        let end = text.ceil_char_boundary(range.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line_end = line_start + text[line_start..line_end].trim_end_matches('\r').len();
        let marked = &text[start.min(line_end)..end.clamp(start.min(line_end), line_end)];
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].replace(|c: char| c.is_control() && c != '\t', "\u{fffd}"),
            width: marked.chars().count().max(1),
        }
    }
}

impl Problem {
    /// An error about a file as a whole.
    #[must_use]
    pub fn about_file(file: &str, complaint: impl Into<Complaint>) -> Self {
        let Complaint { message, hint } = complaint.into();
        Self { severity: Severity::Error, file: file.into(), place: None, message, hint }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{label}: {}", self.message)?;
        let Some(Place { line, column, text, width }) = &self.place else {
            write!(f, "  --> {}", self.file)?;
            return self.hint.iter().try_for_each(|hint| write!(f, "\n  = help: {hint}"));
        };
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        write!(f, "{gutter}--> {}:{line}:{column}", self.file)?;
        if !text.is_empty() {
            // Tabs are kept, so that the underline stands below its text at any tab width.
            let lead: String = text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let carets = "^".repeat(*width);
            write!(f, "\n{gutter} |\n{number} | {text}\n{gutter} | {lead}{carets}")?;
        }
        self.hint.iter().try_for_each(|hint| write!(f, "\n{gutter} = help: {hint}"))
    }
}

/// Everything that is wrong with a project, file by file in the order of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if n == 0 { "" } else { "\n\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The candidate that was most likely meant: spelled alike but for case, dashes and a few letters.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let name = plain(name);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint for a name that is not among the known ones.
#[must_use]
pub fn name_hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(near) = nearest(name, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let known: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    (!known.is_empty()).then(|| format!("known: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_with_its_line_underlined() {
        let text = "[limits]\n\tcap = \"ünf\" # x\n";
        let start = text.find("\"ü").unwrap();
        let problem = Problem {
            severity: Severity::Error,
            file: "config/colloquy.toml".into(),
            place: Some(Place::of(text, &(start..start + "\"ünf\"".len()))),
            message: "no cap".into(),
            hint: Some("write 2 per 7d".into()),
        };
        assert_eq!(
            problem.to_string(),
            "error: no cap\n --> config/colloquy.toml:2:8\n  |\n2 | \tcap = \"ünf\" # x\n  | \t      ^^^^^\n  = help: write 2 per 7d"
        );
    }

    #[test]
    fn a_range_is_cut_to_its_first_line_and_never_panics() {
        let place = Place::of("a = '''x\r\ny'''\r\n", &(4..14));
        assert_eq!((place.line, place.column, place.text.as_str(), place.width), (1, 5, "a = '''x", 4));
        assert_eq!(Place::of("", &(7..9)), Place { line: 1, column: 1, text: String::new(), width: 1 });
        assert_eq!(Place::of("é", &(1..2)).column, 1);
        assert_eq!(Place::of("a\r\n", &(2..3)).width, 1);
    }

    #[test]
    fn only_a_likely_name_is_proposed() {
        let known = ["frequency_cap", "pause_at_rejections"];
        assert_eq!(nearest("frequencycap", known), Some("frequency_cap"));
        assert_eq!(nearest("Frequency-Cup", known), Some("frequency_cap"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(name_hint("colour", known).unwrap(), "known: `frequency_cap`, `pause_at_rejections`");
    }
}
