//! From what a report says about one recipient to the reason and its consequence, by the rules in
//! `reasons.txt`.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::rules::Rules;
use super::{Consequence, EnhancedStatus, Judgement, Reason};

const LIST: &str = include_str!("reasons.txt");

/// Longer words are cut: what decides comes early.
const MOST_WORDS: usize = 2_000;

static RULES: LazyLock<Rules<(Reason, &'static str)>> = LazyLock::new(|| Rules::read(LIST, rule));

/// Words by which nobody is dead, whatever else is said.
static DOUBTS: LazyLock<Rules<&'static str>> =
    LazyLock::new(|| Rules::read(LIST, |word, name| (word == "doubt").then_some(name)));

fn rule(word: &'static str, name: &'static str) -> Option<(Reason, &'static str)> {
    Some((Reason::parse(word)?, name))
}

/// At which step of the dialogue a server refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// The report does not say.
    #[default]
    Unsaid,
    /// Greeting, HELO, STARTTLS, AUTH.
    Connect,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA and what follows.
    Data,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unsaid => "-",
            Self::Connect => "connect",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
        }
    }
}

/// What a report says about one recipient.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Whether the reporting server still tries.
    pub delayed: bool,
    /// The enhanced status.
    pub status: Option<EnhancedStatus>,
    /// The reply code of SMTP.
    pub reply: Option<u16>,
    /// Where in the dialogue.
    pub stage: Stage,
    /// The server's words.
    pub words: String,
}

impl Account {
    /// The line that rules are held against: `delayed` or `failed`, status, reply code, stage, and the words,
    /// with `-` for what is not said.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = String::with_capacity(self.words.len().min(MOST_WORDS) + 32);
        line.push_str(if self.delayed { "delayed " } else { "failed " });
        match self.status {
            Some(status) => _ = write!(line, "{status} "),
            None => line.push_str("- "),
        }
        match self.reply {
            Some(reply) => _ = write!(line, "{reply} "),
            None => line.push_str("- "),
        }
        line.push_str(self.stage.as_str());
        line.push_str(" |");
        for word in self.words.split_ascii_whitespace() {
            if line.len() > MOST_WORDS {
                break;
            }
            line.push(' ');
            // An address may be made of any words, and decides nothing.
            match word.contains('@') {
                true => line.push('@'),
                false => line.push_str(word),
            }
        }
        line
    }

    /// Whether the failure may pass: status or reply code says so.
    fn is_temporary(&self) -> bool {
        self.status.is_some_and(|status| status.class == 4) || self.reply.is_some_and(|reply| reply / 100 == 4)
    }

    /// Whether nothing says so but a status without a subject, which reporters put where they know none.
    fn is_vaguely_temporary(&self) -> bool {
        self.reply.is_none() && self.status.is_some_and(EnhancedStatus::is_vague)
    }
}

/// The first rule that fits decides on the reason; the reason and whether the failure may pass, on the rest. Where
/// a doubt fits, no rule decides by which the failure would stay.
#[must_use]
pub fn judge(account: &Account) -> Judgement {
    let (reason, rule) = decide(&account.line().to_ascii_lowercase());
    let passing = account.delayed || account.is_temporary();
    let consequence = match reason.consequence() {
        Consequence::Dead | Consequence::None if passing => Consequence::Retry,
        consequence => consequence,
    };
    let hard = reason.is_hard() && !account.delayed && (!passing || account.is_vaguely_temporary());
    Judgement { reason, hard, consequence, rule }
}

/// What a link says is about the server's pages.
fn without_links(line: &str) -> String {
    line.split(' ').filter(|word| !word.contains("://")).collect::<Vec<_>>().join(" ")
}

fn decide(line: &str) -> (Reason, &'static str) {
    let first = RULES.first(line).copied().unwrap_or((Reason::Unknown, "no-rule"));
    if !first.0.is_hard() || DOUBTS.first(&without_links(line)).is_none() {
        return first;
    }
    RULES.first_of(line, |(reason, _)| !reason.is_hard()).copied().unwrap_or((Reason::Unconfirmed, first.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each rule with the example in the line below it.
    fn examples() -> Vec<(&'static str, Option<&'static str>)> {
        let mut rules = Vec::new();
        for line in LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("= ") {
                Some(example) => rules.last_mut().map(|rule: &mut (_, Option<_>)| rule.1 = Some(example)).unwrap(),
                None => rules.push((line, None)),
            }
        }
        rules
    }

    #[test]
    fn every_rule_has_an_example_that_it_decides() {
        let rules = examples();
        assert_eq!(RULES.rules.len() + DOUBTS.rules.len(), rules.len(), "every line is a rule");
        let decided = |example: &str| decide(&example.to_ascii_lowercase()).1;
        let mut wrong = Vec::new();
        for (rule, example) in rules {
            let name = rule.split_whitespace().nth(1).unwrap();
            let example = example.unwrap_or_else(|| panic!("{name} has no example"));
            let by = match rule.starts_with("doubt ") {
                true => DOUBTS.first(&example.to_ascii_lowercase()).copied().unwrap_or("no doubt"),
                false => decided(example),
            };
            if by != name {
                wrong.push(format!("the example of {name} is decided by {by}"));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = RULES.rules.iter().map(|rule| &rule.class.1).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
