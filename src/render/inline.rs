//! Writes the rules of `<style>` into the elements' `style` attributes, for readers' programs that
//! know no style sheets.
//!
//! A copy of the template goes through css-inline, its elements numbered and its tags hidden. Only
//! the styles that come out are taken over: nothing else of the template is touched, so that blocks
//! stay inside their tables and everything keeps its place. What no attribute can hold stays in
//! `<style>`: at-rules such as `@media`, `:hover`, rules that no element has yet.

use std::collections::BTreeMap;
use std::ops::Range;

use css_inline::CSSInliner;

use super::html::{self, Attribute, Event, Start};
use super::tag::{Kind, Tag, within};
use super::traced::Traced;

/// On `<style>`: `ignore` leaves it alone, `keep` keeps it besides. On an element: `ignore`.
const CHOICE: &str = "data-css-inline";
/// Gives an element's number in the copy.
const NUMBER: &str = "data-hb-number";

/// Which styles are inlined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Styles {
    /// All.
    All,
    /// Those of `<mj-style inline="inline">`.
    Marked,
}

/// The template with its styles inlined; the error says what cannot be read.
pub(super) fn inline(source: &Traced, tags: &[Tag], styles: Styles) -> Result<Traced, String> {
    let text = source.text();
    let events = html::read(text, tags)?;
    let stays = |start: &Start| match start.attribute(CHOICE).map(|a| &text[a.value.clone()]) {
        Some("ignore") => true,
        Some("inline") => false,
        _ => styles == Styles::Marked || has_tags(tags, &content(text, start)),
    };
    let mut edits: Vec<_> = starts(&events).filter_map(|(_, s)| s.attribute(CHOICE)).map(|a| cut(&a.whole)).collect();
    if starts(&events).any(|(_, s)| s.name == "style" && !stays(s)) {
        let copy = copy(text, tags, &events, &stays);
        let removes = !starts(&events).any(|(_, start)| is_changing(tags, start));
        let inliner = CSSInliner::options().load_remote_stylesheets(false);
        let inliner = inliner.keep_style_tags(!removes).remove_inlined_selectors(removes).keep_at_rules(false).build();
        let styled = inliner.inline(&copy).map_err(|e| e.to_string())?;
        let found = found(&styled)?;
        for (i, start) in starts(&events) {
            match (start.name.as_str(), found.get(&i)) {
                ("style", rest) if !stays(start) => {
                    let content = content(text, start);
                    match rest.map_or("", |f| f.content.trim()) {
                        "" => edits.push(cut(&(start.at..end_of_style(text, content.end)))),
                        rest if rest == text[content.clone()].trim() => {}
                        rest => edits.push((content, rest.to_owned())),
                    }
                }
                (_, Some(Found { style: Some(style), .. })) => edits.extend(restyled(text, tags, start, style)),
                _ => {}
            }
        }
    }
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    edits.dedup_by(|later, earlier| later.0.start < earlier.0.end);
    Ok(source.edited(&edits))
}

fn starts(events: &[Event]) -> impl Iterator<Item = (usize, &Start)> {
    events.iter().enumerate().filter_map(|(i, event)| match event {
        Event::Start(start) => Some((i, start)),
        _ => None,
    })
}

fn has_tags(tags: &[Tag], range: &Range<usize>) -> bool {
    !within(tags, range).is_empty()
}

/// Whether tags decide which rules fit an element: they write its class, its id, or a whole attribute.
fn is_changing(tags: &[Tag], start: &Start) -> bool {
    let harmless = |a: &&Attribute| a.name != "class" && a.name != "id";
    within(tags, &(start.at..start.end))
        .iter()
        .any(|tag| !start.attributes.iter().filter(harmless).any(|a| a.value.contains(&tag.range.start)))
}

/// What stands in a `<style>`.
fn content(text: &str, style: &Start) -> Range<usize> {
    let end = text[style.end..].find("</").map_or(text.len(), |at| style.end + at);
    style.end..end
}

fn end_of_style(text: &str, end_tag: usize) -> usize {
    text[end_tag..].find('>').map_or(text.len(), |at| end_tag + at + 1)
}

fn cut(range: &Range<usize>) -> (Range<usize>, String) {
    (range.clone(), String::new())
}

/// What css-inline reads. A block's tag is a comment between elements, where a parser would move
/// text out of tables; any other tag is a word.
fn copy(text: &str, tags: &[Tag], events: &[Event], stays: &dyn Fn(&Start) -> bool) -> String {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for (i, start) in starts(events) {
        let name = start.at + 1 + start.name.len();
        let mut put = format!(" {NUMBER}=\"{i}\"");
        if start.name == "style" && stays(start) && start.attribute(CHOICE).is_none() {
            put += " data-css-inline=\"ignore\"";
        }
        edits.push((name..name, put));
        // The parser knows other words for this attribute, and a style made by tags is nothing to merge with.
        let dropped = start.attributes.iter().filter(|a| match a.name.as_str() {
            CHOICE => &text[a.value.clone()] == "inline",
            "style" => has_tags(tags, &a.value),
            _ => false,
        });
        edits.extend(dropped.map(|a| cut(&a.whole)));
    }
    let texts: Vec<&Range<usize>> =
        events.iter().filter_map(|e| if let Event::Text(r) = e { Some(r) } else { None }).collect();
    for tag in tags {
        let before = &texts[..texts.partition_point(|text| text.start <= tag.range.start)];
        let between = before.last().is_some_and(|r| r.contains(&tag.range.start)) && tag.kind != Kind::Value;
        edits.push((tag.range.clone(), if between { "<!---->" } else { "h" }.to_owned()));
    }
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len() + 32 * edits.len());
    let mut at = 0;
    for (range, new) in edits.iter().filter(|(range, _)| range.start <= range.end) {
        if range.start >= at {
            out.push_str(&text[at..range.start]);
            out.push_str(new);
            at = range.end;
        }
    }
    out.push_str(&text[at..]);
    out
}

