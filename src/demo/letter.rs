//! A mail as its reader sees it, taken from the caught bytes alone.

use std::cell::RefCell;
use std::collections::HashMap;

use anyhow::{Context as _, Result};
use lol_html::{RewriteStrSettings, element, rewrite_str, text};
use mail_parser::{HeaderValue, MessageParser};

/// What a reader needs of a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// The campaign, as the Feedback-ID names it.
    pub campaign: String,
    /// The subject line.
    pub subject: String,
    /// Links, in the order of the text.
    pub links: Vec<Link>,
    /// The pixel's address, if there is one.
    pub pixel: Option<String>,
    /// Where one click leaves (RFC 8058), if that is offered.
    pub one_click: Option<String>,
}

/// A link in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub href: String,
    /// What it says, on one line.
    pub text: String,
    /// The category that a template gives it; no mail has one.
    pub category: Option<String>,
}

impl Letter {
    /// Reads a mail.
    ///
    /// # Errors
    /// When it is no mail with an HTML part.
    pub fn read(message: &[u8]) -> Result<Self> {
        let message = MessageParser::default().parse(message).context("this is no mail")?;
        let header = |name: &str| message.header_raw(name).unwrap_or_default().trim().to_owned();
        let campaign = header("Feedback-ID").split(':').next().unwrap_or_default().to_owned();
        let unsubscribe = match message.header("List-Unsubscribe-Post") {
            Some(HeaderValue::Empty) | None => None,
            Some(_) => header("List-Unsubscribe").split(['<', '>']).find(|part| part.starts_with("http")).map(unfold),
        };
        let html = message.body_html(0).context("the mail has no HTML part")?;
        let (links, pixel) = anchors(&html)?;
        let subject = message.subject().unwrap_or_default().to_owned();
        Ok(Self { campaign, subject, links, pixel, one_click: unsubscribe })
    }
}

fn unfold(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The links of an HTML text, and its pixel.
fn anchors(html: &str) -> Result<(Vec<Link>, Option<String>)> {
    let (links, pixel) = (RefCell::new(Vec::<Link>::new()), RefCell::new(None));
    let settings = RewriteStrSettings::new()
        .append_element_content_handler(element!("a[href]", |a| {
            let href = a.get_attribute("href").unwrap_or_default().replace("&amp;", "&");
            links.borrow_mut().push(Link { href, text: String::new(), category: a.get_attribute("data-category") });
            Ok(())
        }))
        .append_element_content_handler(text!("a[href]", |chunk| {
            if let Some(link) = links.borrow_mut().last_mut() {
                link.text.push_str(chunk.as_str());
            }
            Ok(())
        }))
        .append_element_content_handler(element!("img[width='1'][height='1']", |img| {
            *pixel.borrow_mut() = img.get_attribute("src");
            Ok(())
        }));
    // Only reading: what comes out is what went in.
    rewrite_str(html, settings)?;
    let mut links = links.into_inner();
    for link in &mut links {
        link.text = link.text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    Ok((links, pixel.into_inner()))
}

/// What readers understand of a link's text: the category that it is about.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary(HashMap<String, String>);

impl Vocabulary {
    /// Learns texts and what they are about.
    pub fn learn<'a>(&mut self, known: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.0.extend(known.into_iter().map(|(text, category)| (text.to_owned(), category.to_owned())));
    }

    /// Learns the links to which a template gives a category, or `category_of` its address.
    ///
    /// # Errors
    /// When the template is no HTML.
    pub fn learn_template(&mut self, html: &str, category_of: impl Fn(&str) -> Option<String>) -> Result<()> {
        for Link { href, text, category } in anchors(html)?.0 {
            if let Some(category) = category.or_else(|| category_of(&href)) {
                self.0.insert(text, category);
            }
        }
        Ok(())
    }

    /// What a link is about, if it is about anything.
    #[must_use]
    pub fn about(&self, link: &Link) -> Option<&str> {
        self.0.get(&link.text).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "Feedback-ID: picks:news:m:x\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\
        List-Unsubscribe: <http://t.example/u/abc\r\n def>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
        MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
        <p><a href=\"http://t.example/c/1\">Tempo\r\n 4</a>, <a href=\"https://x.example/?a&amp;b\">else</a>\r\n\
        <img src=\"http://t.example/o/2.gif\" width=\"1\" height=\"1\"></p>\r\n";

    #[test]
    fn a_reader_sees_links_pixel_and_the_way_out() {
        let letter = Letter::read(MAIL.as_bytes()).unwrap();
        assert_eq!((letter.campaign.as_str(), letter.subject.as_str()), ("picks", "Grüße"));
        let links: Vec<_> = letter.links.iter().map(|l| (l.href.as_str(), l.text.as_str())).collect();
        assert_eq!(links, [("http://t.example/c/1", "Tempo 4"), ("https://x.example/?a&b", "else")]);
        assert_eq!(letter.pixel.as_deref(), Some("http://t.example/o/2.gif"));
        assert_eq!(letter.one_click.as_deref(), Some("http://t.example/u/abcdef"));
    }

    #[test]
    fn a_text_is_about_what_the_template_or_its_address_says() {
        let mut vocabulary = Vocabulary::default();
        let html = "<a href=\"https://x.example/1\" data-category=\"trail\">Paths</a> \
                    <a href=\"https://x.example/run/2\">Roads</a> <a href=\"https://x.example/3\">Imprint</a>";
        let by_address = |href: &str| href.contains("/run/").then(|| "running".to_owned());
        vocabulary.learn_template(html, by_address).unwrap();
        vocabulary.learn([("Poles", "hiking")]);
        let about = |text: &str| vocabulary.about(&Link { text: text.to_owned(), ..Link::default() });
        assert_eq!(
            [about("Paths"), about("Roads"), about("Poles"), about("Imprint")],
            [Some("trail"), Some("running"), Some("hiking"), None]
        );
    }
}
