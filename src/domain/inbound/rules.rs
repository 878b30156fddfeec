//! Lists of rules as in [`crate::domain::rule_list`], for long lists held against long texts.
//!
//! Each rule is an automaton of its own: one of all rules together has so many states that it is built anew again
//! and again, at a twentieth of the speed. Which rules are worth a try, one pass over the text says: it looks for the
//! words without which a rule cannot fit. An automaton is built when its rule is tried for the first time.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use crate::domain::rule_list::lines;

/// Memory for the states of one rule (bytes).
const MOST_STATES: usize = 2 << 20;

/// A rule that needs one of more words is tried always.
const MOST_WORDS: usize = 400;

/// Rules in the order of their lines. Texts and patterns are in small letters.
#[derive(Debug)]
pub(super) struct Rules<T> {
    pub(super) rules: Vec<Rule<T>>,
    /// Words of all rules, and whose they are.
    words: Option<AhoCorasick>,
    owners: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Rule<T> {
    pub(super) class: T,
    pattern: &'static str,
    regex: OnceLock<Option<Regex>>,
    /// Whether it may fit any text.
    is_free: bool,
}

impl<T> Rules<T> {
    /// Reads a list that is built in. A line that `class` does not know is passed over, and a pattern that is wrong
    /// never fits, so that a test must hold an example against each.
    pub(super) fn read(list: &'static str, class: impl Fn(&'static str, &'static str) -> Option<T>) -> Self {
        let (mut rules, mut words, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (class, pattern) in lines(list, class) {
            let needed = needed_words(pattern);
            owners.extend(needed.iter().flatten().map(|_| rules.len()));
            rules.push(Rule { class, pattern, regex: OnceLock::new(), is_free: needed.is_none() });
            words.extend(needed.into_iter().flatten());
        }
        let words = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(words).ok();
        Self { rules, words, owners }
    }

    /// What the first rule that fits stands for.
    pub(super) fn first(&self, text: &str) -> Option<&T> {
        self.first_of(text, |_| true)
    }

    /// What the first rule of some stands for, of those that fit.
    pub(super) fn first_of(&self, text: &str, some: impl Fn(&T) -> bool) -> Option<&T> {
        let mut tried: Vec<bool> = self.rules.iter().map(|rule| rule.is_free).collect();
        for found in self.words.iter().flat_map(|words| words.find_overlapping_iter(text)) {
            tried[self.owners[found.pattern().as_usize()]] = true;
        }
        let worth = self.rules.iter().zip(tried).filter_map(|(rule, tried)| tried.then_some(rule));
        worth.filter(|rule| some(&rule.class)).find(|rule| rule.fits(text)).map(|rule| &rule.class)
    }
}

impl<T> Rule<T> {
    fn fits(&self, text: &str) -> bool {
        let regex = self.regex.get_or_init(|| {
            let mut builder = RegexBuilder::new(self.pattern);
            builder.unicode(false).dfa_size_limit(MOST_STATES).build().ok()
        });
        regex.as_ref().is_some_and(|regex| regex.is_match(text.as_bytes()))
    }
}

/// Words of which a text must hold one for the pattern to fit; `None` where there are none.
fn needed_words(pattern: &str) -> Option<Vec<Vec<u8>>> {
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
    needed(&parsed)
}

fn needed(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]).filter(|words| worth(words) > 1),
        HirKind::Capture(inner) => needed(&inner.sub),
        HirKind::Repetition(repeated) if repeated.min > 0 => needed(&repeated.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(needed).max_by_key(|words| worth(words)),
        HirKind::Alternation(parts) => {
            let words: Vec<Vec<u8>> =
                parts.iter().map(needed).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
            (words.len() <= MOST_WORDS).then_some(words)
        }
        _ => None,
    }
}

/// How well the words tell texts apart: by the shortest. Every account begins by "failed" or "delayed".
fn worth(words: &[Vec<u8>]) -> usize {
    let length = |word: &Vec<u8>| if b"failed -".starts_with(word) || word == b"failed 5." { 0 } else { word.len() };
    words.iter().map(length).min().unwrap_or_default()
}
