//! Puts layouts and partials in place, so that links can be numbered over the whole mail and errors
//! still name the file they stand in.
//!
//! Parameters of a partial become the block `__scope` around its text. Partials are found by their
//! path under `templates/` without its ending: a MJML template takes `.mjml` before `.hbs`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use handlebars::Template;

use super::problem::{TemplateProblem, nearest, problem};
use super::tag::{Kind, Tag, closing, scan, with_own_line};
use super::traced::{Place, Traced};

/// The ending of HTML and text templates.
const HBS: &str = ".hbs";
/// The ending of MJML templates.
pub(super) const MJML: &str = ".mjml";

/// What a template's text may refer to where it is included.
#[derive(Clone, Default)]
struct Surroundings {
    /// Files that are being included, outermost first.
    open: Vec<String>,
    /// What `@partial-block` stands for.
    block: Option<Rc<Traced>>,
    /// What `{{#*inline}}` has defined.
    inlines: BTreeMap<String, Rc<Traced>>,
}

struct Unit<'a> {
    source: &'a str,
    tags: Vec<Tag>,
    start: Place,
}

struct Flattener<'a> {
    files: &'a BTreeMap<String, String>,
    /// Endings of partials, the preferred one first.
    endings: &'static [&'static str],
    problems: &'a mut Vec<TemplateProblem>,
}

/// A file's text with everything that it includes. Faults are added to `problems`.
pub(super) fn flatten(
    path: &str,
    files: &BTreeMap<String, String>,
    problems: &mut Vec<TemplateProblem>,
) -> Option<Traced> {
    let endings: &[&str] = if path.ends_with(MJML) { &[MJML, HBS] } else { &[HBS] };
    let mut flattener = Flattener { files, endings, problems };
    let mut out = Traced::default();
    flattener.file(path, &mut Surroundings::default(), &mut out)?;
    Some(out)
}

impl Flattener<'_> {
    fn file(&mut self, path: &str, around: &mut Surroundings, out: &mut Traced) -> Option<()> {
        let files = self.files;
        let source = files.get(path)?;
        let start = Place::start(path);
        if let Err(e) = Template::compile(source) {
            let (line, column) = e.pos().unwrap_or((1, 1));
            let reason = e.reason().to_string();
            self.problems.push(problem(&Place { line, column, ..start }, reason.replace('\n', " "), None));
            return Some(());
        }
        match scan(source) {
            Ok(tags) => {
                let unit = Unit { source, tags, start };
                around.open.push(path.to_owned());
                self.part(&unit, 0..unit.tags.len(), 0..source.len(), around, out);
                around.open.pop();
            }
            Err(at) => {
                let place = start.after(&source[..at]);
                self.problems.push(problem(&place, "this tag is never closed".into(), None));
            }
        }
        Some(())
    }

    fn part(
        &mut self,
        unit: &Unit<'_>,
        tags: Range<usize>,
        text: Range<usize>,
        around: &mut Surroundings,
        out: &mut Traced,
    ) {
        let mut at = text.start;
        let mut next = tags.start;
        while next < tags.end {
            let tag = &unit.tags[next];
            let line = with_own_line(unit.source, &tag.range);
            let line = line.start.max(at)..line.end.min(text.end);
            if matches!(tag.kind, Kind::Comment | Kind::Partial | Kind::PartialBlock | Kind::Inline) {
                unit.copy(at..line.start, out);
                at = line.end;
            }
            next = match tag.kind {
                Kind::Partial => {
                    self.include(unit, tag, None, around, out);
                    next + 1
                }
                Kind::PartialBlock | Kind::Inline => {
                    let Some(close) = closing(&unit.tags, next).filter(|c| *c < tags.end) else { return };
                    let end = with_own_line(unit.source, &unit.tags[close].range);
                    let mut within = around.clone();
                    let mut body = Traced::default();
                    self.part(unit, next + 1..close, at..end.start.max(at), &mut within, &mut body);
                    if tag.kind == Kind::Inline {
                        let name = tag.body(unit.source).trim_matches(['"', '\'']).to_owned();
                        around.inlines.insert(name, Rc::new(body));
                    } else {
                        within.block = Some(Rc::new(body));
                        self.include(unit, tag, Some(within), around, out);
                    }
                    at = end.end.min(text.end);
                    close + 1
                }
                _ => next + 1,
            };
        }
        unit.copy(at..text.end, out);
    }

    /// Writes the partial that a tag names; `within` is the tag's own block.
    fn include(
        &mut self,
        unit: &Unit<'_>,
        tag: &Tag,
        within: Option<Surroundings>,
        around: &Surroundings,
        out: &mut Traced,
    ) {
        let place = unit.start.after(&unit.source[..tag.range.start]);
        let body = tag.body(unit.source);
        let (name, arguments) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        let name = name.trim_matches(['"', '\'', '[', ']']);
        let arguments = arguments.trim();
        if !arguments.is_empty() {
            out.push(&format!("{{{{#__scope {arguments}}}}}"), place.clone());
        }
        let mut inner = within.clone().unwrap_or_else(|| Surroundings { block: None, ..around.clone() });
        let paths = || self.endings.iter().map(|ending| format!("templates/{name}{ending}"));
        let path = paths().find(|path| self.files.contains_key(path)).unwrap_or_default();
        if name == "@partial-block" {
            match around.block.as_ref().or(within.as_ref().and_then(|w| w.block.as_ref())) {
                Some(block) => out.push_part(block, 0..block.text().len()),
                None => self.problems.push(problem(
                    &place,
                    "nothing is given for @partial-block here".into(),
                    Some("include this file as a block: {{#> NAME}} … {{/NAME}}".into()),
                )),
            }
        } else if let Some(inline) = around.inlines.get(name) {
            out.push_part(inline, 0..inline.text().len());
        } else if around.open.contains(&path) {
            self.problems.push(problem(&place, format!("'{name}' includes itself"), None));
        } else if self.file(&path, &mut inner, out).is_none() {
            match within.and_then(|w| w.block).filter(|_| !name.contains('/')) {
                Some(fallback) => out.push_part(&fallback, 0..fallback.text().len()),
                None => self.unknown(name, &place),
            }
        }
        if !arguments.is_empty() {
            out.push("{{/__scope}}", place);
        }
    }

    fn unknown(&mut self, name: &str, place: &Place) {
        let known = self.files.keys().filter_map(|p| p.strip_prefix("templates/")?.rsplit_once('.'));
        let known = known.filter(|(_, ending)| self.endings.iter().any(|e| e[1..] == **ending)).map(|(name, _)| name);
        let hint = nearest(name, known).map_or_else(
            || format!("it would be templates/{name}{}", self.endings[0]),
            |near| format!("did you mean '{near}'?"),
        );
        self.problems.push(problem(place, format!("there is no layout or partial '{name}'"), Some(hint)));
    }
}

