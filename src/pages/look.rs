//! Templates and style: the sender's own over the built-in ones, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::{Handlebars, RenderError, Template, html_escape};

use super::html::Fixed;
use super::samples::samples;
use crate::config::problem::{Complaint, Place, Problem, Severity, name_hint};
use crate::config::{Look, PAGES, STYLE};

/// Those that a sender may write anew, by name: the page around everything, and its parts.
pub const TEMPLATES: [(&str, &str); 10] = [
    ("page", include_str!("templates/page.hbs")),
    ("keep", include_str!("templates/keep.hbs")),
    ("leave", include_str!("templates/leave.hbs")),
    ("preferences", include_str!("templates/preferences.hbs")),
    ("why", include_str!("templates/why.hbs")),
    ("join", include_str!("templates/join.hbs")),
    ("confirm", include_str!("templates/confirm.hbs")),
    ("own", include_str!("templates/own.hbs")),
    ("fresh", include_str!("templates/fresh.hbs")),
    ("step", include_str!("templates/step.hbs")),
];
/// Which parts a page has; a layout puts it where it likes.
const SECTIONS: &str = include_str!("templates/sections.hbs");
/// The built-in style, which the sender's own comes behind.
pub const BUILT_IN_STYLE: &str = include_str!("templates/style.css");
/// Under `templates/pages/`: parts that the sender's own templates share.
const PARTIALS: &str = "partials/";

/// What the Content-Security-Policy would silence: what it is called, and how it is written.
const SILENCED: [(&str, &str); 5] = [
    ("<script", "no script runs on these pages"),
    ("<iframe", "nothing from elsewhere is loaded into these pages"),
    ("<link", "styles stand in templates/pages/style.css"),
    (" style=", "styles stand in templates/pages/style.css"),
    (" src=\"http", "nothing from elsewhere is loaded into these pages; a small picture may stand in a data: URL"),
];
/// What in a style would end it, or load another.
const STYLE_SILENCED: [(&str, &str); 2] = [
    ("</style", "the style stands in the page, and this would end it"),
    ("@import", "nothing from elsewhere is loaded into these pages"),
];

/// The registry with the sender's templates, and the style.
pub(super) fn compile(look: &Look) -> Result<(Handlebars<'static>, String), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut registry = built_in();
    for (path, text) in &look.templates {
        match own(path, text) {
            Ok((name, template)) => registry.register_template(&name, template),
            Err(found) => problems.extend(found),
        }
    }
    let own_style = look.style.as_deref().unwrap_or_default();
    problems.extend(STYLE_SILENCED.iter().filter_map(|(text, hint)| silenced(STYLE, own_style, text, hint)));
    problems.extend(loading(own_style));
    if problems.is_empty() && !look.templates.is_empty() {
        problems = tried(&registry, look);
    }
    if problems.is_empty() { Ok((registry, format!("{BUILT_IN_STYLE}{own_style}"))) } else { Err(problems) }
}

/// The registry without anything of the sender.
pub(super) fn built_in() -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    for (name, text) in TEMPLATES.into_iter().chain([("sections", SECTIONS)]) {
        registry.register_template_string(name, text).expect("the built-in templates are in order");
    }
    registry
}

