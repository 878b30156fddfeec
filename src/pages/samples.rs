//! One of every page, for trying templates.

use super::html::{Field, JoinForm, Leave, Pick, Preferences, Topic, View, Why, Words};

/// Every page in every state that shows something else.
pub(super) fn samples() -> Vec<View> {
    let topic = |name: &str, subscribed| Topic { name: name.to_owned(), title: name.to_owned(), subscribed };
    let topics = || vec![topic("offers", true), topic("news", false)];
    let picks = || vec![Pick::new("one", "One", true), Pick::new("other", "Other", false)];
    let preferences = |tracking| {
        let paces = if tracking { picks() } else { Vec::new() };
        Preferences { topics: topics(), subscribed: tracking, paces, tracking }
    };
    let words = |text: &str| Words { lang: "en".into(), text: text.into() };
    let field = || Field { name: "city".into(), label: "City".into(), value: String::new(), autocomplete: "off" };
    let join = |topics, work| JoinForm {
        address: String::new(),
        wrong: work,
        topics,
        fields: vec![field()],
        wording: words("Yes."),
        tracking: Some(words("Yes, too.")),
        ticked: work,
        stamp: "x".into(),
        work: work.then_some(17),
    };
    vec![
        View { join: Some(join(topics(), true)), done: true, ..View::notice("join", "Once more.") },
        View { join: Some(join(Vec::new(), false)), ..View::notice("join", "") },
        View { confirm: true, ..View::notice("confirm", "?") },
        View::notice("notice", "What there is to say."),
        View { keep: true, preferences_path: Some("/p/x".into()), ..View::notice("keep", "?") },
        View {
            leave: Some(Leave { topic: true }),
            preferences_path: Some("/p/x".into()),
            ..View::notice("leave", "?")
        },
        View {
            done: true,
            leave: Some(Leave { topic: false }),
            why: Some(Why { reasons: picks(), most: 9 }),
            ..View::notice("left", "!")
        },
        View { preferences: Some(preferences(true)), ..View::notice("preferences", "") },
        View { done: true, preferences: Some(preferences(false)), ..View::notice("preferences", "Saved.") },
    ]
}