impl Unit<'_> {
    fn copy(&self, range: Range<usize>, out: &mut Traced) {
        let place = self.start.after(&self.source[..range.start]);
        out.push(&self.source[range], place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(files: &[(&str, &str)]) -> (String, Vec<String>) {
        let files = files.iter().map(|(p, t)| (format!("templates/{p}.hbs"), (*t).to_owned())).collect();
        let mut problems = Vec::new();
        let text = flatten("templates/main.hbs", &files, &mut problems);
        (text.unwrap().text().to_owned(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_layout_surrounds_the_block_and_takes_inline_parts() {
        let (text, problems) = flat(&[
            (
                "main",
                "{{#> layouts/base}}\n{{#*inline \"head\"}}H{{/inline}}\nBody {{> partials/sig}}\n{{/layouts/base}}\n",
            ),
            ("layouts/base", "<{{> head}}|{{#> foot}}F{{/foot}}>\n{{> @partial-block}}"),
            ("partials/sig", "-- {{sender.from_name}}"),
        ]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(text, "<H|F>\n\nBody -- {{sender.from_name}}\n");
    }

    #[test]
    fn parameters_become_a_scope() {
        let (text, _) = flat(&[("main", "{{> b url=\"x\" label=first_name}}"), ("b", "{{label}}")]);
        assert_eq!(text, "{{#__scope url=\"x\" label=first_name}}{{label}}{{/__scope}}");
    }

    #[test]
    fn faults_name_file_line_and_column() {
        let (_, problems) =
            flat(&[("main", "a\n {{> partials/foter}}{{> self}}"), ("partials/footer", ""), ("self", "{{> self}}")]);
        assert_eq!(
            problems,
            [
                "templates/main.hbs:2:2: there is no layout or partial 'partials/foter' (did you mean 'partials/footer'?)",
                "templates/self.hbs:1:1: 'self' includes itself",
            ]
        );
        let (_, problems) = flat(&[("main", "{{> b}}"), ("b", "x\n{{#if a}}")]);
        assert!(problems[0].starts_with("templates/b.hbs:2:"), "{problems:?}");
    }
}
