//! What a person wrote in a reply: without what they quote, their signature, and the lines in between.

use std::borrow::Cow;

use mail_parser::decoders::html::html_to_text;
use mail_parser::{MessageParser, PartType};

use super::classify::{message, within};
use super::letter::short;
use crate::domain::inbound::{Sign, sign};

/// A longer reply is cut (bytes).
pub const MOST_REPLY: usize = 8 << 10;

/// Lines that say "On … wrote:" run over so many at most.
const MOST_ATTRIBUTION: usize = 4;

/// The words that a person wrote, from the text of the message or, where it has none, from its HTML. `None` when
/// nothing is left. Any bytes are a message.
#[must_use]
pub fn reply_text(raw: &[u8]) -> Option<String> {
    let raw = message(within(raw));
    let parsed = MessageParser::default().parse(raw.as_ref())?;
    let text = |part: &PartType<'_>| match part {
        PartType::Text(text) if !text.trim().is_empty() => Some(trimmed(&short(Cow::Borrowed(text.as_ref())))),
        _ => None,
    };
    let html = |part: &PartType<'_>| match part {
        PartType::Html(html) => Some(trimmed(&html_to_text(before_quote(&short(Cow::Borrowed(html.as_ref())))))),
        _ => None,
    };
    let bodies = || parsed.parts.iter().map(|part| &part.body);
    let words = bodies().find_map(text).or_else(|| bodies().find_map(html))?;
    (!words.is_empty()).then_some(words)
}

/// HTML before the first element that holds a quoted mail.
fn before_quote(html: &str) -> &str {
    let end = HTML_QUOTES.iter().filter_map(|mark| find_ignoring_case(html, mark)).min();
    let end = end.map(|at| html[..at].rfind('<').filter(|open| !html[*open..at].contains('>')).unwrap_or(at));
    &html[..end.unwrap_or(html.len())]
}

/// By what mail programs mark the mail that is answered.
const HTML_QUOTES: [&str; 8] = [
    "<blockquote",
    "gmail_quote",
    "divrplyfwdmsg",
    "appendonsend",
    "moz-cite-prefix",
    "yahoo_quoted",
    "border-top:solid #",
    "name=\"quote\"",
];

fn find_ignoring_case(text: &str, mark: &str) -> Option<usize> {
    let mark = mark.as_bytes();
    let first = *mark.first()?;
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), text.as_bytes())
        .find(|at| text.as_bytes().get(*at..at + mark.len()).is_some_and(|part| part.eq_ignore_ascii_case(mark)))
}

/// The lines of the writer, bounded.
fn trimmed(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.lines().map(readable).collect();
    let mut kept = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if kept.len() > MOST_REPLY || ends(&lines, at) {
            break;
        }
        if let Some(next) = after_attribution(&lines, at) {
            // Answers stand between quoted lines, or the rest is quoted as it is.
            if !lines[next..].iter().find(|line| !line.is_empty()).is_some_and(|line| is_quoted(line)) {
                break;
            }
            at = next;
            continue;
        }
        if !is_quoted(line) && !(line.is_empty() && (kept.is_empty() || kept.ends_with("\n\n"))) {
            kept.push_str(line);
            kept.push('\n');
        }
        at += 1;
    }
    let kept = kept.trim();
    let end = (0..=MOST_REPLY.min(kept.len())).rev().find(|end| kept.is_char_boundary(*end)).unwrap_or_default();
    kept[..end].trim_end().to_owned()
}

fn readable(line: &str) -> Cow<'_, str> {
    let line = line.trim_end();
    // "-- " ends in a space, which the trimming takes.
    match line.contains(|c: char| c.is_control() && c != '\t') {
        true => line.chars().filter(|c| !c.is_control() || *c == '\t').collect(),
        false => Cow::Borrowed(line),
    }
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

