//! Parameters that are appended to links.

use crate::domain::campaign::Utm;
use crate::domain::profile::Profile;
use crate::render::Mailing;
use crate::render::testing::{campaign, files, profile, project, render};

const PAGE: &str = "<a href=\"https://shop.example.org/running/a?q=1&amp;r=2#top\">a</a>\
    <a href=\"https://shop.example.org/b\" data-utm=\"off\" data-category=\"trail\">b</a>\
    <a href=\"https://shop.example.org/c?x=1&amp;y\" data-track=\"off\">c</a>\
    <a href=\"https://shop.example.org/d\" data-track=\"off\" data-utm=\"off\">d</a>\
    <a href=\"https://shop.example.org/{{first_name}}\">e</a>\
    {{#each (offers limit=1)}}<a href=\"{{url}}\">{{title}}</a>{{/each}}\
    <a href=\"{{unsubscribe_url}}\">u</a><a href=\"mailto:a@b.example\">m</a>";

fn mailing(text: Option<&str>) -> Mailing {
    let mut campaign = campaign();
    campaign.utm = Some(Utm { parameters: vec![("utm_source".into(), "news".into())], only: None });
    campaign.content.text_template = text.map(|_| "text.hbs".into());
    Mailing::compile(&campaign, &project(), &files(&[("spring", PAGE), ("text", text.unwrap_or_default())])).unwrap()
}

#[test]
fn every_link_into_the_web_has_them_whether_it_is_counted_or_not() {
    let plain = render(&mailing(None), &Profile { tracking: false, ..profile() }).unwrap();
    for (html, text) in [
        (
            "https://shop.example.org/running/a?q&#x3D;1&amp;r&#x3D;2&amp;utm_source&#x3D;news#top",
            "/running/a?q=1&r=2&utm_source=news#top>",
        ),
        ("https://shop.example.org/b\"", "org/b>"),
        ("https://shop.example.org/c?x&#x3D;1&amp;y&amp;utm_source&#x3D;news\"", "org/c?x=1&y&utm_source=news>"),
        ("https://shop.example.org/d\"", "org/d>"),
        ("https://shop.example.org/Anna?utm_source&#x3D;news\"", "org/Anna?utm_source=news>"),
        ("https://shop.example.org/r/2?utm_source&#x3D;news\"", "org/r/2?utm_source=news>"),
    ] {
        assert!(plain.html.contains(html), "{html}: {}", plain.html);
        assert!(plain.text.contains(text), "{text}: {}", plain.text);
    }
    assert!(!plain.html.contains("data-utm"));
    let own = plain.html.split("https://t.alpenlauf.example/u/").nth(1).unwrap();
    assert!(!own.split('"').next().unwrap().contains("utm"));
}

#[test]
fn plans_and_hits_see_the_address_with_them_and_categories_are_found_without() {
    let links = render(&mailing(None), &profile()).unwrap().links;
    let links: Vec<_> = links.iter().map(|l| (l.url.as_str(), l.category.as_deref())).collect();
    assert_eq!(
        links,
        [
            ("https://shop.example.org/running/a?q=1&r=2&utm_source=news#top", Some("running")),
            ("https://shop.example.org/b", Some("trail")),
            ("https://shop.example.org/Anna?utm_source=news", None),
            ("https://shop.example.org/r/2?utm_source=news", Some("running")),
        ]
    );
}

#[test]
fn a_text_part_written_by_hand_has_them_too() {
    let text = "See https://shop.example.org/c?x=1&y, or https://other.example.org/z.\n{{unsubscribe_url}}\n";
    let plain = render(&mailing(Some(text)), &Profile { tracking: false, ..profile() }).unwrap().text;
    assert!(
        plain.starts_with(
            "See https://shop.example.org/c?x=1&y&utm_source=news, or https://other.example.org/z?utm_source=news.\n"
        ),
        "{plain}"
    );
}

#[test]
fn mjml_has_them_as_well() {
    let mut campaign = campaign();
    campaign.utm = Some(Utm { parameters: vec![("utm_source".into(), "news".into())], only: None });
    campaign.content.template = "a.mjml".into();
    let page = "<mjml><mj-body><mj-section><mj-column>\
        <mj-button href=\"https://shop.example.org/a\">a</mj-button>\
        <mj-button href=\"https://shop.example.org/b\" data-utm=\"off\">b</mj-button>\
        </mj-column></mj-section></mj-body></mjml>";
    let files = [("templates/a.mjml".to_owned(), page.to_owned())].into();
    let mailing = Mailing::compile(&campaign, &project(), &files).unwrap_or_else(|problems| panic!("{problems:?}"));
    let explained = render(&mailing, &profile()).unwrap();
    let urls: Vec<_> = explained.links.iter().map(|link| link.url.as_str()).collect();
    assert_eq!(urls, ["https://shop.example.org/a?utm_source=news", "https://shop.example.org/b"]);
    assert!(!explained.html.contains("data-utm"));
}
