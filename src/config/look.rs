//! How pages look and what they say: `templates/pages/`. Languages are checked here; templates and the style are
//! texts here, which the pages judge.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use icu_locale::{LanguageIdentifier, LocaleDirectionality};

use super::check;
use super::files::{FileError, ProjectFiles};
use super::problem::{Complaint, Problem, Severity};
use super::reader::{Doc, Section};
use crate::domain::language::lookup;
use crate::domain::wording::{Wording, places};

/// Where a project keeps them.
pub const PAGES: &str = "templates/pages";
/// The style that comes behind the built-in one.
pub const STYLE: &str = "templates/pages/style.css";

/// Tag and text; the first is the one that all others are measured by.
pub const BUILT_IN_LANGUAGES: [(&str, &str); 2] =
    [("en", include_str!("languages/en.toml")), ("de", include_str!("languages/de.toml"))];

static WORDINGS: LazyLock<Vec<Wording>> = LazyLock::new(|| {
    let read = |(tag, text): (&str, &str)| {
        let sentences: BTreeMap<String, String> = toml::from_str(text).expect("the built-in languages are in order");
        Wording { tag: tag.to_owned(), right_to_left: is_right_to_left(tag), sentences }
    };
    BUILT_IN_LANGUAGES.map(read).into()
});

/// What `templates/pages/` says, over what is built in.
#[derive(Clone, Debug)]
pub struct Look {
    /// The languages that pages speak, English first.
    pub wordings: Vec<Wording>,
    /// The sender's own style.
    pub style: Option<String>,
    /// The sender's own templates: paths and texts.
    pub templates: BTreeMap<String, String>,
}

impl Default for Look {
    fn default() -> Self {
        Self { wordings: WORDINGS.clone(), style: None, templates: BTreeMap::new() }
    }
}

impl ProjectFiles {
    /// The paths under `templates/pages/` that are no templates: languages and the style.
    pub(super) fn looks(&self) -> Result<Vec<String>, FileError> {
        let mut paths = self.list(PAGES, "toml")?;
        paths.extend(self.list(PAGES, "css")?);
        Ok(paths)
    }
}

/// Reads all of it. What is wrong with a frozen look is told and passed over: sentences come and go with releases, and
/// no mail should wait for that.
pub(super) fn read(files: &ProjectFiles, problems: &mut Vec<Problem>) -> Look {
    let mut found = Vec::new();
    let look = read_strictly(files, &mut found);
    let frozen = matches!(files, ProjectFiles::Frozen(_));
    let severity = |problem: &Problem| if frozen { Severity::Warning } else { problem.severity };
    problems.extend(found.into_iter().map(|problem| Problem { severity: severity(&problem), ..problem }));
    look
}

fn read_strictly(files: &ProjectFiles, problems: &mut Vec<Problem>) -> Look {
    let mut look = Look::default();
    let listed = files.looks().and_then(|mut paths| {
        paths.extend(files.list(PAGES, "hbs")?);
        Ok(paths)
    });
    let paths = listed.unwrap_or_else(|error| {
        problems.push(Problem::about_file(&error.path, error.to_string()));
        Vec::new()
    });
    for path in paths {
        let Some(text) = super::read(files, &path, problems) else { continue };
        if path.ends_with(".hbs") {
            look.templates.insert(path, text);
        } else if path == STYLE {
            look.style = Some(text);
        } else if let Some(name) = path.strip_prefix(PAGES).and_then(|rest| rest[1..].strip_suffix(".toml")) {
            match check::language(name) {
                Ok(tag) => {
                    let wording = language(&path, &text, tag, problems);
                    look.wordings.retain(|known| known.tag != wording.tag);
                    look.wordings.push(wording);
                }
                Err(complaint) => problems.push(Problem::about_file(&path, named(complaint))),
            }
        } else {
            let complaint = Complaint::new("pages have one style, and it has another name");
            problems.push(Problem::about_file(&path, complaint.hint(format!("call it {STYLE}"))));
        }
    }
    // Whoever wishes nothing that is spoken here gets the first.
    look.wordings.sort_by_key(|wording| (wording.tag != BUILT_IN_LANGUAGES[0].0, wording.tag.clone()));
    look
}

fn named(complaint: Complaint) -> Complaint {
    Complaint { message: format!("{}: the file's name is the language's", complaint.message), ..complaint }
}

/// A language of the project. What it leaves out is said in the built-in language that is nearest.
fn language(path: &str, text: &str, tag: String, problems: &mut Vec<Problem>) -> Wording {
    let tags: Vec<_> = WORDINGS.iter().map(|wording| wording.tag.as_str()).collect();
    let near = lookup(&tag, &tags).map(|i| &WORDINGS[i]);
    let mut sentences = near.unwrap_or(&WORDINGS[0]).sentences.clone();
    let doc = Doc::plain(path, text);
    let read = doc.read(told);
    problems.extend(doc.into_problems());
    let readable = read.is_some();
    let told = read.unwrap_or_default();
    let missing: Vec<_> = sentences.keys().filter(|name| !told.contains_key(*name)).map(|n| format!("`{n}`")).collect();
    if readable && near.is_none() && !missing.is_empty() {
        let complaint = Complaint::new(format!("not everything is said in {tag}: {}", missing.join(", ")));
        let hint = "pages say it in English; `colloquy pages show en.toml` prints them all";
        let warning = Problem::about_file(path, complaint.hint(hint));
        problems.push(Problem { severity: Severity::Warning, ..warning });
    }
    sentences.extend(told);
    Wording { right_to_left: is_right_to_left(&tag), tag, sentences }
}

/// The sentences that a file has, each with the same places as the English one.
fn told(root: &Section<'_>) -> BTreeMap<String, String> {
    let sentence = |(name, english): (&'static String, &String)| {
        let text = root.field(name)?;
        let sentence = text.text()?;
        if sentence.trim().is_empty() {
            text.error(Complaint::new("this says nothing").hint("leave the key out to keep the built-in sentence"));
        }
        let (ours, own) = (places(english), places(sentence));
        if let Some(place) = own.iter().find(|place| !ours.contains(place)) {
            let known = ours.iter().map(|place| format!("{{{place}}}")).collect::<Vec<_>>().join(", ");
            let hint =
                if known.is_empty() { "nothing is filled in here".to_owned() } else { format!("known: {known}") };
            text.error(Complaint::new(format!("nothing is filled in for {{{place}}}")).hint(hint));
        }
        if let Some(place) = ours.iter().find(|place| !own.contains(place)) {
            let complaint = Complaint::new(format!("this sentence lacks {{{place}}}"));
            text.error(complaint.hint(format!("in English it is: {english}")));
        }
        Some((name.clone(), sentence.to_owned()))
    };
    WORDINGS[0].sentences.iter().filter_map(sentence).collect()
}

fn is_right_to_left(tag: &str) -> bool {
    let language: Result<LanguageIdentifier, _> = tag.parse();
    language.is_ok_and(|language| LocaleDirectionality::new_extended().is_right_to_left(&language))
}
