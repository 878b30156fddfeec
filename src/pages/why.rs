//! Why somebody left: asked once they have, and never needed.

use std::time::Duration;

use super::form::Form;
use super::html::{Leave, Pick, View, Why};
use super::{Inner, Outcome, Visit};
use crate::domain::wording::Wording;
use crate::store::subscriptions;

/// The field that tells this form from the others.
const FIELD: &str = "tell";
/// Reasons that are offered where the project names none, and what they are called.
const REASONS: [(&str, &str); 3] =
    [("too_many", "why_too_many"), ("not_interesting", "why_not_interesting"), ("never_asked", "why_never_asked")];
/// Most characters of the person's own words.
const MOST_WORDS: usize = 500;
/// How long after leaving one can still say why.
const AFTER: Duration = Duration::from_secs(24 * 3_600);

/// Whether a form is this one.
pub(super) fn is_told(form: &Form) -> bool {
    form.has(FIELD)
}

impl Inner {
    /// The question.
    pub(super) fn why(&self, t: &Wording) -> Why {
        Why { reasons: self.reasons(t), most: MOST_WORDS }
    }

    /// What can be chosen.
    fn reasons(&self, t: &Wording) -> Vec<Pick> {
        match &self.options.choices.reasons {
            Some(own) => own.iter().map(|(name, title)| Pick::new(name, title, false)).collect(),
            None => REASONS.iter().map(|(name, sentence)| Pick::new(name, t.say(sentence), false)).collect(),
        }
    }

    /// Keeps what was told with the leaving that it is about.
    pub(super) async fn explain(&self, visit: &Visit<'_>, form: &Form) -> Outcome {
        let (token, t) = (&visit.token, visit.texts);
        let reasons = self.reasons(t);
        let why = form.all("why").find(|name| reasons.iter().any(|reason| reason.value == *name));
        let words = form.all("words").next().map(bounded).filter(|words| !words.is_empty());
        let mut session = self.store.write().await?;
        if why.is_some() || words.is_some() {
            let since = self.clock.now().minus(AFTER);
            let whose = (token.recipient, token.run);
            subscriptions::explain(&mut session, whose, (why, words.as_deref()), since).await?;
        }
        let left = subscriptions::of(&mut session, token.recipient).await?.iter().any(|s| s.subscribed);
        session.commit().await?;
        let view = View {
            done: true,
            leave: left.then_some(Leave { topic: false }),
            preferences_path: Some(self.preferences_path(token)),
            ..View::notice(t.say("left_title"), t.say("why_thanks"))
        };
        Ok(self.html.answer(t, &view))
    }
}

/// One line of at most so many characters.
fn bounded(words: &str) -> String {
    let line = words.split(char::is_control).flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    line.chars().take(MOST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_bounded_line() {
        assert_eq!(bounded("  too\r\nmany \u{0}\tmails\u{1b}[31m "), "too many mails [31m");
        assert_eq!(bounded(&"ü".repeat(600)).chars().count(), MOST_WORDS);
        assert_eq!(bounded(" \n "), "");
    }
}
