//! MJML templates, from file to mail.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::domain::profile::Profile;
use crate::render::testing::{campaign, profile, project, render};
use crate::render::{Explained, Mailing, TemplateProblem};

fn compile(files: &[(&str, &str)]) -> Result<Mailing, Vec<TemplateProblem>> {
    let files: BTreeMap<_, _> = files.iter().map(|(p, t)| (format!("templates/{p}"), (*t).to_owned())).collect();
    let mut campaign = campaign();
    campaign.content.template = "spring.mjml".into();
    Mailing::compile(&campaign, &project(), &files)
}

/// A mail with this in its only column; the column's text begins on line 2.
fn column(inside: &str) -> Result<Mailing, Vec<TemplateProblem>> {
    let page = format!("<mjml><mj-body><mj-section><mj-column>\n{inside}</mj-column></mj-section></mj-body></mjml>");
    compile(&[("spring.mjml", &page)])
}

fn rendered(mailing: &Mailing) -> Explained {
    render(mailing, &Profile { tracking: false, ..profile() }).unwrap_or_else(|e| panic!("{e}"))
}

fn complaint(inside: &str) -> String {
    column(inside).err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const LAYOUT: &str = r#"<mjml lang="en">
<mj-head>
  <mj-title>{{sender.name}}</mj-title>
  <mj-preview>For {{first_name}}</mj-preview>
  <mj-style>@media (prefers-color-scheme: dark) { .sheet { background: #000 !important } }</mj-style>
  <mj-style inline="inline">.price { color: #b00 }</mj-style>
</mj-head>
<mj-body>
{{> @partial-block}}
{{> partials/footer label="Leave"}}
</mj-body>
</mjml>
"#;
const FOOTER: &str = r#"<mj-section><mj-column><mj-text>
{{sender.postal_address}} <a href="{{unsubscribe_url}}">{{label}}</a>
</mj-text></mj-column></mj-section>
"#;
const PAGE: &str = r##"{{#> layouts/base}}
{{#cluster "running"}}
<mj-section css-class="sheet"><mj-column><mj-text>For runners</mj-text></mj-column></mj-section>
{{/cluster}}
<mj-section>
  <mj-column>
    {{#each (offers limit=2)}}
    <mj-text><b>{{title}}</b> <span class="price">{{price}}</span></mj-text>
    <mj-button href="{{url}}" background-color="{{#if first}}#000000{{else}}#333333{{/if}}">Go &amp; see {{title}}</mj-button>
    {{/each}}
    <mj-table>{{#if country}}<tr><td>{{country}}</td></tr>{{/if}}</mj-table>
    <mj-button href="https://shop.example.org/all" data-category="garden">All</mj-button>
    <mj-image src="https://shop.example.org/a.png" alt="A hill" href="https://shop.example.org/hill" data-track="off" />
  </mj-column>
</mj-section>
{{/layouts/base}}
"##;

#[test]
fn a_mail_with_layout_partial_and_offers_becomes_html_and_text() {
    let page = PAGE.replace("{{#if first}}", "{{#if ../first_name}}");
    let files = [("spring.mjml", page.as_str()), ("layouts/base.mjml", LAYOUT), ("partials/footer.mjml", FOOTER)];
    let mailing = compile(&files).unwrap_or_else(|p| panic!("{p:?}"));
    let mail = rendered(&mailing);
    insta::assert_snapshot!(format!("{}\n---\n{}", mail.html.replace("><", ">\n<"), mail.text));
    let links: Vec<_> = mail.links.iter().map(|l| (l.item, l.category.as_deref(), l.url.as_str())).collect();
    assert_eq!(
        links,
        [
            (2, Some("running"), "https://shop.example.org/r/2"),
            (4, Some("running"), "https://shop.example.org/r/4"),
            (0, Some("garden"), "https://shop.example.org/all"),
        ]
    );
}

#[test]
fn a_partial_is_taken_as_mjml_first_and_else_as_html() {
    let page =
        "<mjml><mj-body><mj-section><mj-column><mj-text>{{> sig}}</mj-text></mj-column></mj-section></mj-body></mjml>";
    let html = rendered(&compile(&[("spring.mjml", page), ("sig.hbs", "by hand")]).unwrap()).html;
    assert!(html.contains(">by hand</div>"), "{html}");
    let html =
        rendered(&compile(&[("spring.mjml", page), ("sig.hbs", "by hand"), ("sig.mjml", "as MJML")]).unwrap()).html;
    assert!(html.contains(">as MJML</div>"), "{html}");
}

#[test]
fn a_variable_that_is_missing_is_named_where_it_is_written() {
    for (inside, column_of) in [
        ("<mj-text>\n<p>a</p> {{nick}}</mj-text>", 10),
        ("<mj-text>\n{{#if country}}{{nick}}{{/if}}</mj-text>", 16),
        ("<mj-button\n href=\"https://x.example/{{nick}}\">x</mj-button>", 8),
        ("<mj-divider\n border-color=\"{{nick}}\" />", 16),
    ] {
        let error = render(&column(inside).unwrap_or_else(|p| panic!("{p:?}")), &profile()).unwrap_err();
        assert_eq!(
            (error.file.as_str(), error.line, error.column),
            ("templates/spring.mjml", 3, column_of),
            "{inside}"
        );
        assert_eq!(error.variable.as_deref(), Some("nick"));
    }
}

#[test]
fn mistakes_are_named_with_place_and_hint() {
    for (inside, expected) in [
        ("<mj-buton>x</mj-buton>", "2:1: there is no element <mj-buton> in MJML (did you mean <mj-button>?)"),
        ("<mj-text colour=\"red\">x</mj-text>", "2:10: <mj-text> has no attribute 'colour' (did you mean 'color'?)"),
        ("<mj-text>x</mj-txt>", "2:1: <mj-text> is never closed"),
        (" stray", "2:2: no text can stand in <mj-column> (write it in <mj-text>, or markup of your own in <mj-raw>)"),
        (
            "{{country}}",
            "2:1: no text can stand in <mj-column> (write it in <mj-text>, or markup of your own in <mj-raw>)",
        ),
        ("<mj-include path=\"a.mjml\" />", "2:1: <mj-include> is not read (take a partial: {{> partials/NAME}})"),
        (
            "<mj-text {{#if country}}color=\"red\"{{/if}}>x</mj-text>",
            "2:10: a tag can stand in an attribute's value, not between attributes (put the condition into an attribute's value, or around the element)",
        ),
        (
            "<mj-text data-category=\"garden\">x</mj-text>",
            "2:10: 'data-category' belongs to a link (add href=\"https://…\")",
        ),
        (
            "<mj-button href=\"https://x.example\" data-category=\"gardn\">x</mj-button>",
            "2:52: there is no category 'gardn' (did you mean 'garden'?)",
        ),
        (
            "<mj-button href=\"/shop\">x</mj-button>",
            "2:18: '/shop' leads nowhere outside a web page (links in mails need the whole address, https://…)",
        ),
        (
            "<mj-text>a < b</mj-text>",
            "2:12: this is not readable as MJML (in text write &lt; for < and &amp; for &; attributes need quotes)",
        ),
        (
            "<mj-column css-class=\"{{country}}\"></mj-column>",
            "2:1: <mj-column> cannot stand in <mj-column> (it stands in <mj-section> or <mj-group>)",
        ),
    ] {
        assert_eq!(complaint(inside), format!("templates/spring.mjml:{expected}"), "{inside}");
    }
    assert_eq!(
        compile(&[("spring.mjml", "<p>x</p>")]).err().unwrap()[0].to_string(),
        "templates/spring.mjml:1:1: there is no <mjml> in this template"
    );
}

#[test]
fn whatever_stands_in_a_template_it_is_compiled_or_refused() {
    let pieces = [
        "<mjml>",
        "</mjml>",
        "<mj-body>",
        "</mj-body>",
        "<mj-section>",
        "</mj-section>",
        "<mj-column width=\"{{score}}%\">",
        "</mj-column>",
        "<mj-text>",
        "</mj-text>",
        "<mj-button href=\"{{url}}\">",
        "</mj-button>",
        "{{#if country}}",
        "{{/if}}",
        "{{first_name}}",
        "ü &nbsp; <!-- {{address}} -->",
        "<mj-image width=\"x\" src=\"{{score}}\" />",
        "<td",
        "\">",
        "hb1z",
        "<mj-style inline=\"inline\">a{b:",
        "</mj-style>",
        "<mj-head>",
        "</mj-head>",
    ];
    let piece = prop_oneof![proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned), "\\PC{0,8}"];
    let cases = ProptestConfig::with_cases(64);
    proptest!(cases, |(chosen in proptest::collection::vec(piece, 0..14))| {
        let _ = column(&chosen.concat());
        let _ = compile(&[("spring.mjml", &chosen.concat())]);
        let _ = crate::render::testing::compile(&chosen.concat());
    });
}
