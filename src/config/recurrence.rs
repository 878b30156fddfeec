//! `every`: a recurrence in words, or a cron expression of five fields. Both become cron.

use jiff::civil::{DateTime, Time};

use super::problem::Complaint;
use super::schedule::clock_time;
use crate::domain::recurrence::Recurrence;

const DAYS: [(&str, &str); 7] = [
    ("MON", "MONDAY"),
    ("TUE", "TUESDAY"),
    ("WED", "WEDNESDAY"),
    ("THU", "THURSDAY"),
    ("FRI", "FRIDAY"),
    ("SAT", "SATURDAY"),
    ("SUN", "SUNDAY"),
];
const ORDINALS: [(&str, &str); 5] = [("first", "1"), ("second", "2"), ("third", "3"), ("fourth", "4"), ("last", "L")];

/// The cron text of `Tue 09:00`, `Mon,Thu 08:30`, `Mon-Fri 07:00`, `daily 07:00`, `last Fri 17:00`, `day 15 09:00`,
/// `last day 18:00`, or of an expression of five fields.
///
/// # Errors
/// When it is none of these, or never comes.
pub fn parse(text: &str) -> Result<String, Complaint> {
    let words: Vec<_> = text.split_whitespace().collect();
    let cron = if words.len() == 5 { words.join(" ") } else { in_words(&words).ok_or_else(|| not_a_time(text))? };
    let parsed = Recurrence::parse(&cron).ok_or_else(|| not_a_time(text))?;
    let any_day = DateTime::constant(2001, 1, 1, 0, 0, 0, 0);
    parsed.next_local(any_day).ok_or_else(|| Complaint::new(format!("'{text}' never comes")))?;
    Ok(cron)
}

fn not_a_time(text: &str) -> Complaint {
    Complaint::new(format!("'{text}' is not a recurrence")).hint(
        "as in Tue 09:00, Mon,Thu 08:30, Mon-Fri 07:00, daily 07:00, last Fri 17:00, day 15 09:00, last day 18:00, or five cron fields",
    )
}

fn in_words(words: &[&str]) -> Option<String> {
    let (time, days) = words.split_last()?;
    let time: Time = clock_time(time)?;
    let (month_days, week_days) = match days {
        ["daily"] => ("*".to_owned(), "*".to_owned()),
        ["last", "day"] => ("L".into(), "*".into()),
        ["day", number] => (number.parse::<u8>().ok().filter(|n| (1..=31).contains(n))?.to_string(), "*".into()),
        [ordinal, day] if ORDINALS.iter().any(|(word, _)| word == ordinal) => {
            let (_, suffix) = ORDINALS.iter().find(|(word, _)| word == ordinal)?;
            ("*".into(), format!("{}#{suffix}", weekday(day)?))
        }
        days => ("*".into(), weekdays(&days.join(" "))?),
    };
    Some(format!("{} {} {month_days} * {week_days}", time.minute(), time.hour()))
}

fn weekdays(text: &str) -> Option<String> {
    let ranges: Option<Vec<_>> = text
        .split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once('-') {
            Some((from, to)) => Some(format!("{}-{}", weekday(from)?, weekday(to)?)),
            None => weekday(part).map(str::to_owned),
        })
        .collect();
    ranges.filter(|ranges| !ranges.is_empty()).map(|ranges| ranges.join(","))
}

fn weekday(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_uppercase();
    DAYS.iter().find(|(short, long)| text == *short || text == *long).map(|(short, _)| *short)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two times from 1 December 2026, a Tuesday.
    fn next(text: &str) -> [String; 2] {
        let cron = Recurrence::parse(&parse(text).unwrap()).unwrap();
        let first = cron.next_local(jiff::civil::datetime(2026, 12, 1, 0, 0, 0, 0)).unwrap();
        let second = cron.next_local(first.checked_add(jiff::SignedDuration::from_secs(1)).unwrap()).unwrap();
        [first.to_string(), second.to_string()]
    }

    #[test]
    fn a_recurrence_in_words_comes_when_it_says() {
        for (text, first, second) in [
            ("Tue 09:00", "2026-12-01T09:00:00", "2026-12-08T09:00:00"),
            ("Mon,Thu 08:30", "2026-12-03T08:30:00", "2026-12-07T08:30:00"),
            ("monday, thursday 8:30", "2026-12-03T08:30:00", "2026-12-07T08:30:00"),
            ("Fri-Sun 07:05", "2026-12-04T07:05:00", "2026-12-05T07:05:00"),
            ("daily 07:00", "2026-12-01T07:00:00", "2026-12-02T07:00:00"),
            ("first Mon 10:00", "2026-12-07T10:00:00", "2027-01-04T10:00:00"),
            ("last Fri 17:00", "2026-12-25T17:00:00", "2027-01-29T17:00:00"),
            ("day 15 09:00", "2026-12-15T09:00:00", "2027-01-15T09:00:00"),
            ("last day 18:00", "2026-12-31T18:00:00", "2027-01-31T18:00:00"),
            ("*/30 6 * * 2", "2026-12-01T06:00:00", "2026-12-01T06:30:00"),
            ("0 17 * * 5L", "2026-12-25T17:00:00", "2027-01-29T17:00:00"),
        ] {
            assert_eq!(next(text), [first, second], "{text}");
        }
    }

    #[test]
    fn what_is_no_recurrence_is_refused() {
        for bad in [
            "",
            "Tue",
            "09:00",
            "Tue 25:00",
            "Tue 9",
            "Tuseday 09:00",
            "day 32 09:00",
            "fifth Mon 09:00",
            "0 0 9 * * 2",
            "61 9 * * 2",
            "@daily",
            "Mon- 09:00",
            "a b c d e",
            "0 9 30 2 *",
        ] {
            assert!(parse(bad).is_err(), "{bad} was taken");
        }
    }
}
