//! `[join]`.

use super::*;

fn join(lines: &str) -> String {
    format!("{PROJECT}[join]\n{lines}\n")
}

#[test]
fn a_join_section_needs_topics_alone() {
    let taken = taken(&join("topics = [\"offers\", \"offers\"]"), CAMPAIGN).join.unwrap();
    assert_eq!((taken.topics.as_slice(), taken.ask_tracking), (["offers".to_owned()].as_slice(), false));
    assert_eq!((taken.version.as_str(), taken.confirm_within), ("built-in 1", Duration::from_secs(48 * 3_600)));
    assert_eq!(super::taken(PROJECT, CAMPAIGN).join, None);
}

#[test]
fn each_mistake_about_joining_is_shown_with_its_place() {
    for (lines, shown) in [
        ("", "colloquy.toml:13:2 join: `topics` is missing in [join] (add topics = [\"news\"])"),
        ("topics = []", "colloquy.toml:14:10 []: nothing can be joined (name at least one topic)"),
        ("topics = [\"offer\"]", "colloquy.toml:14:11 \"offer\": there is no topic `offer` (did you mean `offers`?)"),
        ("topics = [\"offers\"]\nconfirm_within = \"31d\"", "this is between 1h and 30d"),
        ("topics = [\"offers\"]\nper_network = \"lots\"", "'lots' is not a rate"),
        ("topics = [\"offers\"]\nattributes = [\"first name\"]", "`first name` cannot be an attribute's name"),
        ("topics = [\"offers\"]\nattributes = [\"email\"]", "`email` is built in"),
        ("topics = [\"offers\"]\nwording_version = \"7\"", "there are no words of your own"),
        ("topics = [\"offers\"]\n[join.wording]\nen = \"Yes\"", "`wording_version` is missing in [join]"),
        (
            "topics = [\"offers\"]\nwording_version = \"7\"\n[join.wording]\nenglish = \"Yes\"",
            "'english' is not a language tag",
        ),
        (
            "topics = [\"offers\"]\nwording_version = \"7\"\n[join.tracking_wording]\nen = \"Yes\"",
            "nobody reads these words",
        ),
        ("topics = [\"offers\"]\ntopic = \"x\"", "unknown key `topic` in [join] (did you mean `topics`?)"),
    ] {
        let found = complaints(&join(lines), CAMPAIGN);
        assert!(found.iter().any(|complaint| complaint.contains(shown)), "{lines}: {found:#?}");
    }
}
