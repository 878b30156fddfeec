//! Pictures and attachments that cannot be sent.

use std::collections::BTreeMap;

use crate::domain::campaign::{Attachment, Campaign, Pictures};
use crate::domain::media::picture_id;
use crate::render::testing::{campaign, files, profile, project, render};
use crate::render::{Lint, Mailing, TemplateProblem};

fn problems(page: &str, more: &[(&str, &str)]) -> Vec<TemplateProblem> {
    let mut files: BTreeMap<_, _> = files(&[("spring", page)]);
    files.extend(more.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    let mut campaign = campaign();
    if files.contains_key("files/large.zip") {
        let (file, name, media) = ("files/large.zip".into(), "large.zip".into(), "application/zip".into());
        campaign.content.attachments.push(Attachment { file, name, media });
    }
    Mailing::compile(&campaign, &project(), &files).err().unwrap_or_default()
}

#[test]
fn a_picture_that_is_not_there_is_named_with_its_place() {
    let found = problems("<p>\n<img alt=\"\" src=\"images/lgo.png\">", &[("templates/images/logo.png", "eA==\r\n")]);
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["templates/spring.hbs:2:18: there is no picture 'templates/images/lgo.png' (did you mean 'images/logo.png'?)"]
    );
    assert!(problems("<img src=\"notes.txt\">", &[("templates/notes.txt", "eA==\r\n")]).len() == 1);
}

#[test]
fn a_picture_elsewhere_stays_where_it_is() {
    for src in
        ["https://x.example/a.png", "//x.example/a.png", "{{image}}", "data:image/png;base64,eA==", "cid:a@b", ""]
    {
        assert_eq!(problems(&format!("<img src=\"{src}\">"), &[]), [], "{src}");
    }
}

#[test]
fn what_servers_would_not_take_is_refused() {
    let found = problems("x", &[("files/large.zip", &"x".repeat(16 * 1_024 * 1_024))]);
    assert!(found[0].message.contains("16 MB of each mail"), "{found:?}");
}

#[test]
fn mjml_shows_pictures_that_go_with_the_mail() {
    let page = "<mjml><mj-body><mj-section><mj-column><mj-image src=\"images/a.png\" alt=\"A\" />\
        </mj-column></mj-section></mj-body></mjml>";
    let mut campaign = campaign();
    campaign.content.template = "a.mjml".into();
    let files = [("templates/a.mjml", page), ("templates/images/a.png", "eA==\r\n")];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    let mailing = Mailing::compile(&campaign, &project(), &files).unwrap_or_else(|problems| panic!("{problems:?}"));
    let explained = render(&mailing, &profile()).unwrap();
    assert!(explained.html.contains("src=\"cid:"), "{}", explained.html);
    let (id, media, octets) = mailing.pictures().next().unwrap();
    assert_eq!((media, octets.as_slice()), ("image/png", b"x".as_slice()));
    let shown = mailing.with_pictures_at(&explained.html, "/v/t");
    assert!(shown.contains(&format!("src=\"/v/t/{id}\"")) && !shown.contains("cid:"), "{shown}");
}

#[test]
fn a_linked_picture_is_shown_from_our_address_and_weighs_nothing() {
    let page = "<p>Hi</p><img src=\"images/a.PNG\" alt=\"A\"><img src=\"images/a.PNG\" alt=\"\">";
    let mut files = files(&[("spring", page)]);
    files.insert("templates/images/a.PNG".into(), "eA==\r\n".into());
    let linked = Campaign { pictures: Pictures::Linked, ..campaign() };
    let mailing = Mailing::compile(&linked, &project(), &files).unwrap_or_else(|problems| panic!("{problems:?}"));
    let explained = render(&mailing, &profile()).unwrap();
    let id = picture_id("eA==\r\n");
    let address = format!("src=\"https://t.alpenlauf.example/i/{id}.png\"");
    assert_eq!(explained.html.matches(&address).count(), 2, "{}", explained.html);
    let message = String::from_utf8(explained.message.bytes.clone()).unwrap();
    assert!(!message.contains("Content-ID") && !message.contains("multipart/related"), "{message}");
    let linked: Vec<_> =
        mailing.linked().map(|(shown, media, octets)| (shown.to_owned(), media.to_owned(), octets)).collect();
    let shown = format!("https://t.alpenlauf.example/i/{id}.png");
    assert_eq!(linked, [(shown, "image/png".to_owned(), b"x".to_vec())], "a preview needs no service");
    assert!(mailing.lint(&explained).iter().all(|lint| !matches!(lint, Lint::BrokenPicture { .. })));
}
