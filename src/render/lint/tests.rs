//! What is found in a mailing, and what is not.

use std::collections::BTreeMap;

use crate::domain::campaign::{Attachment, Campaign, Pictures};
use crate::domain::profile::Profile;
use crate::render::testing::{campaign, compile, files, profile, project, render};
use crate::render::{Lint, Mailing};

/// What every mailing needs, with `{}` for what a test adds.
const GOOD: &str = "<html lang=\"en\"><body>{}<p>{{sender.postal_address}} <a href=\"{{sender.imprint_url}}\" \
    data-track=\"off\">Imprint</a> <a href=\"{{unsubscribe_url}}\">Unsubscribe</a></p></body></html>";

fn mailing(inside: &str) -> Mailing {
    carrying(inside, campaign(), &[])
}

/// The same of a campaign, with further files.
fn carrying(inside: &str, mut campaign: Campaign, more: &[(&str, String)]) -> Mailing {
    campaign.content.preheader = Some("What is new".into());
    let mut files: BTreeMap<_, _> = files(&[("spring", &GOOD.replace("{}", inside))]);
    files.extend(more.iter().map(|(path, text)| ((*path).to_owned(), text.clone())));
    Mailing::compile(&campaign, &project(), &files).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn sample(mailing: &Mailing) -> Vec<Lint> {
    mailing.lint(&render(mailing, &profile()).unwrap())
}

/// What the template of a mail with this in it is warned of.
fn warnings(inside: &str) -> Vec<String> {
    mailing(inside).lint_template().iter().map(ToString::to_string).collect()
}

#[test]
fn a_mailing_that_has_what_it_needs_is_left_in_peace() {
    let mailing = mailing("<h1>Hello {{first_name}}</h1>");
    assert_eq!(sample(&mailing), []);
    assert_eq!(mailing.lint_template(), []);
}

#[test]
fn what_a_sample_lacks_is_named() {
    let bare = compile("<a href=\"https://x.example\">x</a>").unwrap();
    let expected = [
        Lint::NoUnsubscribeInHtml,
        Lint::NoUnsubscribeInText,
        Lint::NoPostalAddress,
        Lint::NoImprint,
        Lint::NoPreheader { begins: "x".into() },
        Lint::LinkWithoutCategory { number: 1, url: "https://x.example".into() },
    ];
    assert_eq!(sample(&bare), expected);
}

#[test]
fn a_mail_that_gmail_would_clip_is_named_with_its_size() {
    let large = mailing(&"x".repeat(110_000));
    let size = render(&large, &profile()).unwrap().html.len();
    assert_eq!(sample(&large), [Lint::HtmlClipped { size }]);
}

#[test]
fn what_goes_with_each_mail_is_weighed_together() {
    let half = "x".repeat(600_000);
    let text = "Word ".repeat(100);
    let page = format!("<img src=\"a.png\" alt=\"A\"><img src=\"a.png\" alt=\"\"><p>{text}</p>");
    let mut heavy = campaign();
    let attachment = Attachment { file: "files/a.pdf".into(), name: "a.pdf".into(), media: "application/pdf".into() };
    heavy.content.attachments.push(attachment);
    let files = [("templates/a.png", half.clone()), ("files/a.pdf", half)];
    let found = sample(&carrying(&page, heavy.clone(), &files));
    assert!(
        matches!(found[..], [Lint::Heavy { pictures: 1, attachments: 1, size: 1_200_000..1_201_000 }]),
        "the picture goes along once: {found:?}"
    );
    assert_eq!(found[0].to_string(), "its pictures (1) and attachments (1) make each mail 1.1 MB heavy");
    let linked = Campaign { pictures: Pictures::Linked, ..heavy };
    assert_eq!(sample(&carrying(&page, linked, &files)), []);
}

#[test]
fn a_mail_says_what_mailboxes_show_of_it() {
    let begins = |html: &str| {
        let found = sample(&compile(html).unwrap());
        found.into_iter().find_map(|lint| if let Lint::NoPreheader { begins } = lint { Some(begins) } else { None })
    };
    assert_eq!(
        begins("<title>News</title><style>p{}</style><p> &nbsp;</p><p>R&amp;B\n for {{first_name}}</p>").as_deref(),
        Some("R&B for Anna")
    );
    let long = begins("<p>Open this mail in your browser if it does not look right</p>");
    assert_eq!(long.as_deref(), Some("Open this mail in your browser if it doe…"));
    assert_eq!(begins("<div style=\"display:none\">New shoes</div><p>Open in your browser</p>"), None);
    assert_eq!(begins("<style>.pre{display:none}</style><div class=\"pre\">New shoes</div><p>Browser</p>"), None);
}

#[test]
fn a_picture_that_goes_nowhere_is_named() {
    let with = |src: &str| {
        let text = "Word ".repeat(100);
        sample(&mailing(&format!(
            "{{{{#*inline \"card\"}}}}<img src=\"{{{{image}}}}\" alt=\"\">{{{{/inline}}}}{{{{> card image=\"{src}\"}}}}<p>{text}</p>"
        )))
    };
    assert_eq!(with("images/a.png"), [Lint::BrokenPicture { src: "images/a.png".into() }]);
    for src in ["https://x.example/a.png", "HTTP://x.example/a.png", "cid:a@b", "data:image/png;base64,eA=="] {
        assert_eq!(with(src), [], "{src}");
    }
}

#[test]
fn braces_that_are_left_are_named_with_their_part() {
    let left = mailing("<p>\\{{first_name}}</p><style data-css-inline=\"ignore\">@media print{p{margin:0}}</style>");
    assert_eq!(sample(&left), [Lint::Leftover { part: "HTML part" }, Lint::Leftover { part: "text part" }]);
}

#[test]
fn a_mail_made_of_pictures_is_named_unless_it_says_enough() {
    let picture = "<img src=\"https://x.example/a.png\" alt=\"Sale\">";
    assert_eq!(sample(&mailing(picture)), [Lint::LittleText { pictures: 1, letters: 50 }]);
    assert_eq!(sample(&mailing(&format!("{picture}<p>{}</p>", "Words that say it. ".repeat(15)))), []);
    let hidden = format!("{picture}<p style=\"display:none\">{}</p>", "Words that say it. ".repeat(15));
    assert_eq!(sample(&mailing(&hidden)), [Lint::LittleText { pictures: 1, letters: 50 }]);
}

#[test]
fn a_link_that_a_variable_breaks_is_named() {
    let mailing = mailing("<a href=\"{{site}}\">x</a>");
    let with = |site: &str| {
        let mut profile = Profile { tracking: false, ..profile() };
        profile.attributes.insert("site".into(), site.into());
        mailing.lint(&render(&mailing, &profile).unwrap())
    };
    assert!(with("https://shop").contains(&Lint::BrokenLink { number: 1, url: "https://shop".into() }));
    assert!(!with("https://shop.example").iter().any(|lint| matches!(lint, Lint::BrokenLink { .. })));
}

#[test]
fn faults_of_a_template_are_named_with_their_place() {
    let place = "templates/spring.hbs:1:23";
    let link = "templates/spring.hbs:1:32";
    for (inside, expected) in [
        ("<img src=\"https://x.example/a.png\">", format!("{link}: a picture has no alternative text (add alt=\"…\" that tells what it shows, or alt=\"\" for decoration)").replace(":32", ":33")),
        ("<a>x</a>", format!("{place}: a link leads nowhere (add href=\"https://…\")")),
        ("<a href=\"#top\">x</a>", format!("{link}: '#top' is nowhere in the mail (give its place id=\"…\", or link to a page)")),
        ("<a href=\"#\">x</a>", format!("{link}: '#' is nowhere in the mail (give its place id=\"…\", or link to a page)")),
        ("<a href=\"https://shop\">x</a>", format!("{link}: 'https://shop' is no address (as in https://example.org/page or mailto:service@example.org)")),
        ("<a href=\"https:///x\" data-track=\"off\">x</a>", format!("{link}: 'https:///x' is no address (as in https://example.org/page or mailto:service@example.org)")),
        ("<a href=\"mailto:service\">x</a>", format!("{link}: 'mailto:service' is no address (as in https://example.org/page or mailto:service@example.org)")),
        ("<a href=\"/shop\" data-track=\"off\">x</a>", format!("{link}: '/shop' is no address (as in https://example.org/page or mailto:service@example.org)")),
        ("<a href=\"https://x.example\"><img src=\"https://x.example/a.png\" alt=\"\"></a>", format!("{link}: a link has no text (write a text in it, or alt=\"…\" on its picture)")),
        ("<p style=\"color:#888\">\n  <b>faint</b></p>", "templates/spring.hbs:2:6: text in #888888 on #ffffff is hard to read: contrast 3.5 (it takes 4.5 here (WCAG AA))".into()),
    ] {
        assert_eq!(warnings(inside), [expected], "{inside}");
    }
}

#[test]
fn a_mail_that_cannot_say_its_language_is_named() {
    let found = compile("<p>x</p>").unwrap().lint_template();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "without <html> the mail does not say its language");
    assert_eq!(compile("<html><p>x</p></html>").unwrap().lint_template(), [], "the sender's counts");
}

