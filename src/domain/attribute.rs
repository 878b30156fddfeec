//! What an attribute holds, as it was written in a file or on a page.

use serde_json::{Number, Value};

use super::project::AttributeType;

/// Every integer up to here is exact as a floating-point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What an attribute does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistyped {
    /// A number.
    Number,
    /// A day.
    Date,
    /// True or false.
    Bool,
}

impl Mistyped {
    /// What is expected.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Self::Number => "a number such as 12 or 3.5",
            Self::Date => "a day such as 2026-12-01",
            Self::Bool => "true or false",
        }
    }
}

/// What somebody wrote as a JSON value of its attribute's type.
///
/// # Errors
/// What it should be.
pub fn typed(cell: &str, kind: AttributeType) -> Result<Value, Mistyped> {
    match kind {
        AttributeType::Text => Ok(cell.into()),
        AttributeType::Number => number(cell).map(Value::Number).ok_or(Mistyped::Number),
        AttributeType::Date => date(cell).map(Value::from).ok_or(Mistyped::Date),
        AttributeType::Bool => match cell.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(true.into()),
            "false" | "no" | "0" => Ok(false.into()),
            _ => Err(Mistyped::Bool),
        },
    }
}

/// One form for equal numbers, whichever engine keeps them.
fn number(cell: &str) -> Option<Number> {
    if let Ok(whole) = cell.parse::<i64>() {
        return Some(whole.into());
    }
    let plain = cell.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let real = plain.then(|| cell.parse::<f64>().ok()).flatten()?;
    if real.fract() == 0.0 && real.abs() < EXACT {
        return Some((real as i64).into());
    }
    Number::from_f64(real)
}

fn date(cell: &str) -> Option<&str> {
    let shaped = cell.len() == 10
        && cell.bytes().enumerate().all(|(n, b)| if n == 4 || n == 7 { b == b'-' } else { b.is_ascii_digit() });
    (shaped && cell.parse::<jiff::civil::Date>().is_ok()).then_some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttributeType::{Bool, Date, Number, Text};

    #[test]
    fn cells_become_values_of_their_type() {
        for (cell, kind, json) in [
            ("007", Text, "\"007\""),
            ("007", Number, "7"),
            ("-2.50", Number, "-2.5"),
            ("5.0", Number, "5"),
            ("1e3", Number, "1000"),
            ("-0", Number, "0"),
            ("2024-02-29", Date, "\"2024-02-29\""),
            ("Yes", Bool, "true"),
            ("0", Bool, "false"),
        ] {
            assert_eq!(typed(cell, kind).unwrap().to_string(), json, "{cell}");
        }
    }

    #[test]
    fn a_cell_of_another_type_is_refused() {
        for cell in ["3,5", "NaN", "inf", "1e999", "12 kg", "0x10", "infinity"] {
            assert!(typed(cell, Number).is_err(), "{cell} was taken");
        }
        for cell in ["2023-02-29", "01.12.2026", "20261201", "2026-12-01T00:00:00", "2026-1-1", "２０２６-12-01"] {
            assert!(typed(cell, Date).is_err(), "{cell} was taken");
        }
        assert!(typed("ja", Bool).is_err());
    }
}
