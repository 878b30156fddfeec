//! Numbers, money, dates, plurals and lists as the readers of one language write them, by the Unicode CLDR.
//!
//! What costs time is made when a mailing is compiled: [`Formats::prepare_date`] and
//! [`Formats::prepare_money`] are called for what the templates name, and refuse what cannot be.

mod date;
mod money;
mod number;
mod text;

use std::collections::BTreeMap;

use icu_decimal::DecimalFormatter;
use icu_list::ListFormatter;
use icu_locale::{LanguageIdentifier, Locale, LocaleDirectionality};
use icu_plurals::{PluralCategory, PluralRules};
use jiff::tz::TimeZone;

use crate::domain::time::Micros;

pub(super) use date::DateFormat;
pub(super) use money::{MoneyFormat, WIDTHS, Width};
pub(super) use number::{MAX_DIGITS, decimal};
pub(super) use text::truncated;

/// Why something cannot be written, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

/// The formats of one language.
pub(super) struct Formats {
    locale: Locale,
    zone: TimeZone,
    numbers: DecimalFormatter,
    plurals: PluralRules,
    and: ListFormatter,
    or: ListFormatter,
    dates: BTreeMap<DateFormat, date::Formatter>,
    money: BTreeMap<MoneyFormat, money::Formatter>,
}

/// The day of an instant by the clocks of a zone, as a language writes it in full.
#[must_use]
pub fn day_in_words(tag: &str, zone: &str, at: Micros) -> String {
    let (mut formats, style) = (Formats::new(tag, zone), DateFormat::Style("long".to_owned()));
    let day = formats.prepare_date(style.clone()).and_then(|()| formats.date(&at.to_string(), &style));
    day.unwrap_or_else(|_| at.to_string())
}

impl Formats {
    /// The formats of a language tag (BCP 47); instants are shown in `zone`. A language without data is
    /// written as the root of the CLDR says.
    pub fn new(tag: &str, zone: &str) -> Self {
        let locale = Locale::try_from_str(tag).unwrap_or(Locale::UNKNOWN);
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let made = Self::of(&locale, zone.clone());
        // The root has all data, so that the last step cannot be missed.
        made.or_else(|_| Self::of(&Locale::UNKNOWN, zone)).unwrap_or_else(|e| unreachable!("the root has data: {e}"))
    }

    fn of(locale: &Locale, zone: TimeZone) -> Result<Self, icu_provider::DataError> {
        Ok(Self {
            locale: locale.clone(),
            zone,
            numbers: DecimalFormatter::try_new(locale.into(), Default::default())?,
            plurals: PluralRules::try_new_cardinal(locale.into())?,
            and: ListFormatter::try_new_and(locale.into(), Default::default())?,
            or: ListFormatter::try_new_or(locale.into(), Default::default())?,
            dates: BTreeMap::new(),
            money: BTreeMap::new(),
        })
    }

    /// The language itself.
    pub fn language(&self) -> &LanguageIdentifier {
        &self.locale.id
    }

    /// Whether its script runs from right to left.
    pub fn is_right_to_left(&self) -> bool {
        LocaleDirectionality::new_common().is_right_to_left(&self.locale.id)
    }

    /// Which of `zero one two few many other` a number takes.
    pub fn plural(&self, number: &icu_decimal::input::Decimal) -> &'static str {
        match self.plurals.category_for(number) {
            PluralCategory::Zero => "zero",
            PluralCategory::One => "one",
            PluralCategory::Two => "two",
            PluralCategory::Few => "few",
            PluralCategory::Many => "many",
            PluralCategory::Other => "other",
        }
    }

    /// `a, b and c`, or with "or".
    pub fn list(&self, items: &[String], or: bool) -> String {
        let formatter = if or { &self.or } else { &self.and };
        formatter.format_to_string(items.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_plurals_follow_the_language() {
        let items = ["a", "b", "c"].map(str::to_owned);
        for (tag, and, or, five) in [
            ("de-AT", "a, b und c", "a, b oder c", "other"),
            ("en-US", "a, b, and c", "a, b, or c", "other"),
            ("pl", "a, b i c", "a, b lub c", "many"),
            ("ar", "a وb وc", "a أو b أو c", "few"),
            ("ja", "a、b、c", "a、b、またはc", "other"),
            ("tlh", "a, b, c", "a, b, or c", "other"),
        ] {
            let formats = Formats::new(tag, "UTC");
            assert_eq!((formats.list(&items, false).as_str(), formats.list(&items, true).as_str()), (and, or), "{tag}");
            assert_eq!(formats.plural(&"5".parse().unwrap()), five, "{tag}");
            assert_eq!(formats.is_right_to_left(), tag == "ar");
        }
    }
}
