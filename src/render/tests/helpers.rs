//! Helpers as templates call them.

use serde_json::{Value, json};

use crate::domain::profile::Profile;
use crate::render::Mailing;
use crate::render::RenderError;
use crate::render::testing::{campaign, compile, files, profile, project, render};

/// The text part that someone with these attributes gets, as the sender's German language writes it.
fn written(template: &str, attributes: &Value) -> Result<String, RenderError> {
    let mut attributes = attributes.as_object().cloned().unwrap_or_default();
    // The campaign's subject wants it.
    attributes.entry("first_name").or_insert("Anna".into());
    let profile = Profile { attributes, tracking: false, ..profile() };
    let mailing = compile(template).unwrap_or_else(|problems| panic!("{problems:?}"));
    Ok(render(&mailing, &profile)?.text.trim_end().to_owned())
}

fn refused(template: &str) -> Vec<String> {
    let problems = compile(template).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn values_are_written_in_the_language_of_the_mail() {
    let anna = json!({"birthday": "1990-03-07", "runs": 1, "km": 1234.56, "price": "9.9", "currency": "CHF",
        "signed": "2026-12-01T23:30:00Z", "first_name": "anna", "sports": ["Laufen", "Rad", "Ski"]});
    for (template, expected) in [
        ("{{date birthday}} {{date birthday \"full\"}}", "07.03.1990 Mittwoch, 7. März 1990"),
        ("{{date signed pattern=\"EEEE, HH:mm 'Uhr'\"}}", "Mittwoch, 00:30 Uhr"),
        ("{{number km}} {{number km digits=1}} {{number -1.5 digits=0}}", "1.234,56 1.234,6 -2"),
        ("{{money price \"EUR\"}} {{money 5 currency}}", "9,90\u{a0}€ 5,00\u{a0}CHF"),
        ("{{money 1 \"EUR\" style=\"name\"}}", "1,00 Euro"),
        ("{{plural runs one=\"# Lauf\" other=\"# Läufe\"}}", "1 Lauf"),
        ("{{plural km one=\"# Lauf\" other=\"# Läufe\"}}", "1.234,56 Läufe"),
        ("{{list sports}}; {{list first_name \"du\" \"\" or=true}}", "Laufen, Rad und Ski; anna oder du"),
        ("{{capitalize first_name}} {{upper \"straße\"}} {{lower \"ÄB\"}}", "Anna STRASSE äb"),
        ("{{truncate \"Schuhe für jeden Weg\" 12}}", "Schuhe für…"),
        ("{{date (default nothing \"2026-01-02\") \"short\"}}", "02.01.26"),
        (
            "{{#if (ge runs 1)}}ja{{/if}}{{#if (le km 1000)}}nein{{/if}}{{#if (ge birthday \"1990-01-01\")}}!{{/if}}",
            "ja!",
        ),
        ("{{url \"https://x.example/s?a=1\" q=first_name b=\"ü &\"}}", "https://x.example/s?a=1&b=%C3%BC%20%26&q=anna"),
    ] {
        assert_eq!(written(template, &anna).unwrap(), expected, "{template}");
    }
}

#[test]
fn a_helpers_name_alone_is_a_variable() {
    let taken = json!({"date": "heute", "number": 7, "url": "https://x.example/", "list": ["a"], "money": "<b>"});
    assert_eq!(written("{{date}} {{number}} {{{money}}} {{~url~}}", &taken).unwrap(), "heute 7 <b>https://x.example/");
    assert_eq!(
        written("{{#each list}}{{this}}{{/each}}{{#if date}}!{{/if}}{{number number digits=1}}", &taken).unwrap(),
        "a!7,0"
    );
    let error = written("{{number}}", &json!({})).unwrap_err();
    assert_eq!(error.variable.as_deref(), Some("number"));
    assert_eq!(
        written("{{#each (offers limit=1)}}{{number}} {{url}}{{/each}}", &json!({})).unwrap(),
        "2 https://shop.example.org/r/2"
    );
}

#[test]
fn what_a_helper_writes_is_escaped() {
    let mailing = compile("{{list first_name \"<i>\"}}").unwrap();
    assert!(render(&mailing, &profile()).unwrap().html.starts_with("Anna und &lt;i&gt;"));
}

#[test]
fn an_address_that_was_built_is_a_tracked_link() {
    let mailing = compile("<a href=\"{{url \"https://x.example/s\" name=first_name}}\">x</a>").unwrap();
    let explained = render(&mailing, &profile()).unwrap();
    assert_eq!(explained.links[0].url, "https://x.example/s?name=Anna");
    assert!(explained.html.contains("/c/"));
}

#[test]
fn a_wrong_argument_is_refused_with_its_place() {
    for (template, expected) in [
        ("\n {{money km \"EURO\"}}", "2:2: there is no currency 'EURO' (write its ISO 4217 code, as in EUR)"),
        ("{{date birthday \"lnog\"}}", "1:1: dates have no style 'lnog' (did you mean 'long'?)"),
        (
            "{{date birthday first_name}}",
            "1:1: 'date' wants its style written out, in quotes (as in {{date birthday \"long\"}})",
        ),
        ("{{date \"2026-02-30\"}}", "1:1: this is not a date (a day is written 2026-12-01, a time 2026-12-01T09:00)"),
        ("{{number \"much\"}}", "1:1: 'number' takes a number, as in 1234.5 (as in {{number points digits=1}})"),
        (
            "{{number km digits=99}}",
            "1:1: 'number' takes 0 to 12 digits, written out (as in {{number points digits=1}})",
        ),
        ("{{number km digit=1}}", "1:1: 'number' knows no 'digit=' (as in {{number points digits=1}})"),
        ("{{#if (gt score)}}{{/if}}", "1:1: 'gt' has too few arguments (as in (gt score 20))"),
        ("{{#if (date)}}{{/if}}", "1:1: 'date' has too few arguments (as in {{date birthday \"long\"}})"),
        ("{{#list sports}}{{/list}}", "1:1: 'list' opens no block (as in {{list city country}})"),
        ("{{dat birthday \"long\"}}", "1:1: there is no helper 'dat' (did you mean 'date'?)"),
        (
            "{{truncate city}}",
            "1:1: 'truncate' takes a length from 1 to 10000, written out (as in {{truncate title 40}})",
        ),
        (
            "{{url \"/x\" a=1}}",
            "1:1: 'url' takes an address that begins with https:// (as in {{url \"https://example.org/search\" q=city}})",
        ),
    ] {
        assert_eq!(refused(template), [format!("templates/spring.hbs:{expected}")]);
    }
    let plural = refused("{{plural runs one=\"# run\" many=\"x\"}}");
    assert_eq!(plural.len(), 1);
    assert!(plural[0].contains("needs other="), "{plural:?}");
    assert!(refused("{{date birthday pattern=\"HH:mm zzzz\"}}")[0].contains("is not a pattern for dates"));
}

#[test]
fn a_category_that_the_project_does_not_have_is_refused_wherever_a_template_names_it() {
    let near = "there is no category 'runing' (did you mean 'running'?)";
    for (template, expected) in [
        ("\n {{#cluster \"runing\"}}a{{else}}b{{/cluster}}", "2:2"),
        ("{{#interested \"trail\" \"runing\"}}a{{/interested}}", "1:1"),
        ("a {{#if (and (has first_name) (interested \"runing\"))}}b{{/if}}", "1:3"),
        ("a {{#if (has first_name)}}b\n{{else cluster \"runing\"}}c{{/if}}", "1:3"),
    ] {
        assert_eq!(refused(template), [format!("templates/spring.hbs:{expected}: {near}")]);
    }
    let unknown = "(name it under [categories] in config/colloquy.toml)";
    assert_eq!(
        refused("{{#cluster \"sailing\" 5}}{{/cluster}}"),
        ["5", "sailing"].map(|name| format!("templates/spring.hbs:1:1: there is no category '{name}' {unknown}"))
    );
    for template in ["{{#cluster}}a{{/cluster}}", "{{#if (cluster)}}a{{/if}}"] {
        let few = "'cluster' has too few arguments (as in {{#cluster \"running\"}})";
        assert_eq!(refused(template), [format!("templates/spring.hbs:1:1: {few}")]);
    }
    assert_eq!(refused("{{cluster}} {{#cluster \"running\" \"trail\"}}a{{/cluster}}"), [""; 0]);
}

#[test]
fn a_category_in_a_subject_or_a_text_part_is_checked_too() {
    let mut campaign = campaign();
    campaign.content.subject = "{{#cluster \"runing\"}}Run{{else}}Walk{{/cluster}}".into();
    campaign.content.text_template = Some("spring.txt.hbs".into());
    let text = "a\n{{#interested \"gardn\"}}b{{/interested}}";
    let problems = Mailing::compile(&campaign, &project(), &files(&[("spring", "x"), ("spring.txt", text)]));
    let problems: Vec<_> = problems.err().unwrap_or_default().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "config/campaigns/spring-running.toml:1:1: there is no category 'runing' (did you mean 'running'?)",
            "templates/spring.txt.hbs:2:1: there is no category 'gardn' (did you mean 'garden'?)",
        ]
    );
}

