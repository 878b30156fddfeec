//! Numbers.

use icu_decimal::input::Decimal;
use serde_json::Value;

use super::Formats;

/// Digits after the point that can be asked for.
pub(in super::super) const MAX_DIGITS: u64 = 12;

/// A value as a number: a JSON number, or a text in which nothing but a number stands, as in `-1234.5`.
pub(in super::super) fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => number.to_string().replace("e+", "e").parse().ok(),
        Value::String(text) => text.trim().parse().ok().filter(|_| !text.contains(['e', 'E'])),
        _ => None,
    }
}

impl Formats {
    /// The number with its separators; with `digits` rounded to so many after the point, halves to the
    /// even digit.
    pub fn number(&self, mut number: Decimal, digits: Option<u64>) -> String {
        if let Some(digits) = digits {
            let place = -i16::try_from(digits.min(MAX_DIGITS)).unwrap_or_default();
            number.round(place);
            number.absolute.trim_end();
            number.absolute.pad_end(place);
        }
        self.numbers.format(&number).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_has_the_separators_of_its_language() {
        let write = |tag, value, digits| Formats::new(tag, "UTC").number(decimal(&value).unwrap(), digits);
        assert_eq!(write("de-DE", json!(1234.5), Some(1)), "1.234,5");
        assert_eq!(write("en", json!("-1234567.87"), Some(1)), "-1,234,567.9");
        assert_eq!(write("fr", json!(1234), Some(2)), "1\u{202f}234,00");
        assert_eq!(write("pl", json!(12345.675), None), "12\u{a0}345,675");
        assert_eq!(write("hi", json!(12_345_678), None), "1,23,45,678");
        assert_eq!(write("ar-EG", json!(3.5), Some(0)), "٤");
        assert_eq!(write("en", json!(1e21), None), "1,000,000,000,000,000,000,000");
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "1,5", "12 €", "1e3", "0x10", "NaN"] {
            assert_eq!(decimal(&json!(text)), None, "{text}");
        }
        assert_eq!(decimal(&json!(true)), None);
    }
}
