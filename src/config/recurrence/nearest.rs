//! What a refused recurrence was most likely meant to be.

use jiff::civil::Time;

use super::super::problem::nearest;
use super::{DAYS, InWords, ORDINALS, counted, ordinal};
use crate::config::schedule::clock_time;
use crate::domain::recurrence::Recurrence;

const FORMS: &str = "as in `Tue 09:00`, `Mon, Thu 08:30`, `Mon-Fri 07:00`, `daily 07:00`, `2nd Wed 10:00`, `last Fri 17:00`, \
                     `15th 09:00`, `last day 18:00`, or cron: `0 9 * * TUE`";

/// The fields of a cron expression, as people call them.
const FIELDS: [&str; 5] = ["minute", "hour", "day of the month", "month", "day of the week"];

/// Words around a time that say nothing.
const FILLERS: [&str; 14] =
    ["every", "each", "on", "at", "the", "of", "in", "a", "and", "month", "monthly", "weekly", "o'clock", "uhr"];

/// How it should be written.
pub(super) fn hint(text: &str) -> String {
    if let Some(meant) = cron(text) {
        return meant;
    }
    meant(text).map_or_else(|| FORMS.to_owned(), |meant| format!("did you mean `{meant}`?"))
}

/// What is wrong with an expression that was meant as cron.
fn cron(text: &str) -> Option<String> {
    let mut fields: Vec<_> = text.split_whitespace().collect();
    let looks = |field: &&str| field.starts_with(|c: char| c.is_ascii_digit() || c == '*');
    if !fields.first().is_some_and(looks) || !fields.get(1).is_some_and(looks) || fields.len() < 5 {
        return None;
    }
    if fields.len() == 6 {
        let without = fields[1..].join(" ");
        return Recurrence::parse(&without).map(|_| format!("cron without seconds has five fields: `{without}`"));
    }
    for (n, name) in FIELDS.iter().enumerate() {
        let wrong = std::mem::replace(&mut fields[n], "*");
        if fields.len() == 5 && Recurrence::parse(&fields.join(" ")).is_some() {
            return Some(format!("`{wrong}` cannot be its {name}; the fields are {}", FIELDS.join(", ")));
        }
        fields[n] = wrong;
    }
    Some(format!("the five fields of cron are {}, as in `0 9 * * TUE`", FIELDS.join(", ")))
}

fn meant(text: &str) -> Option<InWords> {
    let text = text.to_lowercase().replace(['–', '—'], "-").replace(" - ", "-").replace("every day", "day");
    let text = text.replace(" am", "am").replace(" pm", "pm").replace("noon", "12:00").replace("midnight", "00:00");
    let mut words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || ",;&+".contains(c)).filter(|word| !word.is_empty()).collect();
    words.retain(|word| !FILLERS.contains(word));
    let (time, words) = split_time(words);
    let days: Option<Vec<_>> = words.iter().map(|word| known(word)).collect();
    let mut days = days?;
    if days.is_empty() {
        // A time alone.
        time?;
        days.push("daily".to_owned());
    }
    // Without a time, one that shows how it is written.
    let time = time.unwrap_or(Time::constant(9, 0, 0, 0));
    // `day 15` counts days, as `the 15th` does.
    if days.len() > 1 && days[0] == "day" {
        days.remove(0);
    }
    // `the first` by itself is a day of the month.
    if let [day] = &mut days[..]
        && let Some(number) = ["first", "second", "third", "fourth"].iter().position(|word| word == day)
    {
        *day = ORDINALS[number].0.to_owned();
    }
    let written = format!("{} {}", days.join(" "), time.strftime("%H:%M"));
    InWords::parse(&written).or_else(|| InWords::parse(&written.replace("5th", "last")))
}

/// The time of day among the words, and the words around it.
fn split_time(mut words: Vec<&str>) -> (Option<Time>, Vec<&str>) {
    let bare = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
    let certain = words.iter().rposition(|word| !bare(word) && time(word).is_some());
    let after_day = |at: &usize| *at > 0 && words[*at - 1] == "day";
    let found = certain.or_else(|| words.iter().rposition(|word| bare(word)).filter(|at| !after_day(at)));
    let time = found.and_then(|at| time(words.remove(at)));
    // Whatever else looks like one is none that a clock shows.
    words.retain(|word| !word.contains(':'));
    (time, words)
}

/// `9`, `9am`, `9:30pm`, `9.30`, `17h`, `17h30`, `0930`.
fn time(word: &str) -> Option<Time> {
    let (word, afternoon) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(word), _) => (word, Some(0)),
        (_, Some(word)) => (word, Some(12)),
        _ => (word, None),
    };
    let word = word.trim_end_matches('h').replace(['.', 'h'], ":");
    let written = match word.len() {
        4 if !word.contains(':') => format!("{}:{}", word.get(..2)?, word.get(2..)?),
        _ if !word.contains(':') => format!("{word}:00"),
        _ => word,
    };
    let time = clock_time(&written)?;
    match afternoon {
        None => Some(time),
        Some(hours) if (1..=12).contains(&time.hour()) => Time::new(time.hour() % 12 + hours, time.minute(), 0, 0).ok(),
        Some(_) => None,
    }
}

/// The word that was meant: a day, a range of days, a number of a day.
fn known(word: &str) -> Option<String> {
    if let Some((from, to)) = word.split_once('-') {
        return Some(format!("{}-{}", known(from)?, known(to)?));
    }
    let number = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    if let Ok(number) = number.parse::<u8>() {
        return (1..=31).contains(&number).then(|| counted(number));
    }
    if ordinal(word).is_some() {
        return Some(word.to_owned());
    }
    match word {
        "fifth" => return Some("last".into()),
        "everyday" | "days" => return Some("day".into()),
        "workday" | "workdays" | "weekdays" => return Some("weekday".into()),
        _ => {}
    }
    let days = DAYS.iter().flat_map(|(short, long)| [*short, *long]);
    let others = ["daily", "day", "weekday", "weekend", "first", "second", "third", "fourth", "last"];
    let plain = word.strip_suffix('s').filter(|plain| plain.len() > 2).unwrap_or(word);
    nearest(plain, days.chain(others)).map(str::to_owned)
}
