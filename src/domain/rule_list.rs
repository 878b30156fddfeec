//! Lists of patterns that an operator can read: one rule a line, of a class, a name and a regular
//! expression; `#` begins a comment.

use regex::{RegexSet, RegexSetBuilder};

/// Rules in the order of their lines.
#[derive(Debug)]
pub struct RuleList<T> {
    /// The regular expressions; case does not matter.
    pub patterns: RegexSet,
    /// What each line stands for.
    pub classes: Vec<T>,
}

impl<T> RuleList<T> {
    /// Reads a list that is built in. `class` says what a line's class and name stand for; a line that it
    /// does not know is passed over, so that a test must count them.
    #[must_use]
    pub fn read(list: &'static str, class: impl Fn(&'static str, &'static str) -> Option<T>) -> Self {
        let (classes, patterns): (Vec<_>, Vec<_>) = lines(list, class).unzip();
        let patterns = RegexSetBuilder::new(patterns).case_insensitive(true).build().unwrap_or_default();
        Self { patterns, classes }
    }

    /// What the first line that fits stands for.
    #[must_use]
    pub fn first(&self, text: &str) -> Option<&T> {
        self.classes.get(self.patterns.matches(text).iter().next()?)
    }
}

/// The lines of a list: what each stands for, and its pattern.
pub fn lines<T>(
    list: &'static str,
    class: impl Fn(&'static str, &'static str) -> Option<T>,
) -> impl Iterator<Item = (T, &'static str)> {
    list.lines().filter_map(move |line| {
        let (word, rest) = line.split_once(char::is_whitespace)?;
        let (name, pattern) = rest.trim_start().split_once(char::is_whitespace)?;
        Some((class(word, name)?, pattern.trim()))
    })
}
