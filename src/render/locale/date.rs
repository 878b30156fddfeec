//! Dates and times of day.

use icu_calendar::{Date, Gregorian};
use icu_datetime::FixedCalendarDateTimeFormatter;
use icu_datetime::fieldsets::enums::CompositeDateTimeFieldSet;
use icu_datetime::fieldsets::{self, YMD};
use icu_datetime::input::{DateTime, Time};
use icu_datetime::pattern::{DateTimePattern, FixedCalendarDateTimeNames};
use icu_locale::Locale;
use jiff::tz::TimeZone;
use writeable::TryWriteable as _;

use super::super::problem::nearest;
use super::{Fault, Formats};

/// The names of styles.
pub(in super::super) const STYLES: [&str; 10] =
    ["full", "long", "medium", "short", "weekday", "month", "day-month", "month-year", "time", "date-time"];

/// A format as templates name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum DateFormat {
    /// One of [`STYLES`].
    Style(String),
    /// Letters of Unicode TR 35, as in `d. MMMM y`.
    Pattern(String),
}

type Styled = FixedCalendarDateTimeFormatter<Gregorian, CompositeDateTimeFieldSet>;

enum Kind {
    Style(Box<Styled>),
    Pattern(Box<FixedCalendarDateTimeNames<Gregorian>>, DateTimePattern),
}

pub(super) struct Formatter {
    kind: Kind,
    /// Whether a time of day is shown.
    needs_time: bool,
}

/// A day and perhaps a time of it, in the sender's zone.
struct Moment {
    day: Date<Gregorian>,
    time: Option<Time>,
}

impl Formats {
    /// Makes a format known.
    pub fn prepare_date(&mut self, format: DateFormat) -> Result<(), Fault> {
        if !self.dates.contains_key(&format) {
            let made = formatter(&self.locale, &format)?;
            self.dates.insert(format, made);
        }
        Ok(())
    }

    /// Writes a day (`2026-12-01`), a time (`2026-12-01T09:00`) or an instant (RFC 3339), shown in the
    /// sender's zone, by a format that was prepared.
    pub fn date(&self, text: &str, format: &DateFormat) -> Result<String, Fault> {
        let fault = |message: &str| Fault::new(message, "a day is written 2026-12-01, a time 2026-12-01T09:00");
        let moment = moment(text, &self.zone).ok_or_else(|| fault("this is not a date"))?;
        let formatter = self.dates.get(format).ok_or_else(|| fault("this format is not known"))?;
        if formatter.needs_time && moment.time.is_none() {
            return Err(fault("this is a day without a time"));
        }
        let input = DateTime { date: moment.day, time: moment.time.unwrap_or(Time::start_of_day()) };
        Ok(match &formatter.kind {
            Kind::Style(styled) => styled.format(&input).to_string(),
            Kind::Pattern(names, pattern) => {
                let shown = names.with_pattern_unchecked(pattern).format(&input);
                let written = shown.try_write_to_string().map(std::borrow::Cow::into_owned);
                written.map_err(|_| fault("this pattern cannot be written"))?
            }
        })
    }
}

fn formatter(locale: &Locale, format: &DateFormat) -> Result<Formatter, Fault> {
    match format {
        DateFormat::Style(name) => {
            let no_style = || {
                let hint = match nearest(name, STYLES) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("choose among {}, or write pattern=\"d. MMMM y\"", STYLES.join(", ")),
                };
                Fault::new(format!("dates have no style '{name}'"), hint)
            };
            let no_data = |e: icu_datetime::DateTimeFormatterLoadError| Fault { message: e.to_string(), hint: None };
            let styled = styled(name, locale).ok_or_else(no_style)?.map_err(no_data)?;
            Ok(Formatter {
                kind: Kind::Style(Box::new(styled)),
                needs_time: matches!(name.as_str(), "time" | "date-time"),
            })
        }
        DateFormat::Pattern(text) => {
            let hint = "letters stand for fields, as in EEEE, d. MMMM y, HH:mm; put words into '…'";
            let fault = |why: String| Fault::new(format!("'{text}' is not a pattern for dates: {why}"), hint);
            let pattern = DateTimePattern::try_from_pattern_str(text).map_err(|e| fault(e.to_string()))?;
            if text.trim().is_empty() {
                return Err(fault("it is empty".into()));
            }
            let mut names =
                FixedCalendarDateTimeNames::<Gregorian>::try_new(locale.into()).map_err(|e| fault(e.to_string()))?;
            names.include_for_pattern(&pattern).map_err(|e| fault(e.to_string()))?;
            let fields = text.split('\'').step_by(2);
            let needs_time = fields.flat_map(str::chars).any(|c| "abBhHkKmsSA".contains(c));
            Ok(Formatter { kind: Kind::Pattern(Box::new(names), pattern), needs_time })
        }
    }
}