/// What css-inline makes of an element.
struct Found<'a> {
    style: Option<&'a str>,
    /// For `<style>`.
    content: &'a str,
}

fn found(styled: &str) -> Result<BTreeMap<usize, Found<'_>>, String> {
    let mut found = BTreeMap::new();
    for (_, start) in starts(&html::read(styled, &[])?) {
        let value = |name: &str| start.attribute(name).map(|a| &styled[a.value.clone()]);
        let Some(number) = value(NUMBER).and_then(|n| n.parse().ok()) else { continue };
        let content = if start.name == "style" { &styled[content(styled, start)] } else { "" };
        found.entry(number).or_insert(Found { style: value("style"), content });
    }
    Ok(found)
}

/// The edit that gives an element its style.
fn restyled(text: &str, tags: &[Tag], start: &Start, style: &str) -> Option<(Range<usize>, String)> {
    let Some(own) = start.attribute("style") else {
        let name = start.at + 1 + start.name.len();
        return Some((name..name, format!(" style=\"{style}\"")));
    };
    if has_tags(tags, &own.value) {
        let separator = if style.trim_end().ends_with(';') { " " } else { "; " };
        let single = text[..own.value.start].ends_with('\'');
        let style = if single { style.replace('\'', "&#39;") } else { style.to_owned() };
        return Some((own.value.start..own.value.start, format!("{style}{separator}")));
    }
    (text[own.value.clone()] != *style).then(|| (own.whole.clone(), format!(" style=\"{style}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tag::scan;
    use crate::render::traced::Place;

    fn inlined(html: &str) -> Traced {
        let mut source = Traced::default();
        source.push(html, Place::start("x"));
        inline(&source, &scan(html).unwrap(), Styles::All).unwrap()
    }

    #[test]
    fn rules_go_into_elements_and_nothing_else_is_touched() {
        let html = "<style>td { color: red } .b { margin: 0 }</style>\n<table>{{#each (offers)}}<tr class='b'><TD Style='color: blue'>\
            {{title}}</td></tr>{{else}}<tr><td>&nbsp;ü</td></tr>{{/each}}</table><p>a<br/>";
        let out = inlined(html);
        assert_eq!(
            out.text(),
            "\n<table>{{#each (offers)}}<tr style=\"margin: 0;\" class='b'><TD Style='color: blue'>\
            {{title}}</td></tr>{{else}}<tr><td style=\"color: red;\">&nbsp;ü</td></tr>{{/each}}</table><p>a<br/>"
        );
        let title = out.place(out.text().find("{{title}}").unwrap());
        assert_eq!((title.line, title.column), (2, 64));
    }

    #[test]
    fn what_no_attribute_can_hold_stays_in_the_style() {
        let html = "<style>a { color: red } a:hover { color: blue } @media (prefers-color-scheme: dark) { a { color: #fff !important } }</style>\
            <style data-css-inline=\"ignore\">a { margin: 0 }</style><a>x</a>";
        assert_eq!(
            inlined(html).text(),
            "<style>a:hover { color: blue; }\n@media (prefers-color-scheme: dark) { a { color: #fff !important } }</style>\
            <style>a { margin: 0 }</style><a style=\"color: red;\">x</a>"
        );
    }

    #[test]
    fn a_style_made_by_tags_comes_after_the_rules_and_rules_made_by_tags_stay() {
        let html = "<style>p { margin: 1px } {{#if x}}b{}{{/if}}</style><style>p { font-family: 'A B' }</style><p style='color: {{color}}'>x</p>";
        assert_eq!(
            inlined(html).text(),
            "<style>p { margin: 1px } {{#if x}}b{}{{/if}}</style><p style='font-family: &#39;A B&#39;; color: {{color}}'>x</p>"
        );
    }

    #[test]
    fn a_rule_for_a_class_that_a_tag_writes_stays() {
        for written in ["class=\"{{kind}}\"", "{{#if x}}class=\"hot\"{{/if}}"] {
            let html = format!("<style>.hot {{ color: red }}</style><p class=\"hot\">a</p><p {written}>b</p>");
            let expected = html.replace("<p class=\"hot\">a", "<p style=\"color: red;\" class=\"hot\">a");
            assert_eq!(inlined(&html).text(), expected);
        }
    }

    #[test]
    fn a_template_without_rules_stays_as_it_is() {
        let html = "<!doctype html>\n<TABLE><tr><td nowrap STYLE = 'a:b'>{{{x}}}&copy;</TABLE><link rel=stylesheet href=https://x.example/x.css>";
        assert_eq!(inlined(html).text(), html);
    }
}