/// Whether nothing of the writer's follows: a signature, or the copied header of the mail that is answered.
fn ends(lines: &[Cow<'_, str>], at: usize) -> bool {
    let line = lines[at].trim();
    if line == "--" || sign(Sign::ReplyEnd, line).is_some() {
        return true;
    }
    // A header of three fields or more, as Outlook writes it, in any language that names the sender first.
    let is_header = |at: usize| lines.get(at).is_some_and(|line| sign(Sign::QuotedHeader, line.trim()).is_some());
    is_header(at) && (1..5).filter(|next| is_header(at + next)).count() >= 2
}

/// The line after "On Monday, Anna wrote:", when such a line begins here.
fn after_attribution(lines: &[Cow<'_, str>], at: usize) -> Option<usize> {
    let mut joined = String::new();
    for (n, line) in lines.get(at..)?.iter().take(MOST_ATTRIBUTION).enumerate() {
        if line.trim().is_empty() || is_quoted(line) || joined.len() > 400 {
            return None;
        }
        joined.push_str(line.trim());
        if sign(Sign::Attribution, &joined).is_some() {
            return Some(at + n + 1);
        }
        joined.push(' ');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(words: &str) -> Option<String> {
        reply_text(format!("From: anna@example.org\nSubject: Re: news\n\n{words}").as_bytes())
    }

    #[test]
    fn what_is_quoted_below_goes() {
        for below in [
            "On Mon, 1 Jan 2024 at 10:00, News <news@example.com> wrote:\n> old\n> words",
            "On Mon, 1 Jan 2024 at 10:00, The daily news of example\n<news@example.com> wrote:\n\n> old",
            "On 1/1/24 10:00 AM, News wrote:\nold words, not marked",
            "Am 01.01.24 um 10:00 schrieb News:\n> alt",
            "Am Mo., 1. Jan. 2024 um 10:00 Uhr schrieb News <\nnews@example.com>:\n\n> alt",
            "Le lun. 1 janv. 2024 à 10:00, News <news@example.com> a écrit :\n> vieux",
            "El lun, 1 ene 2024 a las 10:00, News (<news@example.com>) escribió:\n> viejo",
            "Il giorno lun 1 gen 2024 alle ore 10:00 News <news@example.com> ha scritto:\n> vecchio",
            "Op ma 1 jan 2024 om 10:00 schreef News <news@example.com>:\n> oud",
            "Em seg., 1 de jan. de 2024 às 10:00, News <news@example.com> escreveu:\n> velho",
            "Den mån 1 jan. 2024 kl 10:00 skrev News <news@example.com>:\n> gammal",
            "pon., 1 sty 2024 o 10:00 News <news@example.com> napisał(a):\n> stare",
            "пн, 1 янв. 2024 г. в 10:00, News <news@example.com>:\n> старое",
            "2024年1月1日(月) 10:00 News <news@example.com>:\n> 古い",
            "-----Original Message-----\nFrom: News\n\nold",
            "-------- Ursprüngliche Nachricht --------\nVon: News\nalt",
            "-----Message d'origine-----\nDe : News\nvieux",
            "________________________________\nFrom: News <news@example.com>\nSent: Monday\nTo: Anna\nSubject: news\n\nold",
            "Von: News <news@example.com>\nGesendet: Montag\nAn: Anna\nBetreff: Neues\n\nalt",
            "De : News\nEnvoyé : lundi\nÀ : Anna\nObjet : nouvelles\n\nvieux",
            "-- \nAnna Muster\nExample Ltd",
            "--\nAnna",
            "Sent from my iPhone\n\n> On 1 Jan 2024, at 10:00, News <news@example.com> wrote:\n> old",
            "Von meinem iPhone gesendet",
            "Get Outlook for Android",
        ] {
            assert_eq!(reply(&format!("Yes, please.\n\n{below}\n")).as_deref(), Some("Yes, please."), "{below}");
        }
    }

    #[test]
    fn answers_between_quoted_lines_stay() {
        let words = "Hello\n\nOn Monday, News wrote:\n> red?\nYes.\n> blue?\n\nNo.\n\n\n-- \nAnna";
        assert_eq!(reply(words).as_deref(), Some("Hello\n\nYes.\n\nNo."));
    }

    #[test]
    fn words_that_only_look_like_it_stay() {
        for words in [
            "On Monday I am away.\nI wrote: see you.\nFrom: here to there.",
            "Please note:\nthe price is 5 - 7 euros",
            "To: be or not\nto be",
        ] {
            assert_eq!(reply(words).as_deref(), Some(words));
        }
    }

    #[test]
    fn html_is_read_where_there_is_no_text() {
        let html = |body: &str| {
            reply_text(
                format!("From: a@example.org\nContent-Type: text/html\n\n<html><body>{body}</body></html>").as_bytes(),
            )
        };
        for body in [
            "<p>Yes, please.</p><blockquote type=cite>old</blockquote>",
            "<div>Yes, please.</div><br><div class=\"gmail_quote\"><div>On Monday, News wrote:<br></div>old</div>",
            "<p>Yes, please.</p><div id=\"divRplyFwdMsg\"><b>From:</b> News</div>old",
            "<p>Yes, please.</p><div>-----Original Message-----</div><div>old</div>",
        ] {
            assert_eq!(html(body).as_deref(), Some("Yes, please."), "{body}");
        }
        assert_eq!(html(""), None);
        assert_eq!(html("<blockquote>all quoted</blockquote>"), None);
    }

    #[test]
    fn nothing_written_is_nothing_and_much_is_cut() {
        assert_eq!(reply_text(b""), None);
        assert_eq!(reply("> only quoted\n"), None);
        assert_eq!(reply("\n\n -- \n"), None);
        let long = reply(&"ä€ word\n".repeat(20_000)).unwrap();
        assert!(long.len() <= MOST_REPLY && long.len() > MOST_REPLY - 20);
        assert_eq!(reply("one\u{0}two\u{1b}[31m\n").as_deref(), Some("onetwo[31m"));
    }
}
