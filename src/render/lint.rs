//! What a mailing should not go out with.

use std::fmt;

use super::mailing::{Explained, Mailing};

/// Gmail hides what comes after so many octets of HTML behind a link.
const GMAIL_CLIP: usize = 102 * 1024;

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
    /// Nothing stands in the subject.
    EmptySubject,
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
            Self::EmptySubject => f.write_str("the subject is empty"),
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
    for link in sample.links.iter().filter(|l| l.category.is_none()) {
        add(true, Lint::LinkWithoutCategory { number: link.number, url: link.url.clone() });
    }
    found
}

/// The text without what differs between one line and several.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}
