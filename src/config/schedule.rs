//! `[schedule]`: an instant or a recurrence, its zone, the hours of the day, days without mail, the latest start; and
//! `valid_for` beside it.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use toml::de::DeValue;

use super::check;
use super::problem::Complaint;
use super::reader::Section;
use super::recurrence;
use super::value::Field;
use crate::domain::campaign::{RECIPIENT_ZONE, Schedule, Timing, When};
use crate::domain::hours::{Days, Window};
use crate::domain::project::Project;
use crate::domain::recurrence::Recurrence;
use crate::domain::time::Micros;

const LATEST_START: Duration = Duration::from_secs(6 * 3_600);

/// Reads when a campaign is sent: by the service, where it has a time, and when its messages may leave in any case.
pub(super) fn read(campaign: &Section<'_>, project: &Project) -> (Option<Schedule>, Timing) {
    let home = &project.sender.timezone;
    let valid_for = campaign.parsed("valid_for", check::span);
    let mut timing = Timing {
        zone: home.clone(),
        fallback: home.clone(),
        window: None,
        blackout: project.blackout.clone(),
        valid_for,
    };
    let Some(field) = campaign.field("schedule") else { return (None, timing) };
    let schedule = field.section(|section| {
        zones(section, &mut timing);
        timing.window = section.field("window").and_then(|field| window(&field));
        timing.blackout.extend(blackout(section));
        schedule(section, &timing)
    });
    (schedule, timing)
}

fn schedule(section: &Section<'_>, timing: &Timing) -> Option<Schedule> {
    let (at, every) = (section.field("at"), section.field("every"));
    let by_hand = at.is_none() && every.is_none();
    if by_hand && timing.window.is_none() && ["window", "blackout"].iter().all(|key| section.field(key).is_none()) {
        section.missing("at", "at = 2026-12-01T09:00:00 or every = \"Tue 09:00\"; or a window for sending by hand");
        return None;
    }
    if let (true, Some(field)) = (by_hand, section.field("latest_start")) {
        let complaint = Complaint::new("`latest_start` counts from `at` or `every`, and there is neither");
        field.key_error(complaint.hint("`valid_for` beside `topic` limits what is sent by hand"));
    }
    let latest_start = section.parsed("latest_start", check::span).unwrap_or(LATEST_START);
    let when = match (at, every) {
        (Some(at), None) => self::at(&at, &timing.zone),
        (None, Some(every)) => recurring(&every, timing),
        (Some(_), Some(every)) => {
            every.key_error(Complaint::new("`at` and `every` exclude each other").hint("keep one of them"));
            None
        }
        (None, None) => None,
    };
    Some(Schedule { when: when?, latest_start })
}

fn recurring(field: &Field<'_>, timing: &Timing) -> Option<When> {
    let cron = field.parsed(recurrence::parse)?;
    // Each occasion takes 26 hours around the world, and each that begins meanwhile is a run of its own.
    if timing.by_recipient() && Recurrence::parse(&cron)?.several_a_day() {
        let complaint = Complaint::new("by the recipients' own clocks a campaign comes once a day at most");
        field.error(
            complaint.hint("write one time of day, or the zone whose clocks count: timezone = \"Europe/Berlin\""),
        );
        return None;
    }
    Some(When::Every(cron))
}

fn zones(section: &Section<'_>, timing: &mut Timing) {
    let known = |text: &str| check::zone(text).map(|_| text.to_owned());
    let zone =
        section.parsed("timezone", |text| if text == RECIPIENT_ZONE { Ok(text.to_owned()) } else { known(text) });
    if let Some(zone) = zone {
        timing.zone = zone;
    }
    let fallback = section.parsed("fallback_timezone", known);
    if !timing.by_recipient() {
        timing.fallback.clone_from(&timing.zone);
        if let Some(field) = section.field("fallback_timezone") {
            let complaint = Complaint::new("`fallback_timezone` is for people without a zone of their own");
            field.key_error(complaint.hint("it goes with timezone = \"recipient\""));
        }
    } else if let Some(fallback) = fallback {
        timing.fallback = fallback;
    }
}

/// `blackout` of a section: days without mail.
pub(super) fn blackout(section: &Section<'_>) -> Vec<Days> {
    section.field("blackout").map_or_else(Vec::new, |field| field.list(days))
}

fn days(text: &str) -> Result<Days, Complaint> {
    let hint = "as in 2026-12-24, or 2026-12-24/2026-12-26 for the first and the last of several";
    let complaint = || Complaint::new(format!("'{text}' is no day")).hint(hint);
    let day = |text: &str| text.trim().parse::<Date>().ok().filter(|_| text.trim().len() == 10).ok_or_else(complaint);
    let (from, to) = text.split_once('/').unwrap_or((text, text));
    let days = Days { from: day(from)?, to: day(to)? };
    if days.to < days.from {
        return Err(Complaint::new(format!("'{text}' ends before it begins")).hint(hint));
    }
    Ok(days)
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
    let complaint = Complaint::new("`window` must hold two times of day, from and to");
    let hint = "window = [\"08:00\", \"20:00\"], or [\"20:00\", \"06:00\"] over midnight";
    let [from, to] = texts[..] else {
        field.error(complaint.hint(hint));
        return None;
    };
    match (clock_time(from), clock_time(to)) {
        (Some(from), Some(to)) if from != to => Some(Window { from, to }),
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
