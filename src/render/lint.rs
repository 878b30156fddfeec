//! What a mailing should not go out with: judged by a rendered sample here, by the template below.

mod color;
mod look;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use url::{Host, Url};

use super::html;
use super::mailing::{Explained, Mailing, STAND_IN};

pub(super) use self::template::lint as lint_template;

/// Gmail hides what comes after so many octets of HTML behind a link.
const GMAIL_CLIP: usize = 102 * 1024;
/// Letters that a mail with a picture should have, the lines at its end included.
const LETTERS: usize = 250;
/// Letters for each further picture.
const LETTERS_MORE: usize = 50;

/// Octets of pictures and attachments that go with each mail, encoded, which nobody minds.
const LIGHT: usize = 1_024 * 1_024;
/// Characters of a mail's beginning that are told.
const BEGINNING: usize = 40;

/// Something in a rendered mailing that a marketer should repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lint {
    /// A click on this link would say nothing about interests.
    LinkWithoutCategory {
        /// The link's number.
        number: u16,
        /// Where it leads.
        url: String,
    },
    /// The HTML part has no link to unsubscribe.
    NoUnsubscribeInHtml,
    /// The text part has no link to unsubscribe.
    NoUnsubscribeInText,
    /// The HTML is larger than what Gmail shows.
    HtmlClipped {
        /// Octets of the HTML part.
        size: usize,
    },
    /// The sender's postal address is not configured or not in the mailing.
    NoPostalAddress,
    /// The sender's imprint is not configured or not linked in the mailing.
    NoImprint,
    /// Nothing stands in the subject.
    EmptySubject,
    /// What looks like a template's tag is in the finished mail.
    Leftover {
        /// Subject, HTML part or text part.
        part: &'static str,
    },
    /// What a variable gave as a link's target is no address.
    BrokenLink {
        /// The link's number.
        number: u16,
        /// Where it leads.
        url: String,
    },
    /// A picture is neither in the mail nor at an address: nobody sees it.
    BrokenPicture {
        /// Its address as the mail has it.
        src: String,
    },
    /// What goes with each mail makes it slow to fetch, and dear where data are.
    Heavy {
        /// Pictures.
        pictures: usize,
        /// Attachments.
        attachments: usize,
        /// Octets of them, encoded.
        size: usize,
    },
    /// Behind the subject mailboxes show what the mail happens to begin with.
    NoPreheader {
        /// What that is.
        begins: String,
    },
    /// Hardly anything is left where pictures are not shown, and filters take it for unwanted mail.
    LittleText {
        /// Pictures.
        pictures: usize,
        /// Letters and digits that are seen.
        letters: usize,
    },
}

impl Lint {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::LinkWithoutCategory { .. } => {
                "add data-category=\"…\" to the link, a pattern under [links], or data-track=\"off\""
            }
            Self::NoUnsubscribeInHtml => "add <a href=\"{{unsubscribe_url}}\">…</a>",
            Self::NoUnsubscribeInText => "add {{unsubscribe_url}}",
            Self::HtmlClipped { .. } => "shorten the mail, or move styles and repeated markup into fewer rules",
            Self::NoPostalAddress => "set [sender] postal_address and write {{sender.postal_address}}",
            Self::NoImprint => "set [sender] imprint_url and write <a href=\"{{sender.imprint_url}}\">…</a>",
            Self::Leftover { .. } => "write the tag without a backslash, or the value without braces",
            Self::BrokenLink { .. } => "a link's target begins with https://, http://, mailto: or tel:",
            Self::BrokenPicture { .. } => {
                "write its whole address, https://…, or the path of a local picture in the img itself, not in a variable"
            }
            Self::Heavy { pictures: 0, .. } => "link to the files",
            Self::Heavy { .. } => "make the pictures smaller, or write pictures = \"linked\"",
            Self::NoPreheader { .. } => "write preheader = \"…\" beside the subject",
            Self::LittleText { .. } => "say it in text, too",
            Self::EmptySubject => "write a subject, and defaults for the variables in it",
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkWithoutCategory { number, url } => write!(f, "link {number} has no category: {url}"),
            Self::NoUnsubscribeInHtml => f.write_str("the HTML part has no link to unsubscribe"),
            Self::NoUnsubscribeInText => f.write_str("the text part has no link to unsubscribe"),
            Self::HtmlClipped { size } => {
                write!(f, "the HTML has {} KB; Gmail shows {} KB and hides the rest", size / 1024, GMAIL_CLIP / 1024)
            }
            Self::NoPostalAddress => f.write_str("the sender's postal address is missing"),
            Self::NoImprint => f.write_str("the sender's imprint is missing"),
            Self::EmptySubject => f.write_str("the subject is empty"),
            Self::Leftover { part } => write!(f, "braces of a tag are left in the {part}"),
            Self::BrokenLink { number, url } => write!(f, "link {number} leads to '{url}', which is no address"),
            Self::BrokenPicture { src } => write!(f, "the picture '{src}' is not in the mail, and has no address"),
            Self::Heavy { pictures, attachments, size } => {
                let megabytes = *size as f64 / LIGHT as f64;
                write!(
                    f,
                    "its pictures ({pictures}) and attachments ({attachments}) make each mail {megabytes:.1} MB heavy"
                )
            }
            Self::NoPreheader { begins } => write!(f, "without a preheader mailboxes show '{begins}'"),
            Self::LittleText { pictures, letters } => {
                write!(f, "the mail is made of pictures: {pictures} of them, and {letters} letters of text")
            }
        }
    }
}

