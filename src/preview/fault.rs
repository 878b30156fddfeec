//! What is wrong, with its place, as the page shows it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::Problem;
use crate::config::problem::{Place, Severity};
use crate::render::{Lint, RenderError, TemplateProblem};

/// A complaint. Lines and columns count from 1; 0 where there is none.
#[derive(Debug, Default, Serialize)]
pub(super) struct Fault {
    /// Whether there can be no mail because of it.
    pub error: bool,
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// The line in the file.
    pub text: String,
    /// Characters of the line that it is about.
    pub width: usize,
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    /// An error without a place.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { error: true, message: message.into(), hint: Some(hint.into()), ..Self::default() }
    }

    /// A place in a template, whose line is looked up.
    fn at(files: &BTreeMap<String, String>, file: &str, line: usize, column: usize) -> Self {
        let text = files.get(file).and_then(|text| text.lines().nth(line.saturating_sub(1))).unwrap_or_default();
        Self { error: true, file: file.into(), line, column, text: text.into(), width: 1, ..Self::default() }
    }

    /// What a template is refused for.
    pub fn template(problem: TemplateProblem, files: &BTreeMap<String, String>) -> Self {
        let TemplateProblem { file, line, column, message, hint } = problem;
        Self { message, hint, ..Self::at(files, &file, line, column) }
    }

    /// Why this recipient gets no message.
    pub fn render(error: RenderError, files: &BTreeMap<String, String>) -> Self {
        let RenderError { file, line, column, message, .. } = error;
        let hint = "this recipient would get no message; others may get theirs";
        Self { message, hint: Some(hint.into()), ..Self::at(files, &file, line, column) }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let Problem { severity, file, place, message, hint } = problem;
        let error = severity == Severity::Error;
        let Some(Place { line, column, text, width }) = place else {
            return Self { error, file, message, hint, ..Self::default() };
        };
        Self { error, file, line, column, text, width, message, hint }
    }
}

impl From<&Lint> for Fault {
    fn from(lint: &Lint) -> Self {
        Self { error: false, ..Self::new(lint.to_string(), lint.hint()) }
    }
}
