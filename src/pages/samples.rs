//! One of every page, for trying templates.

use super::html::{Field, Fresh, JoinForm, Leave, OwnData, OwnField, Pick, Preferences, Step, Topic, View, Why, Words};

/// Every page in every state that shows something else.
pub(super) fn samples() -> Vec<View> {
    let topic = |name: &str, subscribed| Topic { name: name.to_owned(), title: name.to_owned(), subscribed };
    let topics = || vec![topic("offers", true), topic("news", false)];
    let picks = || vec![Pick::new("one", "One", true), Pick::new("other", "Other", false)];
    let preferences = |tracking| {
        let paces = if tracking { picks() } else { Vec::new() };
        Preferences { topics: topics(), subscribed: tracking, paces, tracking, mark: "p1".into() }
    };
    let words = |text: &str| Words { lang: "en".into(), text: text.into() };
    let field = || Field { name: "city".into(), label: "City".into(), value: String::new(), autocomplete: "off" };
    let join = |topics: Vec<Topic>, work| JoinForm {
        address: String::new(),
        wrong: work,
        only: topics.is_empty().then(|| "News".into()),
        topics,
        fields: vec![field()],
        wording: words("Yes."),
        tracking: Some(words("Yes, too.")),
        ticked: work,
        stamp: "j1".into(),
        work: work.then_some(17),
    };
    vec![
        View { join: Some(join(topics(), true)), done: true, ..View::notice("join", "Once more.") },
        View { join: Some(join(Vec::new(), false)), ..View::notice("join", "") },
        View { confirm: true, ..View::notice("confirm", "?") },
        View::notice("notice", "What there is to say."),
        View { keep: Some("k1".into()), preferences_path: Some("/p/x".into()), ..View::notice("keep", "?") },
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
        View { own: Some(own(picks())), own_path: Some("/d/x".into()), ..View::notice("own", "!") },
        View { step: Some(Step::new("do", "x", "Yes")), ..View::notice("step", "?") },
        View {
            fresh: Some(Fresh { hint: "?".into(), button: "!".into() }),
            preferences: Some(preferences(true)),
            ..View::notice("preferences", "")
        },
        View { done: true, preferences: Some(preferences(false)), ..View::notice("preferences", "Saved.") },
    ]
}

fn own(languages: Vec<Pick>) -> OwnData {
    let field = |id: &str, (is_bool, is_date, is_number), fault: Option<&str>| OwnField {
        id: id.to_owned(),
        name: format!("attribute.{id}"),
        label: id.to_owned(),
        value: "1".to_owned(),
        ticked: is_bool,
        is_bool,
        is_date,
        is_number,
        fault: fault.map(str::to_owned),
        most: 9,
    };
    let fields = vec![
        field("text", (false, false, false), Some("too long")),
        field("number", (false, false, true), None),
        field("day", (false, true, false), None),
        field("box", (true, false, false), None),
    ];
    OwnData {
        editable: true,
        fields,
        languages,
        language_fault: Some("no language".into()),
        address_now: "anna@example.org".into(),
        address: "anna".into(),
        address_fault: Some("no address".into()),
        json_path: "/d/x/data.json".into(),
        csv_path: "/d/x/data.csv".into(),
    }
}