type Made = Result<Styled, icu_datetime::DateTimeFormatterLoadError>;

fn styled(name: &str, locale: &Locale) -> Option<Made> {
    macro_rules! made {
        ($fields:expr) => {
            FixedCalendarDateTimeFormatter::<Gregorian, _>::try_new(locale.into(), $fields)
                .map(|made| made.cast_into_fset())
        };
    }
    Some(match name {
        "full" => made!(fieldsets::YMDE::long()),
        "long" => made!(YMD::long()),
        "medium" => made!(YMD::medium()),
        "short" => made!(YMD::short()),
        "weekday" => made!(fieldsets::E::long()),
        "month" => made!(fieldsets::M::long()),
        "day-month" => made!(fieldsets::MD::long()),
        "month-year" => made!(fieldsets::YM::long()),
        "time" => made!(fieldsets::T::hm()),
        "date-time" => made!(YMD::medium().with_time_hm()),
        _ => return None,
    })
}

fn moment(text: &str, zone: &TimeZone) -> Option<Moment> {
    let text = text.trim();
    let (civil, timed) = if text.len() <= 10 {
        (text.parse::<jiff::civil::Date>().ok()?.into(), false)
    } else if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        (instant.to_zoned(zone.clone()).datetime(), true)
    } else {
        (text.parse::<jiff::civil::DateTime>().ok()?, true)
    };
    let part = |n: i8| u8::try_from(n).ok();
    let day = Date::try_new_gregorian(civil.year().into(), part(civil.month())?, part(civil.day())?).ok()?;
    let time = Time::try_new(part(civil.hour())?, part(civil.minute())?, part(civil.second())?, 0).ok()?;
    Some(Moment { day, time: timed.then_some(time) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(tag: &str, text: &str, format: &DateFormat) -> Result<String, Fault> {
        let mut formats = Formats::new(tag, "Europe/Berlin");
        formats.prepare_date(format.clone())?;
        formats.date(text, format)
    }

    fn style(tag: &str, name: &str) -> String {
        write(tag, "2026-12-01T09:05", &DateFormat::Style(name.into())).unwrap()
    }

    #[test]
    fn each_style_follows_the_language() {
        for (tag, expected) in [
            (
                "de-DE",
                [
                    "Dienstag, 1. Dezember 2026",
                    "1. Dezember 2026",
                    "01.12.2026",
                    "01.12.26",
                    "Dienstag",
                    "Dezember",
                    "1. Dezember",
                    "Dezember 2026",
                    "09:05",
                    "01.12.2026, 09:05",
                ],
            ),
            (
                "en-US",
                [
                    "Tuesday, December 1, 2026",
                    "December 1, 2026",
                    "Dec 1, 2026",
                    "12/1/26",
                    "Tuesday",
                    "December",
                    "December 1",
                    "December 2026",
                    "9:05\u{202f}AM",
                    "Dec 1, 2026, 9:05\u{202f}AM",
                ],
            ),
        ] {
            assert_eq!(STYLES.map(|name| style(tag, name)), expected.map(str::to_owned), "{tag}");
        }
        assert_eq!(style("pl", "long"), "1 grudnia 2026");
        assert_eq!(style("ja", "full"), "2026年12月1日火曜日");
        assert_eq!(style("ar-EG", "long"), "١ ديسمبر ٢٠٢٦");
    }

    #[test]
    fn a_pattern_is_written_as_it_stands() {
        let pattern = |text: &str, pattern: &str| write("de", text, &DateFormat::Pattern(pattern.into()));
        assert_eq!(pattern("2026-12-01", "EEE, d. MMM ''yy 'um'").as_deref(), Ok("Di., 1. Dez. '26 um"));
        assert_eq!(pattern("2026-12-01T23:30:00Z", "d.M., HH:mm").as_deref(), Ok("2.12., 00:30"));
        for wrong in ["", "ddddddddd", "d. MMMM 'open", "zzzz", "HH 'Uhr"] {
            assert!(pattern("2026-12-01T09:00", wrong).is_err(), "{wrong} was taken");
        }
        assert!(pattern("2026-12-01", "HH:mm").is_err_and(|e| e.message.contains("without a time")));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "tomorrow", "01.12.2026", "2026-02-30", "2026-12-01T25:00", "20261"] {
            assert!(write("de", text, &DateFormat::Style("long".into())).is_err(), "{text} was taken");
        }
        let fault = write("de", "2026-12-01", &DateFormat::Style("log".into())).unwrap_err();
        assert_eq!(fault.hint.as_deref(), Some("did you mean 'long'?"));
    }
}
