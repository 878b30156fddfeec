//! How texts look, as far as elements and their styles tell.

use std::ops::Range;

use super::color::Color;
use crate::render::html::{Event, Start};

/// Elements without an end.
const VOID: [&str; 9] = ["area", "base", "br", "col", "hr", "img", "input", "link", "meta"];
/// Elements that the next of the same kind ends.
const ENDED_BY_NEXT: [&str; 7] = ["dd", "dt", "li", "p", "td", "th", "tr"];
/// The size of text without a style, in pixels.
const SIZE: f64 = 16.0;

/// The look of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Nothing where it is not known.
    pub color: Option<Color>,
    /// What it stands on; nothing where that is a picture or not known.
    pub behind: Option<Color>,
    /// Pixels.
    pub size: f64,
    pub bold: bool,
    pub hidden: bool,
}

/// The texts of a page with their looks.
pub(super) fn texts(source: &str, events: &[Event]) -> Vec<(Range<usize>, Look)> {
    let start = Look { color: Some(Color::BLACK), behind: Some(Color::WHITE), size: SIZE, bold: false, hidden: false };
    let mut open: Vec<(usize, &str, Look)> = Vec::new();
    let mut texts = Vec::new();
    for (i, event) in events.iter().enumerate() {
        match event {
            Event::Start(element) if !VOID.contains(&element.name.as_str()) => {
                let name = element.name.as_str();
                if ENDED_BY_NEXT.contains(&name) && open.last().is_some_and(|(_, last, _)| *last == name) {
                    open.pop();
                }
                let around = open.last().map_or(start, |(_, _, look)| *look);
                open.push((i, name, around.within(source, element)));
            }
            Event::Start(_) => {}
            Event::End(of) => {
                if let Some(at) = open.iter().position(|(i, _, _)| i == of) {
                    open.truncate(at);
                }
            }
            Event::Text(range) => texts.push((range.clone(), open.last().map_or(start, |(_, _, look)| *look))),
        }
    }
    texts
}

impl Look {
    /// Large text needs less contrast (WCAG 2.2, 1.4.3).
    pub fn is_large(&self) -> bool {
        self.size >= 24.0 || self.bold && self.size >= 18.66
    }

    fn within(mut self, source: &str, element: &Start) -> Self {
        let value = |name: &str| element.attribute(name).map(|a| &source[a.value.clone()]);
        match element.name.as_str() {
            "a" if element.attribute("href").is_some() => self.color = Some(Color::LINK),
            "b" | "strong" | "th" => self.bold = true,
            "h1" => (self.size, self.bold) = (32.0, true),
            "h2" => (self.size, self.bold) = (24.0, true),
            "h3" => (self.size, self.bold) = (18.72, true),
            "font" => self.color = value("color").map_or(self.color, Color::parse),
            _ => {}
        }
        self.behind = value("bgcolor").map_or(self.behind, Color::parse);
        if element.attribute("background").is_some() {
            self.behind = None;
        }
        for declaration in value("style").unwrap_or_default().split(';') {
            if let Some((name, value)) = declaration.split_once(':') {
                self.declare(&name.trim().to_ascii_lowercase(), value);
            }
        }
        self
    }

    fn declare(&mut self, name: &str, value: &str) {
        let value = value.trim().trim_end_matches("!important").trim().to_ascii_lowercase();
        let stays = ["inherit", "none", "transparent", "initial", "unset"].contains(&value.as_str());
        match name {
            _ if name.contains("{{") => (self.color, self.behind) = (None, None),
            "display" => self.hidden |= value == "none",
            "color" if !stays => self.color = Color::parse(&value),
            "background" | "background-color" if !stays => {
                let color = Color::parse(&value).or_else(|| value.split(' ').find_map(Color::parse));
                self.behind = color.filter(|_| !value.contains("url(") && !value.contains("gradient("));
            }
            "background-image" if !stays => self.behind = None,
            "font-weight" => self.bold = value == "bold" || value.parse().is_ok_and(|weight: u32| weight >= 700),
            "font-size" => self.size = size(&value, self.size),
            "font" => {
                self.bold = value.split(' ').any(|part| part == "bold" || part == "700");
                let part = value
                    .split(['/', ' '])
                    .find(|part| part.starts_with(|c: char| c.is_ascii_digit()) && part.ends_with("px"));
                self.size = part.map_or(self.size, |part| size(part, self.size));
            }
            _ => {}
        }
    }
}

/// A size in pixels; one that is not known leaves the size around.
fn size(value: &str, around: f64) -> f64 {
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let Ok(number) = value[..value.len() - unit.len()].parse::<f64>() else { return around };
    match unit {
        "px" => number,
        "pt" => number * 4.0 / 3.0,
        "rem" => number * SIZE,
        "em" => number * around,
        "%" => number * around / 100.0,
        _ => around,
    }
}
