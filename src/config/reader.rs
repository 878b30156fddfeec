//! Walks a parsed TOML file. Every complaint gets the place of its key or value; a key that nobody asked for is
//! reported when its section has been read.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::credentials::masked;
use super::keys::{self, Key};
use super::problem::{Complaint, Place, Problem, Severity, name_hint};
use super::value::Field;

/// One file while it is read, and what was found wrong with it.
pub struct Doc<'d> {
    path: &'d str,
    pub(super) text: &'d str,
    secret: bool,
    /// What it may hold; none where that is nobody else's business.
    keys: Option<&'static [Key]>,
    problems: RefCell<Vec<Problem>>,
}

impl<'d> Doc<'d> {
    /// A file whose lines may be shown.
    pub fn new(path: &'d str, text: &'d str, keys: &'static [Key]) -> Self {
        Self { path, text, secret: false, keys: Some(keys), problems: RefCell::default() }
    }

    /// A file whose lines are never shown.
    pub fn secret(path: &'d str, text: &'d str) -> Self {
        Self { path, text, secret: true, keys: None, problems: RefCell::default() }
    }

    /// A file whose lines may be shown and whose keys are told elsewhere.
    pub fn plain(path: &'d str, text: &'d str) -> Self {
        Self { path, text, secret: false, keys: None, problems: RefCell::default() }
    }

    /// Parses the text and hands its top level to `read`; where the syntax is at fault there is nothing to read.
    pub fn read<R>(&self, read: impl FnOnce(&Section<'_>) -> R) -> Option<R> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            self.error(&error.span().unwrap_or_default(), error.message());
        }
        errors.is_empty().then(|| Section::read(self, Name::default(), Some(table.get_ref()), None, read))
    }

    /// Reports faults of the syntax alone; there is nothing to read.
    pub fn check_syntax<R>(&self) -> Option<R> {
        self.read(|root| root.open.set(true)).and(None)
    }

    /// Hands what can be read of the text to `read`; neither faults of the syntax nor keys that nobody asks for at the
    /// top level are reported.
    pub fn read_recovered<R>(&self, read: impl FnOnce(&Section<'_>) -> R) -> R {
        let (table, _) = DeTable::parse_recoverable(self.text);
        let root =
            Section { open: Cell::new(true), ..Section::new(self, Name::default(), Some(table.get_ref()), None) };
        read(&root)
    }

    /// The description of a place; none where nothing is described.
    fn described(&self, place: &str) -> Option<&'static Key> {
        self.keys.and_then(|keys| keys::find(keys, place))
    }

    /// Stops a reader that asks for what editors are not told of, the first time that a test reads the section.
    fn must_describe(&self, place: &str) {
        debug_assert!(
            self.keys.is_none() || self.described(place).is_some(),
            "`{place}` is asked for and not described; add it under src/config/keys/"
        );
    }

    /// Reports an error at a range of the text.
    pub fn error(&self, span: &Range<usize>, complaint: impl Into<Complaint>) {
        self.report(Severity::Error, Some(span), &complaint.into());
    }

    /// Reports a warning at a range of the text.
    pub fn warn(&self, span: &Range<usize>, complaint: impl Into<Complaint>) {
        self.report(Severity::Warning, Some(span), &complaint.into());
    }

    fn report(&self, severity: Severity, span: Option<&Range<usize>>, complaint: &Complaint) {
        let place = span.map(|span| {
            let place = Place::of(self.text, span);
            Place { text: if self.secret { String::new() } else { masked(&place.text) }, ..place }
        });
        let (message, hint) = (masked(&complaint.message), complaint.hint.as_deref().map(masked));
        self.problems.borrow_mut().push(Problem { severity, file: self.path.into(), place, message, hint });
    }

    /// What was found, in the order of lines.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
        problems
    }
}

/// What a table is called.
#[derive(Clone, Debug, Default)]
pub(super) struct Name {
    /// As the file writes it: `relay.per_domain`.
    pub shown: String,
    /// As [`super::keys`] describes it: `relay[].per_domain`.
    pub place: String,
}

impl Name {
    /// What stands under a key of the table.
    pub fn key(&self, shown: &str, place: &str) -> Self {
        let join = |name: &str, key: &str| if name.is_empty() { key.into() } else { format!("{name}.{key}") };
        Self { shown: join(&self.shown, shown), place: join(&self.place, place) }
    }
}

/// A table of the file; empty when the file does not have it.
pub struct Section<'d> {
    doc: &'d Doc<'d>,
    name: Name,
    table: Option<&'d DeTable<'d>>,
    header: Option<Range<usize>>,
    asked: RefCell<Vec<&'static str>>,
    open: Cell<bool>,
}

