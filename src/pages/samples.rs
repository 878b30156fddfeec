//! One of every page, for trying templates.

use super::html::{Leave, Preferences, Topic, View};

/// Every page in every state that shows something else.
pub(super) fn samples() -> Vec<View> {
    let topic = |name: &str, subscribed| Topic { name: name.to_owned(), title: name.to_owned(), subscribed };
    let topics = || vec![topic("offers", true), topic("news", false)];
    let preferences = |tracking| Preferences { topics: topics(), tracking };
    vec![
        View::notice("notice", "What there is to say."),
        View {
            leave: Some(Leave { topic: true }),
            preferences_path: Some("/p/x".into()),
            ..View::notice("leave", "?")
        },
        View { done: true, leave: Some(Leave { topic: false }), ..View::notice("left", "!") },
        View { preferences: Some(preferences(true)), ..View::notice("preferences", "") },
        View { done: true, preferences: Some(preferences(false)), ..View::notice("preferences", "Saved.") },
    ]
}
