//! Statement texts: fixed ones, and the few pieces that are put together.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A statement's text. What is put together at run time holds placeholders, never data.
#[derive(Clone, Debug)]
pub struct Sql(pub(super) Cow<'static, str>);

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// Placeholders `$first, $first+1, …` for a list of `len` values, and how many there are: the next
/// power of two, so that few different texts arise. Fill the rest with the last value again.
#[must_use]
pub fn list(first: usize, len: usize) -> (String, usize) {
    let padded = len.next_power_of_two();
    let mut text = String::with_capacity(padded * 6);
    for n in first..first + padded {
        let _ = write!(text, "{}${n}", if n == first { "" } else { ", " });
    }
    (text, padded)
}

/// `rows` parenthesised rows of `columns` placeholders each, from `$first` on.
#[must_use]
pub fn values(first: usize, rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let _ = write!(text, "{}${}", if column == 0 { "" } else { ", " }, first + row * columns + column);
        }
        text.push(')');
    }
    text
}