#[test]
fn names_behind_else_if_are_checked_and_filled_in() {
    assert_eq!(
        refused("a\n{{#if (has nick)}}a{{else if (eq country \"AT\")}}{{uper country}}{{/if}}"),
        ["templates/spring.hbs:2:49: there is no helper 'uper' (did you mean 'upper'?)"]
    );
    let mailing = compile("{{#if (has nick)}}a{{else if (has country)}}{{country}} {{view_url}}{{/if}}").unwrap();
    assert!(mailing.variables().contains("country"));
    assert!(render(&mailing, &profile()).unwrap().text.starts_with("DE https://t.alpenlauf.example/"));
}

#[test]
fn offers_in_a_campaign_that_has_none_are_refused_once() {
    let mut campaign = campaign();
    campaign.offers.items.clear();
    let compiled = |html: &str| Mailing::compile(&campaign, &project(), &files(&[("spring", html)]));
    let problems = compiled("a\n{{#each (offers)}}{{url}} {{title}} {{image}}{{/each}}").err().unwrap_or_default();
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["templates/spring.hbs:2:19: the campaign has no offers (add [[offers.item]] to its file)"]);
    assert!(compiled("{{#each (offers)}}a{{else}}none{{/each}}").is_ok(), "nothing of an offer is used");
}

#[test]
fn a_value_that_does_not_fit_names_place_and_helper() {
    let error = written("a\n{{date birthday}}", &json!({"birthday": "soon"})).unwrap_err();
    assert_eq!((error.line, error.column), (2, 1));
    assert!(error.message.contains("'date': this is not a date"), "{}", error.message);
    assert!(!error.message.contains("soon"), "values stay out of errors");
    assert!(written("{{money 1 currency}}", &json!({"currency": "euro"})).is_err());
    assert!(written("{{number first_name}}", &json!({})).unwrap_err().message.contains("'number' takes"));
}
