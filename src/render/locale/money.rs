//! Amounts of money. A currency brings its own number of digits: two for euros, none for yen.

use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_experimental::dimension::currency::CurrencyType;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_locale::{Locale, locale};

use super::{Fault, Formats};

pub(super) type Formatter = CurrencyFormatter<DecimalFormatter>;

/// How the currency is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Width {
    /// `€`
    Symbol,
    /// `EUR`
    Code,
    /// `euros`
    Name,
}

/// Their names in templates.
pub(in super::super) const WIDTHS: [(&str, Width); 3] =
    [("symbol", Width::Symbol), ("code", Width::Code), ("name", Width::Name)];

/// A currency (ISO 4217) and how it is written.
pub(in super::super) type MoneyFormat = (String, Width);

impl Formats {
    /// Makes a format known.
    pub fn prepare_money(&mut self, format: MoneyFormat) -> Result<(), Fault> {
        if !self.money.contains_key(&format) {
            let made = formatter(&self.locale, &format)?;
            self.money.insert(format, made);
        }
        Ok(())
    }

    /// The amount, rounded as the currency says.
    pub fn money(&self, amount: &Decimal, format: &MoneyFormat) -> Result<String, Fault> {
        // A currency that only the message knows could not be prepared.
        match self.money.get(format) {
            Some(known) => Ok(known.format_fixed_decimal(amount).to_string()),
            None => Ok(formatter(&self.locale, format)?.format_fixed_decimal(amount).to_string()),
        }
    }
}

fn formatter(locale: &Locale, (code, width): &MoneyFormat) -> Result<Formatter, Fault> {
    let fault = || Fault::new(format!("there is no currency '{code}'"), "write its ISO 4217 code, as in EUR");
    let upper = code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
    let currency: CurrencyType = code.parse().ok().filter(|_| upper).ok_or_else(fault)?;
    let (prefs, options) = (locale.into(), Default::default());
    let made = match width {
        Width::Symbol => CurrencyFormatter::try_new_symbol(prefs, currency, options),
        Width::Code => CurrencyFormatter::try_new_code(prefs, currency, options),
        Width::Name => CurrencyFormatter::try_new_name(prefs, currency),
    };
    // Where English has no name for a code, the code itself stands in its place.
    let english = CurrencyFormatter::try_new_name((&locale!("en")).into(), currency).map_err(|_| fault())?;
    let named = !english.format_fixed_decimal(&Decimal::from(1)).to_string().ends_with(code.as_str());
    made.ok().filter(|_| named).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(tag: &str, amount: &str, code: &str, width: Width) -> Result<String, Fault> {
        let mut formats = Formats::new(tag, "UTC");
        let format = (code.to_owned(), width);
        formats.prepare_money(format.clone())?;
        formats.money(&amount.parse().unwrap(), &format)
    }

    #[test]
    fn money_is_written_as_its_readers_write_it() {
        for (tag, amount, code, width, expected) in [
            ("de-DE", "1234.5", "EUR", Width::Symbol, "1.234,50\u{a0}€"),
            ("de-AT", "9.9", "EUR", Width::Symbol, "€\u{a0}9,90"),
            ("en-US", "-9.999", "USD", Width::Symbol, "-$10.00"),
            ("ja", "1234.5", "JPY", Width::Symbol, "￥1,235"),
            ("fr", "1234.5", "EUR", Width::Code, "1\u{202f}234,50\u{a0}EUR"),
            ("en", "1", "CHF", Width::Name, "1.00 Swiss francs"),
            ("en", "1.5", "KWD", Width::Symbol, "KWD\u{a0}1.500"),
        ] {
            assert_eq!(write(tag, amount, code, width).as_deref(), Ok(expected), "{tag} {code}");
        }
    }

    #[test]
    fn a_currency_that_does_not_exist_is_refused() {
        for code in ["EURO", "eur", "", "€", "QQQ", "E1R"] {
            assert!(write("de", "1", code, Width::Symbol).is_err(), "{code} was taken");
        }
    }
}
