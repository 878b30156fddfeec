//! `[schedule]`: an instant or a recurrence, its zone, the hours of the day, the latest start.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use toml::de::DeValue;

use super::check;
use super::problem::Complaint;
use super::reader::Section;
use super::recurrence;
use super::value::Field;
use crate::domain::campaign::{RECIPIENT_ZONE, Schedule, When, Window};
use crate::domain::time::Micros;

const LATEST_START: Duration = Duration::from_secs(6 * 3_600);

/// Reads the section; none when the campaign has none. `default_zone` is the sender's.
pub(super) fn read(campaign: &Section<'_>, default_zone: &str) -> Option<Schedule> {
    campaign.field("schedule")?.section(|section| {
        let zone = section
            .parsed("timezone", |text| match text {
                RECIPIENT_ZONE => Ok(text.to_owned()),
                _ => check::zone(text).map(|_| text.to_owned()),
            })
            .unwrap_or_else(|| default_zone.to_owned());
        if zone == RECIPIENT_ZONE
            && let Some(field) = section.field("timezone")
        {
            let complaint = Complaint::new("waves by each recipient's zone do not exist yet");
            field.warn(complaint.hint("the sender's zone counts for everybody"));
        }
        let at = section.field("at");
        let every = section.field("every");
        let window = section.field("window").and_then(|field| {
            let read = window(&field)?;
            let complaint = Complaint::new("sending windows are not enforced yet");
            field.key_warn(complaint.hint("choose the start so that it fits"));
            Some(read)
        });
        let latest_start = section.parsed("latest_start", check::span).unwrap_or(LATEST_START);
        let when = match (at, every) {
            (Some(at), None) => self::at(&at, &zone),
            (None, Some(every)) => every.parsed(recurrence::parse).map(When::Every),
            (Some(_), Some(every)) => {
                every.key_error(Complaint::new("`at` and `every` exclude each other").hint("keep one of them"));
                None
            }
            (None, None) => {
                section.missing("at", "at = 2026-12-01T09:00:00 or every = \"Tue 09:00\"");
                None
            }
        };
        Some(Schedule { when: when?, zone, window, latest_start })
    })
}

fn at(field: &Field<'_>, zone: &str) -> Option<When> {
    let complaint = || Complaint::new("`at` must be a date and time").hint("as in 2026-12-01T09:00:00, without quotes");
    let DeValue::Datetime(written) = field.raw() else {
        field.error(complaint());
        return None;
    };
    if written.date.is_none() || written.time.is_none() {
        field.error(complaint());
        return None;
    }
    let read = if written.offset.is_some() {
        Micros::parse_rfc3339(&written.to_string()).map(When::At).map_err(|_| ())
    } else {
        written.to_string().parse().map_err(drop).and_then(|local| in_zone(local, zone, field))
    };
    read.map_err(|()| field.error("there is no such date or time")).ok()
}

fn in_zone(local: DateTime, zone: &str, field: &Field<'_>) -> Result<When, ()> {
    if zone == RECIPIENT_ZONE {
        return Ok(When::AtLocal(local));
    }
    // A zone that was refused has been complained about; any other will do to check the time itself.
    let zone = check::zone(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let zoned = zone.to_zoned(local).map_err(drop)?;
    if zoned.datetime() != local {
        let complaint = Complaint::new(format!("clocks skip this time; {} is taken", zoned.datetime()));
        field.warn(complaint.hint("choose an hour at which clocks do not change"));
    }
    Ok(When::At(zoned.timestamp().into()))
}

fn window(field: &Field<'_>) -> Option<Window> {
    let texts = field.texts()?;
    let complaint = Complaint::new("`window` must hold two times of one day, the earlier first");
    let hint = "window = [\"08:00\", \"20:00\"]";
    let [from, to] = texts[..] else {
        field.error(complaint.hint(hint));
        return None;
    };
    match (clock_time(from), clock_time(to)) {
        (Some(from), Some(to)) if from < to => Some(Window { from, to }),
        _ => {
            field.error(complaint.hint(hint));
            None
        }
    }
}

/// `HH:MM`, as the files write times of day.
pub(super) fn clock_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) || minute.len() != 2 {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}