/// A template of the sender under its name.
fn own(path: &str, text: &str) -> Result<(String, Template), Vec<Problem>> {
    let name = path.strip_prefix(PAGES).and_then(|rest| rest[1..].strip_suffix(".hbs")).unwrap_or(path);
    let known = TEMPLATES.map(|(name, _)| name);
    if !known.contains(&name) && !name.starts_with(PARTIALS) {
        let hint = name_hint(name, known).map(|hint| format!("{hint}; own parts go to {PAGES}/{PARTIALS}"));
        let complaint = Complaint { message: format!("pages have no template `{name}`"), hint };
        return Err(vec![Problem::about_file(path, complaint)]);
    }
    let problems: Vec<_> = SILENCED.iter().filter_map(|(what, hint)| silenced(path, text, what, hint)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    match Template::compile_with_name(text, name.to_owned()) {
        Ok(template) => Ok((name.to_owned(), template)),
        Err(error) => {
            let reason = error.reason().to_string();
            let message = reason.lines().next_back().unwrap_or(&reason).trim_start_matches([' ', '=']).to_owned();
            Err(vec![at(path, text, error.pos(), Complaint::new(message))])
        }
    }
}

/// What goes wrong when every page is rendered in every language, and what the built-in pages have that these lack.
fn tried(registry: &Handlebars<'_>, look: &Look) -> Vec<Problem> {
    let (reference, fixed) = (built_in(), Fixed::sample());
    let mut problems: Vec<Problem> = Vec::new();
    let (mut lacking, mut unsaid) = (BTreeSet::new(), BTreeMap::new());
    for (wording, view) in
        look.wordings.iter().flat_map(|wording| samples().into_iter().map(move |view| (wording, view)))
    {
        match fixed.render(registry, &view, wording) {
            Ok(own) => {
                let built_in = fixed.render(&reference, &view, wording).unwrap_or_default();
                lacking.extend(controls(&built_in).filter(|tag| !own.contains(tag)).map(|tag| tag.trim().to_owned()));
                for (part, said) in
                    view.agreed(wording).into_iter().filter(|(_, said)| !own.contains(&html_escape(said)))
                {
                    unsaid.entry(part).or_insert_with(|| said.to_owned());
                }
            }
            Err(error) => {
                let problem = failed(&error, look);
                problems.extend((!problems.contains(&problem)).then_some(problem));
            }
        }
    }
    problems.extend(lacking.iter().map(|tag| lacks(tag, look)));
    if problems.is_empty() {
        problems.extend(unsaid.iter().map(|(part, said)| leaves_out(part, said, look)));
    }
    problems
}

/// What a page must have and does not: told of the template that the built-in one stands in.
fn lacks(tag: &str, look: &Look) -> Problem {
    let path = |name: &str| format!("{PAGES}/{name}.hbs");
    let parts = TEMPLATES.iter().filter(|(name, text)| text.contains(tag) && look.templates.contains_key(&path(name)));
    let name = parts.map(|(name, _)| *name).next().unwrap_or("page");
    let hint =
        format!("without it the page does not work; `colloquy pages show {name}.hbs` prints a template that has it");
    Problem::about_file(&path(name), Complaint::new(format!("{tag} is missing")).hint(hint))
}

/// What somebody agrees to and does not see: told of the part that says it, or of the page that has no place for it.
fn leaves_out(part: &str, said: &str, look: &Look) -> Problem {
    let path = |name: &str| format!("{PAGES}/{name}.hbs");
    let name = if look.templates.contains_key(&path(part)) { part } else { "page" };
    let hint = format!(
        "what is agreed to is proved by what the page says; `colloquy pages show {name}.hbs` prints a template that has it"
    );
    Problem::about_file(&path(name), Complaint::new(format!("`{said}` is missing")).hint(hint))
}

/// What makes forms work, and the language and title that readers' tools need: `name="…"` of fields and the like.
fn controls(html: &str) -> impl Iterator<Item = &str> {
    let part = |start: &'static str| html.match_indices(start).filter_map(|(at, _)| quoted(&html[at..]));
    let found = part(" name=\"").chain(part(" lang=\"")).chain(part(" method=\""));
    found.filter(|part| *part != " name=\"viewport\"")
}

/// The beginning of the text through its second quote.
fn quoted(text: &str) -> Option<&str> {
    let open = text.find('"')?;
    let close = text[open + 1..].find('"')?;
    text.get(..open + close + 2)
}

fn failed(error: &RenderError, look: &Look) -> Problem {
    let name = error.template_name.clone().unwrap_or_else(|| "page".to_owned());
    let path = format!("{PAGES}/{name}.hbs");
    let text = look.templates.get(&path).map(String::as_str).unwrap_or_default();
    let place = error.line_no.zip(error.column_no);
    let complaint = Complaint::new(error.reason().to_string());
    let hint = format!("`colloquy pages show {name}.hbs` prints a template that works");
    at(&path, text, place, complaint.hint(hint))
}

/// The first address in a style that is not written out in place.
fn loading(style: &str) -> Option<Problem> {
    let addresses = style.match_indices("url(").map(|(at, open)| at + open.len());
    let elsewhere = |at: &usize| {
        let address = style[*at..].trim_start_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        !address.starts_with("data:") && !address.starts_with('#')
    };
    let at = addresses.into_iter().find(elsewhere)?;
    let length = style[at..].find(')').unwrap_or(1);
    let complaint = Complaint::new("nothing from elsewhere is loaded into these pages");
    let problem = Problem::about_file(STYLE, complaint.hint("a small picture may stand in a data: URL"));
    Some(Problem { place: Some(Place::of(style, &(at..at + length))), ..problem })
}

fn silenced(path: &str, text: &str, what: &str, hint: &str) -> Option<Problem> {
    let start = text.to_ascii_lowercase().find(what)?;
    let place = Place::of(text, &(start..start + what.len()));
    let complaint = Complaint::new(format!("`{}` does not work on these pages", what.trim()));
    Some(Problem { place: Some(place), ..Problem::about_file(path, complaint.hint(hint)) })
}

/// A problem at a line and column, both from 1.
fn at(path: &str, text: &str, place: Option<(usize, usize)>, complaint: Complaint) -> Problem {
    let place = place.map(|(line, column)| {
        let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let within = text[start..].char_indices().nth(column.saturating_sub(1)).map_or(0, |(i, _)| i);
        Place::of(text, &(start + within..start + within + 1))
    });
    let Complaint { message, hint } = complaint;
    Problem { severity: Severity::Error, file: path.to_owned(), place, message, hint }
}