/// Judges a rendered sample.
pub(super) fn lint(mailing: &Mailing, sample: &Explained) -> Vec<Lint> {
    let mut found = Vec::new();
    let unsubscribe = [&mailing.base_url, "/u/"].concat();
    let mut add = |holds: bool, lint: Lint| {
        if holds {
            found.push(lint);
        }
    };
    add(sample.subject.is_empty(), Lint::EmptySubject);
    add(!sample.html.contains(&unsubscribe), Lint::NoUnsubscribeInHtml);
    add(!sample.text.contains(&unsubscribe), Lint::NoUnsubscribeInText);
    add(sample.html.len() > GMAIL_CLIP, Lint::HtmlClipped { size: sample.html.len() });
    let address = mailing.postal_address.as_deref().map(letters).filter(|a| !a.is_empty());
    let shown = address.is_some_and(|a| letters(&sample.text).contains(&a) || letters(&sample.html).contains(&a));
    add(!shown, Lint::NoPostalAddress);
    let imprint = mailing.data.get("sender").and_then(|sender| sender.get("imprint_url")).and_then(|url| url.as_str());
    let linked = |url: &str| sample.text.contains(url) || sample.links.iter().any(|link| link.url.starts_with(url));
    add(!imprint.is_some_and(linked), Lint::NoImprint);
    for (part, text) in [("subject", &sample.subject), ("HTML part", &sample.html), ("text part", &sample.text)] {
        add(text.contains("{{"), Lint::Leftover { part });
    }
    let (pictures, letters) = seen(&sample.html, &[&mailing.base_url, "/o/"].concat());
    let wanted = LETTERS + LETTERS_MORE * pictures.saturating_sub(1);
    add(pictures > 0 && letters < wanted, Lint::LittleText { pictures, letters });
    let Weight { pictures, attachments, size } = weight(mailing, &sample.language);
    add(size > LIGHT, Lint::Heavy { pictures, attachments, size });
    if let Some(begins) = beginning(&sample.html) {
        add(true, Lint::NoPreheader { begins });
    }
    for src in pictures_nowhere(&sample.html) {
        add(true, Lint::BrokenPicture { src });
    }
    for link in sample.links.iter().filter(|l| is_broken(&l.url)) {
        let number = usize::from(link.number).saturating_sub(1);
        let written = mailing.links.get(number).is_some_and(|known| known.url.is_some());
        add(!written, Lint::BrokenLink { number: link.number, url: link.url.clone() });
    }
    for link in sample.links.iter().filter(|l| l.category.is_none()) {
        add(true, Lint::LinkWithoutCategory { number: link.number, url: link.url.clone() });
    }
    found
}

/// What goes with each mail of a language.
struct Weight {
    pictures: usize,
    attachments: usize,
    /// Octets, encoded.
    size: usize,
}

fn weight(mailing: &Mailing, language: &str) -> Weight {
    let edition = mailing.editions.iter().find(|edition| edition.tag == language).unwrap_or(&mailing.editions[0]);
    let enclosed = edition.images.iter().chain(&edition.attachments);
    Weight {
        pictures: edition.images.len(),
        attachments: edition.attachments.len(),
        size: enclosed.map(|enclosure| enclosure.part.len()).sum(),
    }
}

/// The first words, where nothing that is hidden stands before them.
fn beginning(page: &str) -> Option<String> {
    let events = html::read(page, &[]).unwrap_or_default();
    let words = |range: Range<usize>| html::decode(&page[range]).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut texts = look::texts(page, &events).into_iter().map(|(range, look)| (words(range), look));
    let (words, look) = texts.find(|(words, _)| words.contains(char::is_alphanumeric))?;
    if look.hidden {
        return None;
    }
    let short: String = words.chars().take(BEGINNING).collect();
    Some(if short.len() < words.len() { format!("{}…", short.trim_end()) } else { words })
}

/// Pictures besides the pixel, and the letters that a reader sees.
fn seen(page: &str, pixel: &str) -> (usize, usize) {
    let events = html::read(page, &[]).unwrap_or_default();
    let pictures = events.iter().filter(|event| match event {
        html::Event::Start(start) if start.name == "img" => {
            start.attribute("src").is_some_and(|src| !page[src.value.clone()].starts_with(pixel))
        }
        _ => false,
    });
    let texts = look::texts(page, &events).into_iter().filter(|(_, look)| !look.hidden);
    let letters = texts.map(|(range, _)| letters(&page[range]).chars().count()).sum();
    (pictures.count(), letters)
}

/// What pictures' addresses say that no reader's program can show; not what stands in for an unknown attribute.
fn pictures_nowhere(page: &str) -> BTreeSet<String> {
    let sources = html::read(page, &[]).unwrap_or_default().into_iter().filter_map(|event| match event {
        html::Event::Start(start) if start.name == "img" => {
            start.attribute("src").map(|src| page[src.value.clone()].trim().to_owned())
        }
        _ => None,
    });
    let is_shown = |src: &str| {
        let scheme = src.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        scheme.is_some_and(|scheme| ["https", "http", "cid", "data"].contains(&scheme.as_str()))
    };
    sources.filter(|src| src != STAND_IN && !is_shown(src)).collect()
}

/// Whether a target that is not made by tags is no address.
fn is_broken(target: &str) -> bool {
    if target.contains("{{") {
        return false;
    }
    let Ok(url) = Url::parse(target) else { return true };
    match (url.scheme(), url.host()) {
        ("http" | "https", Some(Host::Domain(domain))) => !domain.contains('.') && domain != "localhost",
        ("http" | "https", host) => host.is_none(),
        ("mailto", _) => !url.path().contains('@'),
        ("tel", _) => !url.path().contains(|c: char| c.is_ascii_digit()),
        _ => false,
    }
}

/// The text without what differs between one line and several.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}
