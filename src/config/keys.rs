//! Every key that the files may hold, described once: the readers ask for no other, and editors learn these from the
//! JSON Schema that [`super::schema`] makes of them.
//!
//! To add a key, describe it here under its path and ask for it in a reader. Whoever forgets the first is stopped in
//! [`super::reader::Section`] by the first test that reads the section; whoever forgets the second, by
//! `every_described_key_is_taken_by_its_reader`.

mod campaign;
mod project;

pub(super) use campaign::CAMPAIGN;
pub(super) use project::PROJECT;

/// A key, a section, or a list of sections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Where it stands: names joined by dots, `*` for a name that is free to choose, `[]` behind a list of sections.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether its section must have it.
    pub required: bool,
    /// What it means, a short sentence without its stop.
    pub doc: &'static str,
    /// How its value is written; for `*`, a name, and for a value its `name = value`.
    pub example: &'static str,
    /// The key in whose place it stands: the two exclude each other.
    pub instead_of: Option<&'static str>,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A section.
    Section,
    /// Sections under the same name, `[[so]]`.
    Sections,
    /// Text that the reader understands.
    Text,
    /// Text of this form (ECMA 262), for what an editor can judge.
    Form(&'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of whole numbers from this one up.
    Counts(i64),
    /// A whole number from this one up.
    Count(i64),
    /// A number between these two, both included.
    Number(f64, f64),
    /// `true` or `false`.
    Bool,
    /// A date with its time, without quotes.
    Time,
    /// A date, without quotes.
    Day,
    /// Anything; templates see it.
    Anything,
    /// Asked for only to say why it is refused; editors do not offer it.
    Refused,
}

/// A duration such as `6h`.
pub(super) const DURATION: Kind = Kind::Form("^[0-9]+[smhdw]$");
/// Text that says something.
pub(super) const LINE: Kind = Kind::Form("[^ \t]");
/// A rate such as `200/s`.
pub(super) const RATE: Kind = Kind::Form("^ *[0-9]+ */ *[smhd] *$");

impl Key {
    const fn new(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { path, kind, required: false, doc, example, instead_of: None }
    }

    const fn section(path: &'static str, doc: &'static str) -> Self {
        Self::new(path, Kind::Section, "", doc)
    }

    /// A section whose name is free to choose, as in `name`.
    const fn named(path: &'static str, name: &'static str, doc: &'static str) -> Self {
        Self::new(path, Kind::Section, name, doc)
    }

    const fn sections(path: &'static str, doc: &'static str) -> Self {
        Self::new(path, Kind::Sections, "", doc)
    }

    const fn refused(path: &'static str) -> Self {
        Self::new(path, Kind::Refused, "", "")
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn instead_of(self, other: &'static str) -> Self {
        Self { instead_of: Some(other), ..self }
    }

    /// The place that holds it, and its name there.
    pub fn parent(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }
}

/// Keys that both files have: a campaign's own come before the project's.
const PAUSE_AT_REJECTIONS: Key = Key::new(
    "limits.pause_at_rejections",
    Kind::Form("^[0-9.]+ *%$"),
    "\"5%\"",
    "A run pauses itself when this share of at least 200 answered messages is rejected",
);
const UTM: [Key; 6] = [
    Key::new("utm.source", LINE, "\"newsletter\"", "utm_source; default: newsletter"),
    Key::new("utm.medium", LINE, "\"email\"", "utm_medium; default: email"),
    Key::new("utm.campaign", LINE, "\"spring\"", "utm_campaign; default: the campaign's name"),
    Key::new("utm.term", LINE, "\"shoes\"", "utm_term"),
    Key::new("utm.content", LINE, "\"top\"", "utm_content"),
    Key::new("utm.only", Kind::Texts, "[\"*.shop.example.org\"]", "The hosts whose links get them; default: all"),
];

/// The description of a place.
pub(super) fn find<'k>(keys: &'k [Key], path: &str) -> Option<&'k Key> {
    keys.iter().find(|key| key.path == path)
}
