//! Recurrences in words.

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
        ("Sat-Mon 07:05", "2026-12-05T07:05:00", "2026-12-06T07:05:00"),
        ("Sun-Tue, Thu 07:05", "2026-12-01T07:05:00", "2026-12-03T07:05:00"),
        ("daily 07:00", "2026-12-01T07:00:00", "2026-12-02T07:00:00"),
        ("day 07:00", "2026-12-01T07:00:00", "2026-12-02T07:00:00"),
        ("Weekday 07:00", "2026-12-01T07:00:00", "2026-12-02T07:00:00"),
        ("weekend 07:00", "2026-12-05T07:00:00", "2026-12-06T07:00:00"),
        ("first Mon 10:00", "2026-12-07T10:00:00", "2027-01-04T10:00:00"),
        ("2nd Wednesday 10:00", "2026-12-09T10:00:00", "2027-01-13T10:00:00"),
        ("1st, third Tue 10:00", "2026-12-01T10:00:00", "2026-12-15T10:00:00"),
        ("last Fri 17:00", "2026-12-25T17:00:00", "2027-01-29T17:00:00"),
        ("day 15 09:00", "2026-12-15T09:00:00", "2027-01-15T09:00:00"),
        ("1st 09:00", "2026-12-01T09:00:00", "2027-01-01T09:00:00"),
        ("2nd, 16th 09:00", "2026-12-02T09:00:00", "2026-12-16T09:00:00"),
        ("last day 18:00", "2026-12-31T18:00:00", "2027-01-31T18:00:00"),
        ("*/30 6 * * 2", "2026-12-01T06:00:00", "2026-12-01T06:30:00"),
        ("0 17 * * 5L", "2026-12-25T17:00:00", "2027-01-29T17:00:00"),
    ] {
        assert_eq!(next(text), [first, second], "{text}");
    }
}

#[test]
fn a_mistake_is_told_with_the_nearest_form() {
    for (text, meant) in [
        ("Tuesdays 9am", "Tue 09:00"),
        ("every Tue at 9 am", "Tue 09:00"),
        ("Tue 9", "Tue 09:00"),
        ("Tue 9.30", "Tue 09:30"),
        ("Tue 0930", "Tue 09:30"),
        ("Tue 12am", "Tue 00:00"),
        ("Tuesday noon", "Tue 12:00"),
        ("9:30 pm on Fridays", "Fri 21:30"),
        ("Tuseday 09:00", "Tue 09:00"),
        ("Tue", "Tue 09:00"),
        ("Tue 25:00", "Tue 09:00"),
        ("09:00", "daily 09:00"),
        ("every day 17h", "daily 17:00"),
        ("@daily", "daily 09:00"),
        ("Mon and Thu 9:00", "Mon, Thu 09:00"),
        ("Monday - Friday 8:30", "Mon-Fri 08:30"),
        ("weekdays 8:30", "Mon-Fri 08:30"),
        ("2nd Wednesday of the month 10:00", "2nd Wed 10:00"),
        ("fifth Mon 09:00", "last Mon 09:00"),
        ("5th Mon 09:00", "last Mon 09:00"),
        ("monthly on the 1st 9:00", "1st 09:00"),
        ("first of the month 9", "1st 09:00"),
        ("15. 09:00", "15th 09:00"),
        ("day 15", "15th 09:00"),
        ("Last day of month at 18:00", "last day 18:00"),
        ("last frday 17:00", "last Fri 17:00"),
    ] {
        let hint = parse(text).expect_err(text).hint.unwrap();
        assert_eq!(hint, format!("did you mean `{meant}`?"), "{text}");
        assert!(parse(meant).is_ok(), "{meant}");
    }
}

#[test]
fn a_mistake_in_cron_is_told_by_its_field() {
    let hint = |text| parse(text).expect_err(text).hint.unwrap();
    assert_eq!(hint("0 0 9 * * 2"), "cron without seconds has five fields: `0 9 * * 2`");
    assert!(hint("61 9 * * 2").starts_with("`61` cannot be its minute; "), "{}", hint("61 9 * * 2"));
    assert!(hint("0 9 * 13 *").starts_with("`13` cannot be its month; "), "{}", hint("0 9 * 13 *"));
    assert!(hint("61 25 * * *").starts_with("the five fields of cron are minute, "), "{}", hint("61 25 * * *"));
}

#[test]
fn what_nobody_can_guess_is_refused_with_all_forms() {
    for bad in ["", "day 32 09:00", "a b c d e", "whenever", "Mon- 09:00", "32nd 09:00", "ä–ö", "1h2h3"] {
        let complaint = parse(bad).expect_err(bad);
        assert!(complaint.hint.is_some_and(|hint| hint.starts_with("as in `Tue 09:00`, ")), "{bad}");
    }
    assert_eq!(parse("0 9 30 2 *").unwrap_err().message, "'0 9 30 2 *' never comes");
}
