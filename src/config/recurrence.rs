//! `every`: a recurrence in words, or a cron expression of five fields. Both become cron.

mod nearest;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::civil::{DateTime, Time};

use super::problem::Complaint;
use super::schedule::clock_time;
use crate::domain::recurrence::Recurrence;

const DAYS: [(&str, &str); 7] = [
    ("Mon", "monday"),
    ("Tue", "tuesday"),
    ("Wed", "wednesday"),
    ("Thu", "thursday"),
    ("Fri", "friday"),
    ("Sat", "saturday"),
    ("Sun", "sunday"),
];

/// Which of a month's weekdays: shown, in a word, in cron.
const ORDINALS: [(&str, &str, &str); 5] = [
    ("1st", "first", "1"),
    ("2nd", "second", "2"),
    ("3rd", "third", "3"),
    ("4th", "fourth", "4"),
    ("last", "last", "L"),
];

/// The cron text of `Tue 09:00`, `Mon, Thu 08:30`, `Mon-Fri 07:00`, `daily 07:00`, `weekday 07:00`, `2nd Wed 10:00`,
/// `last Fri 17:00`, `15th 09:00`, `last day 18:00`, or of an expression of five fields.
///
/// # Errors
/// When it is none of these, or never comes.
pub fn parse(text: &str) -> Result<String, Complaint> {
    let fields: Vec<_> = text.split_whitespace().collect();
    let cron = InWords::parse(text).map(|in_words| in_words.cron());
    let cron = cron.or_else(|| (fields.len() == 5).then(|| fields.join(" "))).unwrap_or_default();
    let Some(parsed) = Recurrence::parse(&cron) else {
        return Err(Complaint::new(format!("'{text}' is not a recurrence")).hint(nearest::hint(text)));
    };
    let any_day = DateTime::constant(2001, 1, 1, 0, 0, 0, 0);
    parsed.next_local(any_day).ok_or_else(|| Complaint::new(format!("'{text}' never comes")))?;
    Ok(cron)
}

/// A recurrence in words. It is shown as the files should write it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InWords {
    days: Days,
    time: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    Every,
    /// Places in [`DAYS`].
    Week(Vec<usize>),
    /// Places in [`ORDINALS`], and one in [`DAYS`].
    Nth(Vec<usize>, usize),
    /// From 1 to 31.
    Month(Vec<u8>),
    LastOfMonth,
}

impl InWords {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let words: Vec<_> = text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).collect();
        let (time, days) = words.split_last()?;
        Some(Self { time: clock_time(time)?, days: Days::parse(days)? })
    }

    fn cron(&self) -> String {
        let (month_days, week_days) = match &self.days {
            Days::Every => ("*".to_owned(), "*".to_owned()),
            Days::Week(days) => ("*".into(), joined(days, ",", |day| DAYS[*day].0.to_uppercase())),
            Days::Nth(which, day) => {
                let day = DAYS[*day].0.to_uppercase();
                ("*".into(), joined(which, ",", |which| format!("{day}#{}", ORDINALS[*which].2)))
            }
            Days::Month(days) => (joined(days, ",", u8::to_string), "*".into()),
            Days::LastOfMonth => ("L".into(), "*".into()),
        };
        format!("{} {} {month_days} * {week_days}", self.time.minute(), self.time.hour())
    }
}

impl Days {
    fn parse(words: &[&str]) -> Option<Self> {
        match words {
            ["daily" | "day"] => return Some(Self::Every),
            ["weekday"] => return Some(Self::Week((0..5).collect())),
            ["weekend"] => return Some(Self::Week(vec![5, 6])),
            ["last", "day"] => return Some(Self::LastOfMonth),
            ["day", number] => return Some(Self::Month(vec![day_of_month(number)?])),
            _ => {}
        }
        let of_month =
            |word: &str| ["st", "nd", "rd", "th"].iter().find_map(|suffix| day_of_month(word.strip_suffix(suffix)?));
        if let Some(days) = all(words, of_month) {
            return Some(Self::Month(days));
        }
        if let Some((day, which)) = words.split_last()
            && let Some(which) = all(which, ordinal)
        {
            return Some(Self::Nth(which, weekday(day)?));
        }
        Some(Self::Week(all(words, week_days)?.concat()))
    }
}

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.days {
            Days::Every => write!(f, "daily")?,
            Days::Week(days) if days[..] == [0, 1, 2, 3, 4] => write!(f, "Mon-Fri")?,
            Days::Week(days) => write!(f, "{}", joined(days, ", ", |day| DAYS[*day].0.to_owned()))?,
            Days::Nth(which, day) => {
                write!(f, "{} {}", joined(which, ", ", |which| ORDINALS[*which].0.to_owned()), DAYS[*day].0)?;
            }
            Days::Month(days) => write!(f, "{}", joined(days, ", ", |day| counted(*day)))?,
            Days::LastOfMonth => write!(f, "last day")?,
        }
        write!(f, " {}", self.time.strftime("%H:%M"))
    }
}

/// What every word is read as; none when one of them cannot be, or there are none.
fn all<T>(words: &[&str], read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    words.iter().map(|word| read(word)).collect::<Option<Vec<_>>>().filter(|read| !read.is_empty())
}

fn joined<T>(items: &[T], between: &str, show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(between)
}

/// `21st` for 21.
fn counted(number: u8) -> String {
    let suffix = match (number / 10, number % 10) {
        (0 | 2 | 3, 1) => "st",
        (0 | 2, 2) => "nd",
        (0 | 2, 3) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

fn day_of_month(text: &str) -> Option<u8> {
    text.parse().ok().filter(|day| (1..=31).contains(day))
}

fn ordinal(text: &str) -> Option<usize> {
    ORDINALS.iter().position(|(short, word, _)| text == *short || text == *word)
}

/// The days of `tue`, or of `fri-mon`.
fn week_days(text: &str) -> Option<Vec<usize>> {
    let Some((from, to)) = text.split_once('-') else { return Some(vec![weekday(text)?]) };
    let (from, to) = (weekday(from)?, weekday(to)?);
    Some((0..=(to + 7 - from) % 7).map(|later| (from + later) % 7).collect())
}

fn weekday(text: &str) -> Option<usize> {
    DAYS.iter().position(|(short, long)| text.eq_ignore_ascii_case(short) || text == *long)
}
