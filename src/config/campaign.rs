//! One file under `config/campaigns/`.

use super::files::{ProjectFiles, TEMPLATES, stays_inside};
use super::problem::{Complaint, name_hint};
use super::reader::Section;
use super::segments::Names;
use super::value::Field;
use super::{check, schedule};
use crate::domain::campaign::{Campaign, LinkRule, OfferItem, Offers};
use crate::domain::project::Project;
use crate::domain::rate::Rate;

/// What a campaign is checked against.
pub(super) struct Surroundings<'a> {
    pub project: &'a Project,
    pub files: &'a ProjectFiles,
    pub names: &'a Names,
}

pub(super) fn read(root: &Section<'_>, name: &str, around: &Surroundings<'_>) -> Option<Campaign> {
    let project = around.project;
    let topic = root.required("topic", "topic = \"news\"").and_then(|field| topic(&field, project));
    let subject = root.required("subject", "subject = \"Hello {{default first_name \\\"you\\\"}}\"");
    let subject = subject.and_then(|field| field.parsed(subject_line));
    let html = root
        .required("template", "template = \"news.hbs\"")
        .and_then(|field| template(&field, &["hbs", "mjml"], around.files));
    let text_template = root.field("text_template").map(|field| template(&field, &["hbs"], around.files));
    let schedule = schedule::read(root, &project.sender.timezone);
    let audience =
        root.section("audience", |audience| audience.field("where").and_then(|field| around.names.condition(&field)));
    let throttle = root.section("throttle", |throttle| throttle.parsed("rate", Rate::parse));
    let links = root.section("links", |links| links.fields().iter().map(|field| link(field, project)).collect());
    let offers = root.section("offers", |section| offers(section, project));
    Some(Campaign {
        name: name.to_owned(),
        topic: topic?,
        subject: subject?,
        template: html?,
        text_template: text_template.flatten(),
        schedule,
        audience,
        throttle,
        links,
        offers,
    })
}

fn topic(field: &Field<'_>, project: &Project) -> Option<String> {
    field.parsed(|text| match project.topics.contains_key(text) {
        true => Ok(text.to_owned()),
        false => Err(Complaint {
            message: format!("there is no topic `{text}` in config/colloquy.toml"),
            hint: name_hint(text, project.topics.keys().map(String::as_str))
                .or_else(|| Some(format!("add [topics.{text}] there"))),
        }),
    })
}

fn category(field: &Field<'_>, project: &Project) -> String {
    let known = |text: &str| match project.categories.contains_key(text) {
        true => Ok(text.to_owned()),
        false => Err(Complaint {
            message: format!("there is no category `{text}` in config/colloquy.toml"),
            hint: name_hint(text, project.categories.keys().map(String::as_str))
                .or_else(|| Some(format!("add {text} = \"…\" to [categories] there"))),
        }),
    };
    field.parsed(known).unwrap_or_default()
}

fn subject_line(text: &str) -> Result<String, Complaint> {
    if text.trim().is_empty() {
        return Err("the subject is empty".into());
    }
    if text.contains(char::is_control) {
        return Err(
            Complaint::new("the subject has more than one line").hint("write it on one line, in one pair of quotes")
        );
    }
    Ok(text.to_owned())
}

fn template(field: &Field<'_>, endings: &[&str], files: &ProjectFiles) -> Option<String> {
    field.parsed(|text| {
        if !stays_inside(text) {
            return Err(Complaint::new("a template is a file under templates/").hint("write its path below templates/"));
        }
        if !text.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending)) {
            return Err(match endings {
                [_] => Complaint::new("a text template's name ends in .hbs").hint("as in news.txt.hbs"),
                _ => Complaint::new("a template's name ends in .hbs or .mjml")
                    .hint("as in news.hbs, or news.mjml for MJML"),
            });
        }
        let path = format!("{TEMPLATES}/{text}");
        match files.read(&path) {
            Ok(Some(_)) => Ok(text.to_owned()),
            Ok(None) => Err(no_template(text, endings, files)),
            Err(error) => Err(error.to_string().into()),
        }
    })
}

fn no_template(text: &str, endings: &[&str], files: &ProjectFiles) -> Complaint {
    let paths: Vec<_> = endings.iter().flat_map(|ending| files.list(TEMPLATES, ending).unwrap_or_default()).collect();
    let below = paths.iter().filter_map(|path| path.strip_prefix(TEMPLATES)?.strip_prefix('/'));
    let pages = below.filter(|path| !path.starts_with("layouts/") && !path.starts_with("partials/"));
    Complaint { message: format!("there is no file {TEMPLATES}/{text}"), hint: name_hint(text, pages) }
}

fn link(field: &Field<'_>, project: &Project) -> LinkRule {
    if !field.key.starts_with("http://") && !field.key.starts_with("https://") && !field.key.starts_with('*') {
        let complaint = Complaint::new("a link's pattern starts with https://, http:// or *");
        field.key_error(complaint.hint("as in \"https://shop.example.org/running/*\" = \"running\""));
    }
    LinkRule { pattern: field.key.to_owned(), category: category(field, project) }
}

fn offers(section: &Section<'_>, project: &Project) -> Offers {
    let explore = section.field("explore").and_then(|field| field.number("a share from 0 to 1", 0.0..=1.0));
    let items = section.each("item", |item| {
        let category = item.required("category", "category = \"…\"").map(|field| category(&field, project));
        let title = item.required("title", "title = \"…\"").and_then(|field| field.text());
        let page = |text: &str| check::web_url(text).map(|_| text.to_owned());
        let url = item.required("url", "url = \"https://…\"").and_then(|field| field.parsed(page));
        let image = item.parsed("image", page);
        let extra = item.other_fields().iter().map(|field| (field.key.to_owned(), field.json())).collect();
        Some(OfferItem { category: category?, title: title?.to_owned(), url: url?, image, extra })
    });
    Offers { explore: explore.unwrap_or(0.0), items: items.into_iter().flatten().collect() }
}
