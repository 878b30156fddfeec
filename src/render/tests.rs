//! Whole mails.

mod enclosures;
mod helpers;
mod languages;
mod utm;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Mailing;
use super::message_helpers::OFFERS;
use super::testing::{campaign, compile, files, html, keyring, profile, project, render};
use crate::domain::address::Address;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::mail_path::{MailPath, MailUse};
use crate::domain::profile::Profile;
use crate::domain::token::Purpose;

const PAGE: &str = r#"{{#> layouts/base}}
<h1>Hello {{default first_name "friend"}}!</h1>
<p><a href="https://shop.example.org/running/new?a=1&amp;b=ü">New</a> and <a href="https://shop.example.org/all" data-category="garden">all</a>,
<a data-track="off" href="https://plain.example.org/">plain</a>.</p>
<table>
{{#each (offers limit=2)}}
<tr><td>{{@index}} <a href="{{url}}">{{title}}</a> {{price}}</td></tr>
{{/each}}
</table>
{{#cluster "running"}}<p>For runners</p>{{else}}<p>For all</p>{{/cluster}}
{{#interested "trail" "garden"}}<p>Trail or garden</p>{{else}}<p>Neither</p>{{/interested}}
{{/layouts/base}}
"#;

const LAYOUT: &str = r#"<!doctype html>
<html><head><title>x</title></head><body>
{{> @partial-block}}
<p><a href="{{unsubscribe_url}}">Unsubscribe</a> · <a href="mailto:service@alpenlauf.example">Write</a> · {{sender.postal_address}}</p>
</body></html>
"#;

fn mailing() -> Mailing {
    Mailing::compile(&campaign(), &project(), &files(&[("spring", PAGE), ("layouts/base", LAYOUT)])).unwrap()
}

fn without_tracking() -> Profile {
    Profile { tracking: false, ..profile() }
}

/// The message with its quoted-printable undone, as a reader's program shows it.
fn decoded(bytes: &[u8]) -> (String, String, String) {
    let message = mail_parser::MessageParser::default().parse(bytes).unwrap();
    (
        message.subject().unwrap_or("").to_owned(),
        message.body_html(0).unwrap().into_owned(),
        message.body_text(0).unwrap().into_owned(),
    )
}

#[test]
fn a_whole_mail() {
    let bytes = render(&mailing(), &profile()).unwrap().message.bytes;
    insta::assert_snapshot!(String::from_utf8(bytes).unwrap().replace("\r\n", "\n"));
}

#[test]
fn a_whole_mail_without_consent_to_tracking_has_plain_links_and_no_pixel() {
    let explained = render(&mailing(), &without_tracking()).unwrap();
    insta::assert_snapshot!(format!("{}\n---\n{}", explained.html, explained.text));
    for part in [&explained.html, &explained.text] {
        assert!(!part.contains("/c/") && !part.contains("/o/"));
    }
    assert_eq!(explained.links.len(), 4, "plans still know the links");
}

#[test]
fn links_carry_number_offer_category_and_target() {
    let explained = render(&mailing(), &profile()).unwrap();
    let links: Vec<_> =
        explained.links.iter().map(|l| (l.number, l.item, l.category.as_deref(), l.url.as_str())).collect();
    assert_eq!(
        links,
        [
            (1, 0, Some("running"), "https://shop.example.org/running/new?a=1&b=%C3%BC"),
            (2, 0, Some("garden"), "https://shop.example.org/all"),
            (3, 2, Some("running"), "https://shop.example.org/r/2"),
            (3, 4, Some("running"), "https://shop.example.org/r/4"),
        ]
    );
    for (text, expected) in [(&explained.html, 4), (&explained.text, 4)] {
        let tokens: Vec<_> = text.split("https://t.alpenlauf.example/c/").skip(1).collect();
        assert_eq!(tokens.len(), expected);
        for (token, link) in tokens.iter().zip(&explained.links) {
            let token = token.split(['"', '>']).next().unwrap();
            let Purpose::Click { link: number, item, category, url } = keyring().verify(token).unwrap().purpose else {
                panic!("not a click")
            };
            assert_eq!(
                (number, item, Some(category), url),
                (link.number, link.item, link.category.clone(), link.url.clone())
            );
        }
    }
}

#[test]
fn the_parsed_mail_has_what_was_put_in() {
    let explained = render(&mailing(), &profile()).unwrap();
    let (subject, html, text) = decoded(&explained.message.bytes);
    assert_eq!(subject, "Anna, new for your next run");
    assert_eq!(html.replace("\r\n", "\n"), explained.html);
    assert_eq!(text.replace("\r\n", "\n"), explained.text);
    let path = explained.message.return_path;
    let expected = MailPath { purpose: MailUse::Bounce, run: RunId(42), recipient: RecipientId(7) };
    assert_eq!((MailPath::verify(path.local(), &keyring()), path.domain()), (Some(expected), "b.alpenlauf.example"));
}

#[test]
fn every_attempt_gives_the_same_bytes_and_every_recipient_another_message_id() {
    let one = render(&mailing(), &profile()).unwrap().message;
    assert_eq!(one, render(&mailing(), &profile()).unwrap().message);
    let mut other = profile();
    other.recipient.0 += 1;
    assert_ne!(one.message_id, render(&mailing(), &other).unwrap().message.message_id);
}

#[test]
fn a_scratch_carries_nothing_from_one_recipient_to_the_next() {
    let (first, second) = (mailing(), compile("{{#if (has first_name)}}{{first_name}}{{else}}nobody{{/if}}").unwrap());
    let envelope =
        super::Envelope { run: crate::domain::id::RunId(1), occasion: "", at: crate::domain::time::Micros(0) };
    let mut scratch = super::Scratch::default();
    first.render_explained(&profile(), &envelope, &keyring(), &mut scratch).unwrap();
    let mut empty = profile();
    empty.attributes.clear();
    let error = second.render_explained(&empty, &envelope, &keyring(), &mut scratch).unwrap_err();
    assert_eq!(
        (error.file.as_str(), error.variable.as_deref()),
        ("config/campaigns/spring-running.toml", Some("first_name"))
    );
    assert_eq!(scratch.parts().1.trim_end(), "nobody".to_owned() + &pixel_of(scratch.parts().1));
}

fn anybody() -> impl Strategy<Value = Profile> {
    let value = prop_oneof![
        Just(Value::Null),
        "[a-c]{0,3}".prop_map(Value::from),
        (0..9).prop_map(Value::from),
        Just(json!(["x"])),
        Just(json!({"y": 1})),
    ];
    let name =
        prop::sample::select(vec!["city", "age", "sender", "view_url", "keep_url", "cluster", "address", OFFERS]);
    let attributes = prop::collection::vec((name, value), 0..5);
    (attributes, any::<bool>(), 1..99_i64, prop::option::of("[a-c]{1,2}")).prop_map(|(others, named, id, cluster)| {
        let first_name = named.then(|| ("first_name", "Anna".into()));
        let attributes = others.into_iter().chain(first_name).map(|(name, value)| (name.to_owned(), value)).collect();
        let address = Address::from_normalised(format!("p{id}@example.org"));
        Profile { recipient: RecipientId(id), address, attributes, cluster, score: id as f64, ..profile() }
    })
}

proptest! {
    /// The subject of each needs a first name, which not all have.
    #[test]
    fn whoever_was_written_to_before_leaves_no_trace(people in prop::collection::vec((anybody(), any::<bool>()), 1..8)) {
        let all = "{{#each this}}{{@key}}={{this}};{{/each}}";
        let mailings = [all.to_owned(), format!("{all}{{{{view_url}}}} {{{{default city \"-\"}}}} {{{{address}}}} {{{{score}}}}")]
            .map(|template| compile(&template).unwrap());
        let envelope = super::Envelope { run: RunId(1), occasion: "", at: crate::domain::time::Micros(0) };
        let mut kept = super::Scratch::default();
        for (person, other) in people {
            let mailing = &mailings[usize::from(other)];
            let [after, alone] = [&mut kept, &mut super::Scratch::default()].map(|scratch| {
                let explained = mailing.render_explained(&person, &envelope, &keyring(), scratch);
                explained.map(|explained| (explained.html, explained.text, explained.message)).map_err(|e| e.message)
            });
            prop_assert_eq!(alone.is_ok(), person.attributes.contains_key("first_name"));
            prop_assert_eq!(after, alone);
        }
    }
}

fn pixel_of(html: &str) -> String {
    html.find("<img").map_or_else(String::new, |at| html[at..].trim_end().to_owned())
}

#[test]
fn blocks_inside_tables_stay_where_they_are() {
    let out = html("<table>{{#if country}}<tr><td>{{country}}</td></tr>{{else}}<tr><td>-</td></tr>{{/if}}</table>");
    assert!(out.starts_with("<table><tr><td>DE</td></tr></table><img "), "{out}");
}

#[test]
fn the_pixel_stands_before_the_end_of_the_body() {
    let out = html("<body>x</body></html>");
    assert!(
        out.starts_with("<body>x<img src=\"https://t.alpenlauf.example/o/")
            && out
                .ends_with(".gif\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\"></body></html>"),
        "{out}"
    );
}

#[test]
fn a_missing_variable_is_an_error_with_its_place_unless_there_is_a_default() {
    let mailing = compile("<p>\n  {{default nick \"x\"}} {{nick}}</p>").unwrap();
    let error = render(&mailing, &profile()).unwrap_err();
    assert_eq!((error.file.as_str(), error.line, error.column), ("templates/spring.hbs", 2, 24));
    assert_eq!(error.variable.as_deref(), Some("nick"));
    assert_eq!(mailing.variables().iter().collect::<Vec<_>>(), ["first_name", "nick"]);
    let mailing = compile("{{#if (eq nick \"x\")}}{{/if}}").unwrap();
    assert!(render(&mailing, &profile()).unwrap_err().message.contains("(default NAME"));
}

#[test]
fn problems_are_all_reported_with_place_and_hint() {
    let problems = compile(
        "<a href=\"/shop\">a</a>\n<a href=\"https://x.example\" data-category=\"runing\">b</a>\n{{#each (offers)}}{{titel}}{{first_name}}{{/each}}\n{{uper first_name}}{{sender.adress}}",
    )
    .err()
    .unwrap();
    insta::assert_snapshot!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_template_that_is_not_there_is_named() {
    let mut campaign = campaign();
    campaign.content.template = "sprng.hbs".into();
    let problems = Mailing::compile(&campaign, &project(), &files(&[("spring", "")])).err().unwrap();
    assert_eq!(
        problems[0].to_string(),
        "config/campaigns/spring-running.toml:1:1: there is no template 'templates/sprng.hbs' (did you mean 'spring.hbs'?)"
    );
}

#[test]
fn a_block_that_is_never_closed_is_named_in_every_part() {
    let hint = "(write {{/if}} in the same file, and in the same element)";
    let problems = compile("<p>\n {{#if country}}a</p>\n<p>b</p>\n").err().unwrap();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [format!("templates/spring.hbs:2:2: the block {{{{#if country}}}} is never closed {hint}")]
    );
    let mut campaign = campaign();
    campaign.content.subject = "{{#if first_name}}Hello".into();
    let problems = Mailing::compile(&campaign, &project(), &files(&[("spring", "x")])).err().unwrap();
    assert!(problems[0].to_string().ends_with(&format!("the block {{{{#if first_name}}}} is never closed {hint}")));
    let problems = compile("{{#if country}}a{{/if}}\n{{/if}}").err().unwrap();
    assert_eq!(problems[0].to_string(), "templates/spring.hbs:2:1: {{/if}} closes no block");
    let problems = compile("{{#if country}}{{default first_name=}}{{/if}}").err().unwrap();
    assert!(problems[0].message.contains("invalid handlebars syntax"), "{problems:?}");
}

#[test]
fn a_text_part_by_hand_shares_numbers_with_the_html() {
    let mut campaign = campaign();
    campaign.content.text_template = Some("spring.txt.hbs".into());
    let text = "See https://shop.example.org/all.\n{{#each (offers limit=1)}}\n{{title}}: {{url}}\n{{/each}}\nhttps://other.example/{{first_name}}/x (https://plain.example.org/)\n{{unsubscribe_url}}\n";
    let files = files(&[("spring", PAGE), ("layouts/base", LAYOUT), ("spring.txt", text)]);
    let mailing = Mailing::compile(&campaign, &project(), &files).unwrap();
    let explained = render(&mailing, &profile()).unwrap();
    let numbers: Vec<_> = explained.links.iter().map(|l| (l.number, l.url.as_str())).collect();
    assert_eq!(numbers[4..], [(4, "https://other.example/Anna/x")]);
    assert_eq!(explained.text.matches("/c/").count(), 3);
    assert!(explained.text.contains("(https://plain.example.org/)"));
    let plain = render(&mailing, &without_tracking()).unwrap().text;
    assert!(
        plain.starts_with("See https://shop.example.org/all.\nRoad shoes: https://shop.example.org/r/2\nhttps://other"),
        "{plain}"
    );
}

#[test]
fn targets_from_data_cannot_leave_the_attribute_or_name_another_scheme() {
    let mailing = compile("<a href=\"{{{site}}}\">x</a>").unwrap();
    let with = |site: &str, tracking| {
        let mut profile = Profile { tracking, ..profile() };
        profile.attributes.insert("site".into(), site.into());
        render(&mailing, &profile)
    };
    let quoted = with("https://x.example/\" onclick=\"a\r\nb ü&c=1", false).unwrap().html;
    assert!(quoted.contains("href=\"https://x.example/%22%20onclick&#x3D;%22ab%20%C3%BC&amp;c&#x3D;1\""), "{quoted}");
    assert!(with("javascript:alert(1)", true).unwrap_err().message.contains("link 1"));
    assert!(with("", true).is_err());
    assert_eq!(with("mailto:a@b.example", true).unwrap().links, []);
    let long = format!("https://x.example/{}", "a".repeat(5_000));
    assert!(!with(&long, true).unwrap().html.contains("/c/"), "a token that long would not be read");
}

#[test]
fn parameters_of_partials_are_seen_inside_them() {
    let button = "<a href=\"{{url}}\">{{label}} {{first_name}}</a>";
    let page = "{{> button url=\"https://x.example/a\" label=(upper \"go\")}}{{#each (offers limit=1)}}{{> button label=title first_name=../first_name}}{{/each}}";
    let mailing = Mailing::compile(&campaign(), &project(), &files(&[("spring", page), ("button", button)])).unwrap();
    let out = render(&mailing, &without_tracking()).unwrap().html;
    assert_eq!(
        out,
        "<a href=\"https://x.example/a\">GO Anna</a><a href=\"https://shop.example.org/r/2\">Road shoes Anna</a>"
    );
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,60}",
        "[<>\"'=&{}\\r\\n\u{0}üé😀 a-z:]{0,1200}",
        Just("{{first_name}}\r\nBcc: x@example.org\r\n\r\n<script>".into())
    ]
}

proptest! {
    #[test]
    fn no_value_breaks_header_lines_or_markup(name in anything(), country in anything(), tracking: bool) {
        let mailing = compile("<p title=\"{{country}}\">{{first_name}}<a href=\"https://x.example/?q={{country}}\">x</a></p>").unwrap();
        let mut profile = Profile { tracking, ..profile() };
        profile.attributes = json!({"first_name": name, "country": country}).as_object().cloned().unwrap();
        let explained = render(&mailing, &profile).unwrap();
        let bytes = &explained.message.bytes;
        prop_assert!(bytes.ends_with(b"\r\n"));
        let text = String::from_utf8(bytes.clone()).unwrap();
        for line in text.split("\r\n") {
            prop_assert!(line.len() <= 998, "{}", line.len());
            prop_assert!(line.bytes().all(|b| (32..127).contains(&b) || b == b'\t'), "{line:?}");
        }
        let fields: Vec<_> = text.split("\r\n\r\n").next().unwrap().split("\r\n").filter(|l| !l.starts_with(' ')).map(|l| l.split(':').next().unwrap()).collect();
        prop_assert_eq!(fields, ["From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "Reply-To", "List-Id", "List-Unsubscribe-Post", "Feedback-ID", "MIME-Version",
                "Content-Language", "Content-Type"]);
        let tags = explained.html.matches('<').count();
        prop_assert_eq!(tags, if tracking { 5 } else { 4 }, "{}", explained.html);
        let normal = |t: &str| t.replace("\r\n", "\n").replace('\r', "\n").trim_end_matches('\n').to_owned();
        let (_, html, _) = decoded(bytes);
        prop_assert_eq!(normal(&html), normal(&explained.html));
    }

    #[test]
    fn any_template_compiles_or_is_refused_and_never_panics(source in "[a<>/ \"'={}#!~&|()\\.\\nhref:ü-]{0,80}|(\\{\\{(#if a|/if|else|> b|#each \\(offers\\)|/each|url|#> b|/b)\\}\\}|<a href=\"|\">|</a>|<table>|x){0,12}") {
        if let Ok(mailing) = compile(&source) {
            let _ = render(&mailing, &profile());
        }
    }
}

#[test]
fn exploring_is_the_same_in_both_parts_and_in_every_rendering() {
    let mut campaign = campaign();
    campaign.offers.explore = 0.9;
    let page = "<ul>{{#each (offers limit=3)}}<li>{{title}}</li>{{/each}}</ul>";
    let mailing = Mailing::compile(&campaign, &project(), &files(&[("spring", page)])).unwrap();
    let titles = |id: i64| {
        let mut profile = profile();
        profile.recipient.0 = id;
        let explained = render(&mailing, &profile).unwrap();
        let titles: Vec<String> = explained.offers.iter().map(|o| o.title.clone()).collect();
        let listed: Vec<&str> = explained.text.lines().filter_map(|l| l.strip_prefix("* ")).collect();
        assert_eq!(listed, titles);
        titles
    };
    let all: Vec<_> = (0..40).map(titles).collect();
    assert_eq!(all, (0..40).map(titles).collect::<Vec<_>>());
    assert!(all.iter().any(|t| *t != all[0]), "every recipient has a draw of their own");
}

#[test]
fn values_keep_their_types() {
    let mut profile = profile();
    profile.attributes.insert("age".into(), Value::from(41));
    let mailing = compile("{{age}} {{#if (gt age 40)}}old{{/if}} {{score}} {{cluster}} {{#if (eq cluster \"running\")}}r{{/if}} {{upper first_name}} {{address}}").unwrap();
    let out = render(&mailing, &profile).unwrap().html;
    assert!(out.starts_with("41 old 41.4 running r ANNA anna@example.org<img"), "{out}");
}
