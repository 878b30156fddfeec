//! The form for pages of the sender's own.

use std::fmt::Write as _;

use super::form::{AUTOCOMPLETE, label};
use super::set;
use crate::config::Loaded;
use crate::domain::join::{Joining, words_for};
use crate::domain::wording;

/// A plain HTML form that leads to `/join`, in the wording nearest to a language, for all topics or `some` of them.
/// `None` when nobody can join.
#[must_use]
pub fn snippet(loaded: &Loaded, language: &str, some: &[String]) -> Option<String> {
    let Joining { topics: all, attributes, ask_tracking, wording: own, tracking, .. } = loaded.join.as_ref()?;
    let topics: Vec<String> = all.iter().filter(|topic| some.is_empty() || some.contains(topic)).cloned().collect();
    let set = if some.is_empty() { String::new() } else { set(&topics) };
    let project = &loaded.project;
    let t = wording::choose(&loaded.look.wordings, Some(language), "", &project.sender.locale);
    let sender = super::super::Options::from(loaded).sender;
    let words = |own, usual: &str| match words_for(own, &t.tag, &project.sender.locale) {
        Some((_, words)) => escaped(&words.replace("{sender}", &sender)),
        None => escaped(&t.fill(usual, &[("sender", &sender)])),
    };
    let say = |name: &str| escaped(t.say(name));
    let base = project.base_url.trim_end_matches('/');
    let (action, tag) = (escaped(&format!("{base}/join{set}")), escaped(&t.tag));
    let mut html = format!("<form method=\"post\" action=\"{action}\" lang=\"{tag}\">\n");
    let _ = writeln!(
        html,
        "  <p><label>{} <input name=\"address\" type=\"text\" inputmode=\"email\" autocomplete=\"email\" required></label></p>",
        say("join_address")
    );
    for name in attributes {
        let known = AUTOCOMPLETE.iter().find(|(known, _)| known == name).map_or("off", |(_, word)| word);
        let label = escaped(&label(t, name));
        let _ = writeln!(
            html,
            "  <p><label>{label} {} <input name=\"{name}\" autocomplete=\"{known}\" maxlength=\"200\"></label></p>",
            say("join_optional")
        );
    }
    if topics.len() > 1 {
        let _ = writeln!(html, "  <fieldset>\n    <legend>{}</legend>", say("topics_legend"));
        for topic in &topics {
            let title = escaped(project.topics.get(topic).unwrap_or(topic));
            let _ =
                writeln!(html, "    <label><input type=\"checkbox\" name=\"topic\" value=\"{topic}\"> {title}</label>");
        }
        html.push_str("  </fieldset>\n");
    }
    let _ = writeln!(
        html,
        "  <p hidden><label>{} <input name=\"website\" tabindex=\"-1\" autocomplete=\"off\"></label></p>",
        say("join_trap")
    );
    if *ask_tracking {
        let words = words(tracking, "join_tracking");
        let _ = writeln!(
            html,
            "  <p><label><input type=\"checkbox\" name=\"tracking\" value=\"1\"> {words} {}</label></p>",
            say("join_optional")
        );
    }
    let _ =
        write!(html, "  <p>{}</p>\n  <button>{}</button>\n</form>\n", words(own, "join_wording"), say("join_button"));
    Some(html)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
