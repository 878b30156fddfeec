//! How the catcher treats what it is given: closed mailboxes refuse for good, careful servers the
//! first time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::catcher::{Act, Step};
use super::crowd::{Crowd, Mailbox};

/// A script for the catcher that knows whose mailbox is how.
pub fn script(crowd: Arc<Crowd>) -> impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static {
    let seen = Mutex::new(HashSet::new());
    move |step, line| {
        let address = (step == Step::Rcpt).then(|| line.split(['<', '>']).nth(1))??;
        let is_new = || seen.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned());
        let words = match crowd.find(address)?.mailbox {
            Mailbox::Closed => "550 5.1.1 there is no such mailbox",
            Mailbox::Greylisted if is_new() => "451 4.7.1 greylisted, please come again",
            _ => return None,
        };
        Some(Act::Say(words.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_careful_server_defers_once_and_a_closed_mailbox_refuses_always() {
        let crowd = Arc::new(Crowd::draw(1_000, 1));
        let script = script(Arc::clone(&crowd));
        let first_digits = |mailbox| {
            let reader = crowd.readers().iter().find(|reader| reader.mailbox == mailbox).unwrap();
            let line = format!("RCPT TO:<{}> NOTIFY=NEVER", reader.address);
            assert_eq!(script(Step::Mail, &line), None);
            [0, 1].map(|_| match script(Step::Rcpt, &line) {
                Some(Act::Say(words)) => words.chars().next(),
                _ => None,
            })
        };
        assert_eq!(first_digits(Mailbox::Greylisted), [Some('4'), None]);
        assert_eq!(first_digits(Mailbox::Closed), [Some('5'), Some('5')]);
        assert_eq!(first_digits(Mailbox::Program), [None, None]);
        assert_eq!(script(Step::Rcpt, "RCPT TO:<nobody@post.example>"), None);
    }
}
