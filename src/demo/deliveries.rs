//! How the catcher treats what it is given: closed mailboxes refuse for good, careful servers the
//! first time.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::catcher::{Act, Step};
use super::crowd::Mailbox;

/// A script for the catcher.
pub fn script() -> impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static {
    let seen = Mutex::new(HashSet::new());
    move |step, line| {
        let path = (step == Step::Rcpt).then(|| line.split(['<', '>']).nth(1))??;
        let (_, domain) = path.rsplit_once('@')?;
        if domain == Mailbox::Closed.domain() {
            return Some(Act::Say("550 5.1.1 there is no such mailbox".to_owned()));
        }
        let is_new = || seen.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        (domain == Mailbox::Greylisted.domain() && is_new())
            .then(|| Act::Say("451 4.7.1 not seen before, please come again".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_careful_server_defers_once_and_a_closed_mailbox_refuses_always() {
        let script = script();
        let first_digit = |address: &str| match script(Step::Rcpt, &format!("RCPT TO:<{address}> NOTIFY=NEVER")) {
            Some(Act::Say(words)) => words.chars().next(),
            _ => None,
        };
        assert_eq!([0, 1].map(|_| first_digit("a@careful.example")), [Some('4'), None]);
        assert_eq!([0, 1].map(|_| first_digit("a@closed.example")), [Some('5'), Some('5')]);
        assert_eq!(first_digit("a@post.example"), None);
        assert_eq!(script(Step::Mail, "MAIL FROM:<a@closed.example>"), None);
    }
}
