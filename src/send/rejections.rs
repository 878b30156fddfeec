//! What most of a run's rejections have in common, in words without addresses.

use std::collections::BTreeMap;

use crate::domain::outcome::EnhancedCode;
use crate::store::runs::Rejected;

/// The most frequent answer and the most frequent domain, as the end of a sentence.
pub fn most_frequent(rejected: &[Rejected]) -> String {
    let all = rejected.len();
    let most = |words: Vec<String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
        counts.into_iter().max_by_key(|(_, count)| *count)
    };
    let answer = most(rejected.iter().map(answer).collect());
    let domain = most(rejected.iter().map(|message| message.domain.clone()).collect());
    let Some(((answer, answers), (domain, domains))) = answer.zip(domain) else { return String::new() };
    format!(": most often {answer} ({answers} of {all}), most at {domain} ({domains} of {all})")
}

/// The code, the enhanced code and the stage: the words may hold an address.
fn answer(message: &Rejected) -> String {
    let Some(code) = message.code else { return "no answer".to_owned() };
    let (stage, words) = message.words.split_once(": ").unwrap_or(("", &message.words));
    let enhanced = u16::try_from(code).ok().and_then(|code| EnhancedCode::parse(code, words));
    let enhanced = enhanced.map(|enhanced| format!(" {enhanced}")).unwrap_or_default();
    let at = if stage.is_empty() { String::new() } else { format!(" at {stage}") };
    format!("{code}{enhanced}{at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_answer_and_domain_are_named_and_no_address() {
        let rejected = |code, words: &str, domain: &str| Rejected { code, words: words.into(), domain: domain.into() };
        let all = [
            rejected(Some(550), "rcpt: 5.1.1 <a@a.example> unknown", "a.example"),
            rejected(Some(550), "rcpt: 5.1.1 <b@a.example> unknown", "a.example"),
            rejected(Some(554), "dot: 5.7.1 spam", "b.example"),
            rejected(None, "", "a.example"),
        ];
        let words = ": most often 550 5.1.1 at rcpt (2 of 4), most at a.example (3 of 4)";
        assert_eq!((most_frequent(&all).as_str(), most_frequent(&[])), (words, String::new()));
    }
}
