//! Mails in several languages, and what stands before their bodies.

use crate::domain::profile::Profile;
use crate::domain::token::Purpose;
use crate::render::testing::{campaign, content, files, keyring, profile, project, render};
use crate::render::{Explained, Mailing};

const OWN: &str = "<html><body class=x><p>{{number 1.5}} {{date \"2026-12-01\" \"long\"}}</p>\
    <a href=\"https://shop.example.org/a\" data-category=\"trail\">a</a></body></html>";
const ENGLISH: &str = "<html lang=\"de\"><body><p>{{number 1.5}} {{date \"2026-12-01\" \"long\"}}</p>\
    <a href=\"https://shop.example.org/a\" data-category=\"trail\">a</a>\
    <a href=\"https://shop.example.org/b\" data-category=\"trail\">b</a></body></html>";
const ARABIC: &str = "<html><p>{{number 1.5}}</p></html>";

fn mailing() -> Mailing {
    let mut campaign = campaign();
    campaign.content.preheader = Some("Nur für {{first_name}}: <50 & mehr".into());
    campaign.languages = [("ar", "عرض", "ar"), ("en", "{{first_name}}, an offer", "en")]
        .map(|(tag, subject, template)| (tag.to_owned(), content(subject, template)))
        .into();
    Mailing::compile(&campaign, &project(), &files(&[("spring", OWN), ("en", ENGLISH), ("ar", ARABIC)])).unwrap()
}

fn shown(language: Option<&str>) -> Explained {
    let mut profile = Profile { tracking: true, ..profile() };
    profile.attributes.extend(language.map(|tag| ("language".to_owned(), tag.into())));
    render(&mailing(), &profile).unwrap()
}

#[test]
fn the_recipients_language_decides_what_they_get() {
    for (language, tag, subject, text) in [
        (None, "de-DE", "Anna, new for your next run", "1,5 1. Dezember 2026"),
        (Some("fr"), "de-DE", "Anna, new for your next run", "1,5 1. Dezember 2026"),
        (Some("en_US"), "en", "Anna, an offer", "1.5 December 1, 2026"),
        (Some("ar"), "ar", "عرض", "1.5"),
    ] {
        let explained = shown(language);
        assert_eq!((explained.language.as_str(), explained.subject.as_str()), (tag, subject));
        assert!(explained.text.starts_with(text), "{language:?}: {}", explained.text);
        let parsed = mail_parser::MessageParser::default().parse(&explained.message.bytes).unwrap();
        assert_eq!(parsed.header_raw("Content-Language").unwrap().trim(), tag);
        assert_eq!(parsed.subject(), Some(subject));
    }
}

#[test]
fn the_html_says_its_language_and_direction() {
    assert!(shown(None).html.starts_with("<html lang=\"de-DE\"><body"));
    assert!(shown(Some("en")).html.starts_with("<html lang=\"en\"><body"), "the word of [language.en] counts");
    assert!(shown(Some("ar")).html.starts_with("<html lang=\"ar\" dir=\"rtl\"><p"));
}

#[test]
fn a_template_of_another_language_and_without_direction_gets_both() {
    let mut campaign = campaign();
    campaign.languages = [("ar".to_owned(), content("x", "ar"))].into();
    let page = "<html lang=\"de\"><body><p>x</p></body></html>";
    let mailing = Mailing::compile(&campaign, &project(), &files(&[("spring", OWN), ("ar", page)])).unwrap();
    let mut profile = profile();
    profile.attributes.insert("language".to_owned(), "ar".into());
    let html = render(&mailing, &profile).unwrap().html;
    assert!(html.starts_with("<html dir=\"rtl\" lang=\"ar\"><body><p>x</p>"), "{html}");
}

#[test]
fn a_preheader_without_a_body_stands_behind_what_comes_before_one() {
    let mut campaign = campaign();
    campaign.content.preheader = Some("Before".into());
    for (before, after) in [
        ("<!doctype html>\n<html lang=\"de\"><head><title>x</title></head>", "<p>x</p></html>"),
        ("<!DOCTYPE html><html lang=\"de\">", "<p>x</p></html>"),
        ("<!doctype html>", "<p>x</p>"),
        ("", "<p>x</p>"),
    ] {
        let page = [before, after].concat();
        let mailing = Mailing::compile(&campaign, &project(), &files(&[("spring", &page)])).unwrap();
        let html = render(&mailing, &profile()).unwrap().html;
        assert!(html.starts_with(&[before, "<div style=\"display:none;"].concat()), "{html}");
    }
}

#[test]
fn a_number_means_one_link_of_one_language() {
    let numbers = |language| -> Vec<(u16, String)> {
        let explained = shown(language);
        let tokens = explained.html.split("/c/").skip(1).map(|rest| rest.split('"').next().unwrap());
        let purposes = tokens.map(|token| keyring().verify(token).unwrap().purpose);
        purposes
            .map(|purpose| match purpose {
                Purpose::Click { link, url, .. } => (link, url),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let (a, b) = ("https://shop.example.org/a".to_owned(), "https://shop.example.org/b".to_owned());
    assert_eq!(numbers(None), [(1, a.clone())]);
    assert_eq!(numbers(Some("en")), [(2, a), (3, b)]);
}

#[test]
fn a_preheader_is_hidden_escaped_padded_and_of_one_language() {
    let own = shown(None);
    let start = own.html.find("<body class=x>").unwrap() + "<body class=x>".len();
    let hidden = own.html[start..].split_once("</div>").unwrap().0;
    assert!(hidden.starts_with("<div style=\"display:none;"), "{hidden}");
    assert!(hidden.contains(">Nur für Anna: &lt;50 &amp; mehr&#847;&zwnj;&nbsp;&#847;"), "{hidden}");
    assert!(!own.text.contains("Nur für"), "the text part has no hidden line");
    assert!(!shown(Some("en")).html.contains("display:none"));
}

#[test]
fn what_is_wrong_names_its_place_in_the_campaigns_file() {
    let mut campaign = campaign();
    campaign.languages = [("en".to_owned(), content("{{uper first_name}}", "missing"))].into();
    campaign.content.preheader = Some("{{sender.nam}}".into());
    let mut files = files(&[("spring", OWN)]);
    let text = "preheader = \"{{sender.nam}}\"\n[language.EN]\ntemplate = \"missing.hbs\"\nsubject = \"{{uper first_name}}\"\n";
    files.insert("config/campaigns/spring-running.toml".into(), text.into());
    let problems = Mailing::compile(&campaign, &project(), &files).err().unwrap();
    let problems: Vec<_> = problems.iter().map(|p| (p.line, p.column, p.message.as_str())).collect();
    assert_eq!(
        problems,
        [
            (1, 14, "the sender has no 'nam'"),
            (3, 13, "there is no template 'templates/missing.hbs'"),
            (4, 12, "there is no helper 'uper'")
        ]
    );
}
