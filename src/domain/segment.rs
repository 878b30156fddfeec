//! The condition language of segments and audiences.
//!
//! A text becomes a checked tree here; `store` turns the tree into SQL. The grammar stands in
//! `docs/segments.md`.

mod call;
mod catalog;
mod expr;
mod lexer;
mod parser;
mod print;
#[cfg(test)]
mod tests;
mod value;

use std::ops::Range;

pub use catalog::Catalog;
pub use expr::{ActionTest, AttributeTest, Expr, Measure, Op, Period, Received, Subscribed, Test};

use lexer::Token;

/// Longest text of a condition, in octets.
pub const MAX_TEXT: usize = 16 * 1024;
/// Deepest nesting of `not` and parentheses.
pub const MAX_DEPTH: usize = 64;
/// Most tests and connectives in a condition, those of the segments that it names included.
pub const MAX_TERMS: usize = 300;
/// Most values in all lists of a condition, those of the segments that it names included.
pub const MAX_VALUES: usize = 4_000;

/// A checked condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As written.
    pub text: String,
    /// What it says, with the segments that it names in place.
    pub expr: Expr,
}

/// A fault in a condition's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SegmentError {
    /// The octets of the text that are at fault; empty at the text's end.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl SegmentError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

type Result<T> = std::result::Result<T, SegmentError>;

impl Condition {
    /// Reads a condition and checks every name in it.
    ///
    /// # Errors
    /// The first fault, with its place in the text.
    pub fn parse(text: &str, catalog: &Catalog) -> Result<Self> {
        let expr = parser::parse(text, catalog)?;
        let (terms, values) = expr.size();
        if terms > MAX_TERMS || values > MAX_VALUES {
            let message = format!("the condition has {terms} tests and {values} listed values");
            return Err(SegmentError::new(0..text.len(), message).hint(format!(
                "at most {MAX_TERMS} tests and {MAX_VALUES} listed values, those of named segments included"
            )));
        }
        Ok(Self { text: text.to_owned(), expr })
    }
}

/// The names in `segment("…")` and where they stand, so that segments can be read in the order in
/// which they need each other. A text that cannot be read has none; [`Condition::parse`] tells why.
#[must_use]
pub fn references(text: &str) -> Vec<(String, Range<usize>)> {
    let lexemes = lexer::lex(text).unwrap_or_default();
    lexemes
        .windows(3)
        .filter_map(|w| match (&w[0].token, &w[1].token, &w[2].token) {
            (Token::Word(word), Token::Mark("("), Token::Text(name)) if word == "segment" => {
                Some((name.clone(), w[2].span.clone()))
            }
            _ => None,
        })
        .collect()
}
