//! Finds the Handlebars tags of a source text, so that HTML can be read around them.

use std::ops::Range;

/// What a tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `{{! … }}`
    Comment,
    /// `{{{{raw}}}} … {{{{/raw}}}}`, with what stands between.
    Raw,
    /// `{{#name …}}`
    Open,
    /// `{{/name}}`
    Close,
    /// `{{else …}}`, `{{^}}`
    Else,
    /// `{{> name …}}`
    Partial,
    /// `{{#> name …}}`
    PartialBlock,
    /// `{{#*inline "name"}}`
    Inline,
    /// `{{value}}`, `{{{value}}}`, `{{helper …}}`
    Value,
}

/// A tag and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub range: Range<usize>,
    pub kind: Kind,
}

impl Tag {
    /// What stands between the braces, without `~`, the mark of the kind and outer space.
    pub fn body<'a>(&self, source: &'a str) -> &'a str {
        let inner = source[self.range.clone()].trim_matches(['{', '}', '~']).trim();
        let mark = match self.kind {
            Kind::PartialBlock => "#>",
            Kind::Inline => "#*inline",
            Kind::Open => "#",
            Kind::Close => "/",
            Kind::Partial => ">",
            Kind::Value => "&",
            Kind::Comment | Kind::Raw | Kind::Else => "",
        };
        inner.strip_prefix(mark).unwrap_or(inner).trim()
    }

    /// The name of the block that is opened or closed.
    pub fn name<'a>(&self, source: &'a str) -> &'a str {
        if self.kind == Kind::Inline {
            return "inline";
        }
        let body = self.body(source);
        let end = body.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(body.len());
        body[..end].trim_matches(['"', '\'', '[', ']'])
    }
}

/// All tags in order; an offset where a tag is opened and never closed is the error.
pub(super) fn scan(source: &str) -> Result<Vec<Tag>, usize> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(found) = source[at..].find("{{") {
        let start = at + found;
        let backslashes = source[at..start].bytes().rev().take_while(|b| *b == b'\\').count();
        if backslashes == 1 {
            at = start + 2;
            continue;
        }
        let tag = tag_at(source, start).ok_or(start)?;
        at = tag.range.end;
        tags.push(tag);
    }
    Ok(tags)
}

/// The index of the tag that closes the block opened by `tags[open]`.
pub(super) fn closing(tags: &[Tag], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, tag) in tags.iter().enumerate().skip(open) {
        match tag.kind {
            Kind::Open | Kind::PartialBlock | Kind::Inline => depth += 1,
            Kind::Close => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
    }
    None
}

/// A tag that opens a block which nothing closes, or closes one that nothing opens.
pub(super) fn unpaired<'a>(source: &str, tags: &'a [Tag]) -> Option<&'a Tag> {
    let mut open: Vec<&Tag> = Vec::new();
    for tag in tags {
        match tag.kind {
            Kind::Open | Kind::PartialBlock | Kind::Inline => open.push(tag),
            Kind::Close => {
                let name = tag.name(source);
                match open.iter().rposition(|block| name.is_empty() || block.name(source) == name) {
                    Some(at) if at + 1 < open.len() => return Some(open[at + 1]),
                    Some(at) => open.truncate(at),
                    None => return Some(tag),
                }
            }
            _ => {}
        }
    }
    open.pop()
}

/// Those of a text's tags that begin within a range.
pub(super) fn within<'a>(tags: &'a [Tag], range: &Range<usize>) -> &'a [Tag] {
    let from = tags.partition_point(|tag| tag.range.start < range.start);
    let to = tags.partition_point(|tag| tag.range.start < range.end);
    &tags[from..to.max(from)]
}

/// The tag with its line, when nothing else stands on that line: such a line leaves no trace.
pub(super) fn with_own_line(source: &str, tag: &Range<usize>) -> Range<usize> {
    let blank = |c: char| c == ' ' || c == '\t';
    let head = source[..tag.start].trim_end_matches(blank);
    let tail = source[tag.end..].trim_start_matches(blank);
    let newline = if tail.starts_with('\n') { 1 } else { usize::from(tail.starts_with("\r\n")) * 2 };
    if (head.is_empty() || head.ends_with('\n')) && (tail.is_empty() || newline > 0) {
        head.len()..source.len() - tail.len() + newline
    } else {
        tag.clone()
    }
}

