//! What can be wrong with a template: found when it is compiled, or for one recipient.

use std::fmt;

use handlebars::{TemplateError, TemplateErrorReason};

use super::tag::{Kind, scan, unpaired};
use super::traced::{Place, Traced};

/// A fault in a template, found before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateProblem {
    /// Path under the project root. Subjects stand in the campaign's file.
    pub file: String,
    /// From 1. Within the subject for a subject.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// A template that cannot be rendered for one recipient: the message is skipped. It names template,
/// place and variable, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct RenderError {
    /// Path under the project root.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The variable that is missing, if that is the reason.
    pub variable: Option<String>,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// A problem at a place.
pub(super) fn problem(place: &Place, message: String, hint: Option<String>) -> TemplateProblem {
    TemplateProblem { file: place.file.to_string(), line: place.line, column: place.column, message, hint }
}

/// What Handlebars could not read. It looks for the end of a block up to the end of the text: such a block is named here.
pub(super) fn unreadable(source: &Traced, error: &TemplateError) -> TemplateProblem {
    let text = source.text();
    let tags = scan(text).unwrap_or_default();
    let is_syntax = matches!(error.reason(), TemplateErrorReason::InvalidSyntax(_));
    if let Some(tag) = unpaired(text, &tags).filter(|_| is_syntax) {
        let written = &text[tag.range.clone()];
        let (message, hint) = match tag.kind {
            Kind::Close => (format!("{written} closes no block"), None),
            _ => (
                format!("the block {written} is never closed"),
                Some(format!("write {{{{/{}}}}} in the same file, and in the same element", tag.name(text))),
            ),
        };
        return problem(&source.place(tag.range.start), message, hint);
    }
    let (line, column) = error.pos().unwrap_or((1, 1));
    problem(&source.place_of(line, column), error.reason().to_string().replace('\n', " "), None)
}

/// A category that the project does not have.
pub(super) fn unknown_category<'a>(
    place: &Place,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> TemplateProblem {
    let hint = nearest(name, known).map_or_else(
        || "name it under [categories] in config/colloquy.toml".to_owned(),
        |near| format!("did you mean '{near}'?"),
    );
    problem(place, format!("there is no category '{name}'"), Some(hint))
}

/// The known name that someone who typed `name` probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .filter(|(distance, k)| *distance * 3 <= k.chars().count().max(3))
        .min()
        .map(|(_, k)| k)
}
