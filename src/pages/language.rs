//! What the pages say, in the languages that they speak.

use hyper::header::{ACCEPT_LANGUAGE, HeaderMap};
use serde::Serialize;

/// The sentences of one language; `{topic}` stands for a topic's title.
#[derive(Debug, Serialize)]
pub(super) struct Texts {
    pub(super) lang: &'static str,
    pub(super) leave_title: &'static str,
    pub(super) leave_question: &'static str,
    pub(super) leave_button: &'static str,
    pub(super) leave_all: &'static str,
    pub(super) left_title: &'static str,
    pub(super) left: &'static str,
    pub(super) left_all: &'static str,
    pub(super) not_subscribed: &'static str,
    pub(super) gone: &'static str,
    pub(super) to_preferences: &'static str,
    pub(super) preferences_title: &'static str,
    pub(super) topics_legend: &'static str,
    pub(super) tracking_legend: &'static str,
    pub(super) tracking_label: &'static str,
    pub(super) tracking_hint: &'static str,
    pub(super) save_button: &'static str,
    pub(super) saved: &'static str,
    pub(super) unreadable: &'static str,
    pub(super) away_title: &'static str,
    pub(super) away: &'static str,
    pub(super) imprint: &'static str,
}

static ENGLISH: Texts = Texts {
    lang: "en",
    leave_title: "Unsubscribe",
    leave_question: "Do you want to stop receiving “{topic}”?",
    leave_button: "Unsubscribe",
    leave_all: "Unsubscribe from everything",
    left_title: "Unsubscribed",
    left: "You will get no more mails about “{topic}”.",
    left_all: "You will get no more mailings from us.",
    not_subscribed: "You are not subscribed to “{topic}”.",
    gone: "We keep no subscription for you any more.",
    to_preferences: "Choose what you receive",
    preferences_title: "Your preferences",
    topics_legend: "What would you like to receive?",
    tracking_legend: "Measuring",
    tracking_label: "You may note which mails I open and which links I follow",
    tracking_hint: "This lets us send you more of what interests you. You can change it at any time.",
    save_button: "Save",
    saved: "Your choice is saved.",
    unreadable: "Nothing was changed, because the form arrived incomplete. Please try again.",
    away_title: "One moment, please",
    away: "Your request could not be carried out just now, and nothing was changed. Please try again in a minute.",
    imprint: "Imprint",
};

static GERMAN: Texts = Texts {
    lang: "de",
    leave_title: "Abmelden",
    leave_question: "Möchten Sie „{topic}“ nicht mehr erhalten?",
    leave_button: "Abmelden",
    leave_all: "Von allem abmelden",
    left_title: "Abgemeldet",
    left: "Sie erhalten keine weiteren Mails zu „{topic}“.",
    left_all: "Sie erhalten keine weiteren Mailings von uns.",
    not_subscribed: "Sie haben „{topic}“ nicht abonniert.",
    gone: "Bei uns ist kein Abonnement mehr für Sie gespeichert.",
    to_preferences: "Auswählen, was Sie erhalten",
    preferences_title: "Ihre Einstellungen",
    topics_legend: "Was möchten Sie erhalten?",
    tracking_legend: "Messung",
    tracking_label: "Es darf festgehalten werden, welche Mails ich öffne und welchen Links ich folge",
    tracking_hint: "So können wir Ihnen mehr von dem schicken, was Sie interessiert. Sie können das jederzeit ändern.",
    save_button: "Speichern",
    saved: "Ihre Auswahl ist gespeichert.",
    unreadable: "Es wurde nichts geändert, weil das Formular unvollständig ankam. Bitte versuchen Sie es noch einmal.",
    away_title: "Einen Augenblick, bitte",
    away: "Ihr Wunsch konnte gerade nicht ausgeführt werden, es wurde nichts geändert. Bitte versuchen Sie es in einer Minute noch einmal.",
    imprint: "Impressum",
};

impl Texts {
    fn of(tag: &str) -> Option<&'static Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        [&ENGLISH, &GERMAN].into_iter().find(|t| t.lang.eq_ignore_ascii_case(primary))
    }
}

/// The language that the reader likes best of those spoken here, else that of `locale`, else English.
pub(super) fn choose(headers: &HeaderMap, locale: &str) -> &'static Texts {
    let wishes = headers.get(ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut best: Option<(f64, &'static Texts)> = None;
    for wish in wishes.split(',') {
        let (tag, quality) = match wish.split_once(";q=") {
            Some((tag, q)) => (tag.trim(), q.trim().parse().unwrap_or(0.0)),
            None => (wish.trim(), 1.0),
        };
        let Some(texts) = Texts::of(tag) else { continue };
        if quality > best.map_or(0.0, |(q, _)| q) {
            best = Some((quality, texts));
        }
    }
    best.map(|(_, texts)| texts).or_else(|| Texts::of(locale)).unwrap_or(&ENGLISH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_language_that_is_spoken_here_wins() {
        for (wishes, locale, lang) in [
            ("de-AT,de;q=0.9,en;q=0.8", "en-GB", "de"),
            ("fr, en;q=0.5, de;q=0.7", "en", "de"),
            ("fr", "de-DE", "de"),
            ("", "de_CH", "de"),
            ("fr;q=x, de;q=0", "fr-FR", "en"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, wishes.parse().unwrap());
            assert_eq!(choose(&headers, locale).lang, lang, "{wishes} {locale}");
        }
    }
}