fn tag_at(source: &str, start: usize) -> Option<Tag> {
    let rest = &source[start..];
    let (length, kind) = if rest.starts_with("{{!--") {
        (rest.find("--}}")? + 4, Kind::Comment)
    } else if rest.starts_with("{{!") {
        (rest.find("}}")? + 2, Kind::Comment)
    } else if rest.starts_with("{{{{") {
        let close = rest.find("{{{{/")?;
        (close + rest[close..].find("}}}}")? + 4, Kind::Raw)
    } else if rest.starts_with("{{{") {
        (find_outside_quotes(rest, "}}}")? + 3, Kind::Value)
    } else {
        let length = find_outside_quotes(rest, "}}")? + 2;
        (length, kind_of(rest[2..length - 2].trim_matches('~').trim()))
    };
    Some(Tag { range: start..start + length, kind })
}

fn kind_of(inner: &str) -> Kind {
    if inner.starts_with("#>") {
        Kind::PartialBlock
    } else if inner.starts_with("#*") {
        Kind::Inline
    } else if inner.starts_with('#') {
        Kind::Open
    } else if inner.starts_with('/') {
        Kind::Close
    } else if inner.starts_with('>') {
        Kind::Partial
    } else if inner.starts_with('^') || inner.split_whitespace().next() == Some("else") {
        Kind::Else
    } else {
        Kind::Value
    }
}

fn find_outside_quotes(text: &str, wanted: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if text[i..].starts_with(wanted) => return Some(i),
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(Kind, &str)> {
        scan(source).unwrap().iter().map(|t| (t.kind, t.body(source))).collect()
    }

    #[test]
    fn every_kind_of_tag_is_told_apart() {
        let source = r#"a{{x}}{{~#if y~}}{{else if z}}{{^}}{{/if}}{{> p a=1}}{{#> l}}{{/l}}{{#*inline "i"}}{{/inline}}
            {{!-- {{no}} --}}{{! no }}{{{h}}}{{& k}}{{{{raw}}}}{{no}}{{{{/raw}}}}"#;
        use Kind::*;
        let found = kinds(source);
        assert_eq!(
            found.iter().map(|k| k.0).collect::<Vec<_>>(),
            [
                Value,
                Open,
                Else,
                Else,
                Close,
                Partial,
                PartialBlock,
                Close,
                Inline,
                Close,
                Comment,
                Comment,
                Value,
                Value,
                Raw
            ]
        );
        assert_eq!(found[1].1, "if y");
        assert_eq!(found[5].1, "p a=1");
        assert_eq!(found[8].1, r#""i""#);
        assert_eq!((found[12].1, found[13].1), ("h", "k"));
    }

    #[test]
    fn braces_in_quotes_and_escaped_tags_are_text() {
        assert_eq!(kinds(r#"{{default x "}}"}}\{{no}}"#), [(Kind::Value, r#"default x "}}""#)]);
        assert_eq!(scan("ab{{x"), Err(2));
    }

    #[test]
    fn the_tags_of_a_range_are_those_that_begin_in_it() {
        let tags = scan("{{a}}-{{b}}{{c}}").unwrap();
        for (range, expected) in
            [(0..16, 0..3), (0..6, 0..1), (1..6, 1..1), (5..7, 1..2), (6..12, 1..3), (16..20, 3..3)]
        {
            assert_eq!(within(&tags, &range), &tags[expected], "{range:?}");
        }
        assert_eq!(within(&tags, &Range { start: 12, end: 3 }), []);
    }

    #[test]
    fn a_tag_without_its_counterpart_is_found() {
        for (source, expected) in [
            (
                "{{#if a}}{{else}}{{/if}}{{#> \"l\" x=1}}{{/l}}{{#*inline \"i\"}}{{/inline}}{{#each(offers)}}{{/each}}",
                None,
            ),
            ("{{#> l/m}}{{/}}{{#if a}}{{~/if~}}", None),
            ("{{#if a}}{{#if b}}{{/if}}", Some("{{#if a}}")),
            ("{{#if a}}{{#each b}}{{/if}}", Some("{{#each b}}")),
            ("{{#if a}}{{/if}}{{/if}}{{#if b}}", Some("{{/if}}")),
        ] {
            let tags = scan(source).unwrap();
            assert_eq!(unpaired(source, &tags).map(|tag| &source[tag.range.clone()]), expected, "{source}");
        }
    }

    #[test]
    fn a_tag_alone_on_its_line_takes_the_line_with_it() {
        let source = "a\n  {{x}} \nb {{y}}\n";
        let tags = scan(source).unwrap();
        assert_eq!(&source[with_own_line(source, &tags[0].range)], "  {{x}} \n");
        assert_eq!(&source[with_own_line(source, &tags[1].range)], "{{y}}");
    }
}