#[test]
fn contrast_is_judged_by_what_is_seen_where_that_is_known() {
    for (inside, faint) in [
        ("<style>.a{background:#17402f}.a b{color:#d5e6dc}</style><div class=\"a\"><b>x</b></div>", false),
        ("<style>.a{background:#17402f}.a b{color:#000}</style><div class=\"a\"><b>x</b></div>", true),
        ("<style>p{color:#eee}@media (prefers-color-scheme: dark){p{color:#fff !important}}</style><p>x</p>", true),
        ("<style>i{color:#eee}</style><style>i.b{color:#222}</style><i class=\"b\">x</i>", false),
        ("<table><tr><td bgcolor=\"black\"><font color=\"white\">x</font></td><td>y</td></tr></table>", false),
        ("<p style=\"background:#000\"><a href=\"https://x.example\">x</a></p>", true),
        ("<p style=\"background:#fff url(https://x.example/a.png)\"><span style=\"color:#eee\">x</span></p>", false),
        ("<p style=\"color:#eee;{{#if country}}background:#000{{/if}}\">x</p>", false),
        ("<p style=\"color:{{country}}\">x</p>", false),
        ("<div style=\"display:none;color:#fff\">preview</div>", false),
        ("<p style=\"color:#eee\"> &nbsp;&zwnj; \u{a0}</p>", false),
        ("<p style=\"color:#eee\">{{first_name}}</p>", true),
        ("<h1 style=\"color:#888\">large</h1>", false),
        ("<p style=\"color:#888;font-size:14pt\"><b>large</b></p>", false),
        ("<p style=\"color:#888;font:bold 18px/1.2 serif\">small</p>", true),
        ("<p style=\"color:#888\">one<p style=\"color:#888\">again, told once", true),
        ("<ul><li style=\"background:#000;color:#fff\">one<li>two</ul>", false),
    ] {
        let found = warnings(inside);
        assert_eq!(found.len(), usize::from(faint), "{inside}: {found:?}");
    }
}
