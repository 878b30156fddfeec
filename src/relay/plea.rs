//! Whether a temporary refusal asks us to slow down, and whom it means, by its code and the rules in
//! `pleas.txt`.

use std::sync::LazyLock;

use crate::domain::outcome::{Reply, Stage};
use crate::domain::rule_list::RuleList;
use crate::domain::slowing::Scope;

const LIST: &str = include_str!("pleas.txt");

/// The server is about to close the connection (RFC 5321 §3.8).
const CLOSING: u16 = 421;

/// Security or policy (RFC 3463 §3.8).
const POLICY: u16 = 7;

/// Whom a line means, if anybody.
static RULES: LazyLock<RuleList<Option<Scope>>> = LazyLock::new(|| RuleList::read(LIST, scope));

fn scope(word: &str, _: &str) -> Option<Option<Scope>> {
    match word {
        "relay" => Some(Some(Scope::Relay)),
        "domain" => Some(Some(Scope::Domain)),
        "none" => Some(None),
        _ => None,
    }
}

/// Who is to slow down after this answer; `None` when it does not ask for that.
#[must_use]
pub fn plea(stage: Stage, reply: &Reply) -> Option<Scope> {
    if reply.code / 100 != 4 {
        return None;
    }
    // No recipient was named yet.
    let nobody = stage < Stage::Rcpt;
    if let Some(means) = RULES.first(&reply.to_string()) {
        return means.map(|scope| if nobody { Scope::Relay } else { scope });
    }
    let policy = reply.enhanced.is_some_and(|code| code.subject == POLICY);
    // A refused login is no matter of speed.
    let asks = reply.code == CLOSING || policy && !matches!(stage, Stage::Tls | Stage::Auth);
    asks.then_some(if nobody { Scope::Relay } else { Scope::Domain })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stage: Stage, code: u16, words: &str) -> Option<Scope> {
        plea(stage, &Reply::new(code, words))
    }

    #[test]
    fn every_line_of_the_list_is_a_rule() {
        let lines = LIST.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).count();
        let rules = RuleList::read(LIST, scope);
        assert_eq!((rules.patterns.len(), rules.classes.len()), (lines, lines));
    }

    #[test]
    fn the_code_says_it_and_the_stage_says_whom_it_means() {
        for (stage, scope) in [
            (Stage::Greeting, Scope::Relay),
            (Stage::Ehlo, Scope::Relay),
            (Stage::Mail, Scope::Relay),
            (Stage::Rcpt, Scope::Domain),
            (Stage::Data, Scope::Domain),
            (Stage::Dot, Scope::Domain),
        ] {
            assert_eq!(at(stage, 421, "closing"), Some(scope), "{stage}");
            assert_eq!(at(stage, 451, "4.7.1 policy"), Some(scope), "{stage}");
            assert_eq!(at(stage, 450, "4.3.2 come back later"), None, "{stage}");
            assert_eq!(at(stage, 550, "5.7.1 policy"), None, "{stage}");
        }
        assert_eq!(at(Stage::Auth, 454, "4.7.0 no directory"), None);
    }

    #[test]
    fn the_words_of_large_receivers_are_known() {
        for (code, words) in [
            (421, "4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address"),
            (451, "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation"),
            (421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume"),
            (451, "[TSS04] Messages temporarily deferred"),
            (421, "RP-001 (COL) the mail server IP exceeded the rate limit allowed"),
            (450, "Too many connections, slow down. OFR004_104"),
            (452, "Too many recipients received this hour"),
            (421, "4.1.0 192.0.2.1 Throttled - RL000001"),
        ] {
            assert_eq!(at(Stage::Rcpt, code, words), Some(Scope::Domain), "{words}");
        }
        assert_eq!(
            at(Stage::Rcpt, 454, "Throttling failure: Maximum sending rate exceeded for account"),
            Some(Scope::Relay)
        );
        assert_eq!(at(Stage::Rcpt, 451, "4.7.1 daily sending quota exceeded"), Some(Scope::Relay));
        assert_eq!(at(Stage::Mail, 450, "4.5.0 slow down"), Some(Scope::Relay), "nobody was named yet");
    }

    #[test]
    fn what_is_not_about_our_speed_slows_nothing() {
        for (code, words) in [
            (451, "4.7.1 Greylisting in action, please come back later"),
            (450, "4.7.1 <x@example.org>: Recipient address rejected: Greylisted, see postgrey help"),
            (450, "4.2.1 The user you are trying to contact is receiving mail too quickly."),
            (452, "4.2.2 The recipient's inbox is out of storage space"),
            (451, "4.3.0 queue file write error"),
        ] {
            assert_eq!(at(Stage::Rcpt, code, words), None, "{words}");
        }
    }
}