impl<'d> Section<'d> {
    fn new(doc: &'d Doc<'d>, name: Name, table: Option<&'d DeTable<'d>>, header: Option<Range<usize>>) -> Self {
        Self { doc, name, table, header, asked: RefCell::default(), open: Cell::new(false) }
    }

    /// A section that the file does not have; `name` is empty for the top level.
    pub fn absent(doc: &'d Doc<'d>, name: &str) -> Self {
        Self::new(doc, Name::default().key(name, name), None, None)
    }

    pub(super) fn read<R>(
        doc: &'d Doc<'d>,
        name: Name,
        table: Option<&'d DeTable<'d>>,
        header: Option<Range<usize>>,
        read: impl FnOnce(&Self) -> R,
    ) -> R {
        let section = Self::new(doc, name, table, header);
        let result = read(&section);
        section.report_unasked();
        result
    }

    fn report_unasked(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if self.open.get() || asked.contains(&name) {
                continue;
            }
            let place = self.within();
            let hint = name_hint(name, asked.iter().copied());
            self.doc.error(&key.span(), Complaint { message: format!("unknown key `{name}`{place}"), hint });
        }
    }

    /// The key's value, if the file has it.
    pub fn field(&self, key: &'static str) -> Option<Field<'d>> {
        if !self.asked.borrow().contains(&key) {
            self.asked.borrow_mut().push(key);
        }
        let name = self.name.key(key, key);
        self.doc.must_describe(&name.place);
        let (found, value) = self.table?.get_key_value(key)?;
        Some(Field::new(self.doc, name, found, value))
    }

    /// All values, under whatever keys; afterwards no key of this section is unknown.
    pub fn fields(&self) -> Vec<Field<'d>> {
        self.open.set(true);
        if !self.name.place.is_empty() {
            self.doc.must_describe(&self.name.key("*", "*").place);
        }
        let field = |(key, value): (&'d Spanned<DeString<'d>>, _)| {
            let named = self.name.key(key.get_ref(), key.get_ref());
            let known = self.doc.described(&named.place).is_some();
            let name = if known { named } else { self.name.key(key.get_ref(), "*") };
            Field::new(self.doc, name, key, value)
        };
        self.table.into_iter().flatten().map(field).collect()
    }

    /// Lets keys that nobody has asked for pass.
    pub fn pass_over_others(&self) {
        self.open.set(true);
    }

    /// The values under keys that nobody has asked for; afterwards no key of this section is unknown.
    pub fn other_fields(&self) -> Vec<Field<'d>> {
        let mut fields = self.fields();
        fields.retain(|field| !self.asked.borrow().contains(&field.key));
        fields
    }

    /// Complains that a required key is missing; `example` shows how it is written.
    pub fn missing(&self, key: &str, example: &str) {
        let complaint = Complaint::new(format!("`{key}` is missing{}", self.within())).hint(format!("add {example}"));
        self.doc.report(Severity::Error, self.header.as_ref(), &complaint);
    }

    /// The value of a key that must be there; `example` shows how it is written.
    pub fn required(&self, key: &'static str, example: &str) -> Option<Field<'d>> {
        let place = self.name.key(key, key).place;
        debug_assert!(
            self.doc.described(&place).is_none_or(|key| key.required),
            "`{place}` is not described as required"
        );
        let field = self.field(key);
        if field.is_none() {
            self.missing(key, example);
        }
        field
    }

    /// Text under a key, as `read` understands it.
    pub fn parsed<T, C: Into<Complaint>>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'d str) -> Result<T, C>,
    ) -> Option<T> {
        self.field(key)?.parsed(read)
    }

    /// Reads the table under a key; an empty one where the file has none.
    pub fn section<R>(&self, key: &'static str, read: impl FnOnce(&Self) -> R) -> R {
        match self.field(key) {
            Some(field) => field.section(read),
            None => Self::read(self.doc, self.name.key(key, key), None, None, read),
        }
    }

    /// Reads each table of the list under a key.
    pub fn each<R>(&self, key: &'static str, mut read: impl FnMut(&Self) -> R) -> Vec<R> {
        let Some(field) = self.field(key) else { return Vec::new() };
        let name = self.name.key(key, &format!("{key}[]"));
        let Some(items) = field.tables() else { return Vec::new() };
        items
            .into_iter()
            .map(|(table, span)| Self::read(self.doc, name.clone(), Some(table), Some(span), &mut read))
            .collect()
    }

    /// Says where, in a complaint.
    fn within(&self) -> String {
        if self.name.shown.is_empty() { String::new() } else { format!(" in [{}]", self.name.shown) }
    }
}

/// The name of a value's type, with its article.
pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
