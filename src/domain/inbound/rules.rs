//! Lists of rules as in [`crate::domain::rule_list`], for long lists held against long texts.
//!
//! Each rule is an automaton of its own: one of all rules together has so many states that it is built anew again
//! and again, at a twentieth of the speed. Letters beyond ASCII are matched as they are written.

use regex::bytes::{Regex, RegexBuilder};

use crate::domain::rule_list::lines;

/// Memory for the states of one rule (bytes).
const MOST_STATES: usize = 512 << 10;

/// Rules in the order of their lines.
#[derive(Debug)]
pub(super) struct Rules<T> {
    pub(super) rules: Vec<(T, Regex)>,
}

impl<T> Rules<T> {
    /// Reads a list that is built in. A line that `class` does not know, or whose pattern is wrong, is passed over,
    /// so that a test must count them.
    pub(super) fn read(list: &'static str, class: impl Fn(&'static str, &'static str) -> Option<T>) -> Self {
        let compile = |(class, pattern): (T, &str)| {
            let mut builder = RegexBuilder::new(pattern);
            builder.unicode(false).case_insensitive(true).dfa_size_limit(MOST_STATES);
            builder.build().ok().map(|regex| (class, regex))
        };
        Self { rules: lines(list, class).filter_map(compile).collect() }
    }

    /// What the first rule that fits stands for.
    pub(super) fn first(&self, text: &str) -> Option<&T> {
        self.first_of(text, |_| true)
    }

    /// What the first rule of some stands for, of those that fit.
    pub(super) fn first_of(&self, text: &str, some: impl Fn(&T) -> bool) -> Option<&T> {
        let fits = |(class, regex): &&(T, Regex)| some(class) && regex.is_match(text.as_bytes());
        self.rules.iter().find(fits).map(|(class, _)| class)
    }
}
