//! One value of a file: read as the type that is wanted, or complained about where it stands.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problem::Complaint;
use super::reader::{Doc, Name, Section, type_name};

/// A key and its value.
#[derive(Clone)]
pub struct Field<'d> {
    doc: &'d Doc<'d>,
    name: Name,
    /// The key.
    pub key: &'d str,
    key_span: Range<usize>,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Field<'d> {
    pub(super) fn new(
        doc: &'d Doc<'d>,
        name: Name,
        key: &'d Spanned<DeString<'d>>,
        value: &'d Spanned<DeValue<'d>>,
    ) -> Self {
        Self { doc, name, key: key.get_ref(), key_span: key.span(), value }
    }

    /// Complains about the value.
    pub fn error(&self, complaint: impl Into<Complaint>) {
        self.doc.error(&self.value.span(), complaint);
    }

    /// Complains about a part of a text value; the range is within the text. Where the file writes the text with
    /// escapes its parts cannot be told, so that it is about the whole value.
    pub fn error_within(&self, part: &Range<usize>, complaint: impl Into<Complaint>) {
        self.doc.error(&self.part(part), complaint);
    }

    /// Warns about a part of a text value, as [`Field::error_within`] complains.
    pub fn warn_within(&self, part: &Range<usize>, complaint: impl Into<Complaint>) {
        self.doc.warn(&self.part(part), complaint);
    }

    fn part(&self, part: &Range<usize>) -> Range<usize> {
        let span = self.value.span();
        let found = self.value.get_ref().as_str().and_then(|text| self.doc.text.get(span.clone())?.find(text));
        let start = found.filter(|offset| *offset > 0).map(|offset| span.start + offset);
        start.map_or(span, |start| start + part.start..start + part.end)
    }

    /// Warns about the value.
    pub fn warn(&self, complaint: impl Into<Complaint>) {
        self.doc.warn(&self.value.span(), complaint);
    }

    /// Complains about the key.
    pub fn key_error(&self, complaint: impl Into<Complaint>) {
        self.doc.error(&self.key_span, complaint);
    }

    /// Warns about the key.
    pub fn key_warn(&self, complaint: impl Into<Complaint>) {
        self.doc.warn(&self.key_span, complaint);
    }

    /// The value as it was parsed.
    pub fn raw(&self) -> &'d DeValue<'d> {
        self.value.get_ref()
    }

    fn mismatch<T>(&self, wanted: &str, hint: &str) -> Option<T> {
        let found = type_name(self.value.get_ref());
        self.error(Complaint::new(format!("`{}` must be {wanted}, not {found}", self.key)).hint(hint));
        None
    }

    /// The value as text.
    pub fn text(&self) -> Option<&'d str> {
        match self.value.get_ref().as_str() {
            Some(text) => Some(text),
            None => self.mismatch("text", "put it in quotes"),
        }
    }

    /// The value as text that `read` understands.
    pub fn parsed<T, C: Into<Complaint>>(&self, read: impl FnOnce(&'d str) -> Result<T, C>) -> Option<T> {
        read(self.text()?).map_err(|complaint| self.error(complaint)).ok()
    }

    /// The value as a finite number within a range; `wanted` names the range.
    pub fn number(&self, wanted: &str, range: impl std::ops::RangeBounds<f64>) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|i| i as f64),
            _ => return self.mismatch(wanted, "write it without quotes, as in 0.5 or 20"),
        };
        let number = number.filter(|number: &f64| number.is_finite() && range.contains(number));
        if number.is_none() {
            self.error(format!("`{}` must be {wanted}", self.key));
        }
        number
    }

    /// The value as a whole number that fits its type and is at least `least`.
    pub fn count<T: TryFrom<i64> + PartialOrd + std::fmt::Display + Copy>(&self, least: T) -> Option<T> {
        let DeValue::Integer(integer) = self.value.get_ref() else {
            return self.mismatch("a whole number", "write it without quotes, as in 10");
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok().and_then(|i| T::try_from(i).ok());
        let number = number.filter(|number| *number >= least);
        if number.is_none() {
            self.error(format!("`{}` must be a whole number from {least} up, and not so large", self.key));
        }
        number
    }

    /// The value as a list of whole numbers from 1 up; not an empty one.
    pub fn counts(&self) -> Option<Vec<u32>> {
        let hint = "write a list such as [200, 500, 1000]";
        let Some(items) = self.value.get_ref().as_array() else {
            return self.mismatch("a list of whole numbers", hint);
        };
        let number = |item: &DeValue<'_>| match item {
            DeValue::Integer(integer) => u32::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let numbers: Option<Vec<u32>> =
            items.iter().map(|item| number(item.get_ref()).filter(|number| *number > 0)).collect();
        let numbers = numbers.filter(|numbers| !numbers.is_empty());
        if numbers.is_none() {
            self.error(Complaint::new(format!("`{}` must hold whole numbers from 1 up", self.key)).hint(hint));
        }
        numbers
    }

    /// The value as a day, written without quotes.
    pub fn date(&self) -> Option<jiff::civil::Date> {
        let hint = "write it without quotes, as in 2026-12-01";
        let DeValue::Datetime(time) = self.value.get_ref() else { return self.mismatch("a day", hint) };
        let day = Some(time).filter(|time| time.time.is_none() && time.offset.is_none());
        let day = day.and_then(|time| time.to_string().parse().ok());
        if day.is_none() {
            self.error(Complaint::new(format!("`{}` must be a day, without a time", self.key)).hint(hint));
        }
        day
    }

    /// The value as `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match self.value.get_ref().as_bool() {
            Some(value) => Some(value),
            None => self.mismatch("true or false", "write it without quotes"),
        }
    }

    /// The value as a list of texts.
    pub fn texts(&self) -> Option<Vec<&'d str>> {
        let hint = "write a list such as [\"a\", \"b\"]";
        let Some(items) = self.value.get_ref().as_array() else { return self.mismatch("a list of texts", hint) };
        let texts: Option<Vec<_>> = items.iter().map(|item| item.get_ref().as_str()).collect();
        if texts.is_none() {
            self.error(Complaint::new(format!("`{}` must hold nothing but texts", self.key)).hint(hint));
        }
        texts
    }

    /// The value as a list of texts, each as `read` understands it; what it does not understand is complained about
    /// where it stands, and left out.
    pub fn list<T>(&self, read: impl Fn(&'d str) -> Result<T, Complaint>) -> Vec<T> {
        if self.texts().is_none() {
            return Vec::new();
        }
        let items = self.value.get_ref().as_array().into_iter().flat_map(|items| items.iter());
        let read = |item: &'d Spanned<DeValue<'d>>| {
            read(item.get_ref().as_str()?).map_err(|complaint| self.doc.error(&item.span(), complaint)).ok()
        };
        items.filter_map(read).collect()
    }

    /// Reads the value as a table; an empty one where it is something else.
    pub fn section<R>(&self, read: impl FnOnce(&Section<'d>) -> R) -> R {
        let table = self.value.get_ref().as_table();
        if table.is_none() {
            let found = type_name(self.value.get_ref());
            let complaint = Complaint::new(format!("`{}` must be a section, not {found}", self.key));
            self.error(complaint.hint(format!("write [{}] on a line of its own, and its keys below", self.name.shown)));
        }
        Section::read(self.doc, self.name.clone(), table, Some(self.key_span.clone()), read)
    }

    /// The value as a list of tables, each with the range that stands for it.
    pub(super) fn tables(&self) -> Option<Vec<(&'d DeTable<'d>, Range<usize>)>> {
        let hint = format!("write [[{}]] on a line of its own, and its keys below", self.name.shown);
        let Some(items) = self.value.get_ref().as_array() else { return self.mismatch("a list of sections", &hint) };
        let tables: Option<_> = items.iter().map(|item| Some((item.get_ref().as_table()?, item.span()))).collect();
        if tables.is_none() {
            self.error(Complaint::new(format!("`{}` must hold nothing but sections", self.key)).hint(hint));
        }
        tables
    }

    /// The value as JSON; dates and times become text.
    pub fn json(&self) -> serde_json::Value {
        json(self.value.get_ref())
    }
}

/// A value as JSON; dates and times become text.
pub(super) fn json(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| integer.to_string().into(), serde_json::Value::from),
        DeValue::Float(float) => float.as_str().parse::<f64>().map_or(serde_json::Value::Null, serde_json::Value::from),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
        }
    }
}
