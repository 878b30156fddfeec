//! Puts layouts and partials in place, so that links can be numbered over the whole mail and errors
//! still name the file they stand in.
//!
//! Parameters of a partial become the block `__scope` around its text. Partials are found by their
//! path under `templates/` without its ending: a MJML template takes `.mjml` before `.hbs`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use handlebars::Template;

use super::problem::{TemplateProblem, nearest, problem, unreadable};
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
    block: Option<Rc<Block>>,
    /// What `{{#*inline}}` has defined.
    inlines: BTreeMap<String, Rc<Traced>>,
}

/// What stands in `{{#> …}}`.
struct Block {
    text: Traced,
    /// Whether it was put in somewhere.
    used: Cell<bool>,
}

struct Unit {
    source: Traced,
    tags: Vec<Tag>,
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
        let mut source = Traced::default();
        source.push(files.get(path)?, Place::start(path));
        if let Err(error) = Template::compile(source.text()) {
            self.problems.push(unreadable(&source, &error));
            return Some(());
        }
        match scan(source.text()) {
            Ok(tags) => {
                let unit = Unit { source, tags };
                around.open.push(path.to_owned());
                self.part(&unit, 0..unit.tags.len(), 0..unit.text().len(), around, out);
                around.open.pop();
            }
            Err(at) => self.problems.push(problem(&source.place(at), "this tag is never closed".into(), None)),
        }
        Some(())
    }

    fn part(
        &mut self,
        unit: &Unit,
        tags: Range<usize>,
        text: Range<usize>,
        around: &mut Surroundings,
        out: &mut Traced,
    ) {
        let mut at = text.start;
        let mut next = tags.start;
        while next < tags.end {
            let tag = &unit.tags[next];
            let line = with_own_line(unit.text(), &tag.range);
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
                    let end = with_own_line(unit.text(), &unit.tags[close].range);
                    let mut within = around.clone();
                    let mut body = Traced::default();
                    self.part(unit, next + 1..close, at..end.start.max(at), &mut within, &mut body);
                    if tag.kind == Kind::Inline {
                        let name = tag.body(unit.text()).trim_matches(['"', '\'']).to_owned();
                        around.inlines.insert(name, Rc::new(body));
                    } else {
                        within.block = Some(Rc::new(Block { text: body, used: Cell::new(false) }));
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
        unit: &Unit,
        tag: &Tag,
        within: Option<Surroundings>,
        around: &Surroundings,
        out: &mut Traced,
    ) {
        let place = unit.source.place(tag.range.start);
        let body = tag.body(unit.text());
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
                Some(block) => block.put_in(out),
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
        } else {
            let before = self.problems.len();
            let found = self.file(&path, &mut inner, out).is_some();
            match within.and_then(|w| w.block) {
                // The block of a name of its own stands in where there is no such file.
                Some(block) if found && name.contains('/') && block.is_lost() && self.problems.len() == before => {
                    self.lost(name, &path, &place);
                }
                Some(fallback) if !found && !name.contains('/') => fallback.put_in(out),
                _ if !found => self.unknown(name, &place),
                _ => {}
            }
        }
        if !arguments.is_empty() {
            out.push("{{/__scope}}", place);
        }
    }

    fn lost(&mut self, name: &str, path: &str, place: &Place) {
        let message = format!("'{name}' shows nothing of what this block holds");
        let hint = format!("write {{{{> @partial-block}}}} in {path} where it belongs, or include it without a block");
        self.problems.push(problem(place, message, Some(hint)));
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

impl Block {
    fn put_in(&self, out: &mut Traced) {
        self.used.set(true);
        out.push_part(&self.text, 0..self.text.text().len());
    }

    /// Whether a reader would have seen something of it.
    fn is_lost(&self) -> bool {
        !self.used.get() && !self.text.text().trim().is_empty()
    }
}

impl Unit {
    fn text(&self) -> &str {
        self.source.text()
    }

    fn copy(&self, range: Range<usize>, out: &mut Traced) {
        out.push_part(&self.source, range);
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
        let (_, problems) = flat(&[("main", "{{> b}}"), ("b", "x\n{{#if a}}\ny\n")]);
        let expected = "templates/b.hbs:2:1: the block {{#if a}} is never closed (write {{/if}} in the same file, and in the same element)";
        assert_eq!(problems, [expected]);
    }

    #[test]
    fn a_layout_that_shows_nothing_of_its_block_is_refused_where_it_is_called() {
        let (_, problems) = flat(&[
            ("main", "a\n {{#> layouts/x}}<p>{{b}}</p>{{/layouts/x}}"),
            ("layouts/x", "<{{> head}}>"),
            ("head", ""),
        ]);
        assert_eq!(
            problems,
            [
                "templates/main.hbs:2:2: 'layouts/x' shows nothing of what this block holds (write {{> @partial-block}} in templates/layouts/x.hbs where it belongs, or include it without a block)"
            ]
        );
        let (_, problems) = flat(&[
            ("main", "{{#> outer}}x{{/outer}}{{#> foot}}instead of foot.hbs{{/foot}}"),
            ("outer", "{{#> layouts/inner}}<{{> @partial-block}}>{{/layouts/inner}}"),
            ("layouts/inner", ""),
            ("foot", "F"),
        ]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("templates/outer.hbs:1:1: 'layouts/inner' shows nothing"), "{problems:?}");
    }

    #[test]
    fn a_block_may_be_passed_on_or_hold_nothing_but_inline_parts() {
        let (text, problems) = flat(&[
            ("main", "{{#> outer}}x{{/outer}}{{#> slots}}{{! none }}\n{{#*inline \"head\"}}H{{/inline}}\n{{/slots}}"),
            ("outer", "{{#> inner}}<{{> @partial-block}}>{{/inner}}"),
            ("inner", "[{{> @partial-block}}]"),
            ("slots", "|{{> head}}"),
        ]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(text, "[<x>]|H");
    }
}
