//! One file under `config/campaigns/`.

use std::collections::BTreeMap;

use super::files::{ProjectFiles, TEMPLATES, stays_inside};
use super::problem::{Complaint, name_hint};
use super::reader::Section;
use super::segments::Names;
use super::utm::{self, Parameters};
use super::value::Field;
use super::{attachment, check, schedule};
use crate::domain::campaign::{Campaign, Content, LinkRule, OfferItem, Offers, Pictures};
use crate::domain::project::Project;
use crate::domain::rate::Rate;

/// What a campaign is checked against.
pub(super) struct Surroundings<'a> {
    pub project: &'a Project,
    pub files: &'a ProjectFiles,
    pub names: &'a Names,
    pub utm: Option<&'a Parameters>,
    pub pictures: Pictures,
}

pub(super) fn read(root: &Section<'_>, name: &str, around: &Surroundings<'_>) -> Option<Campaign> {
    let project = around.project;
    let topic = root.required("topic", "topic = \"news\"").and_then(|field| topic(&field, project));
    let content = content(root, around.files);
    let languages = root.section("language", |section| languages(section, around));
    let (schedule, timing) = schedule::read(root, project);
    let audience =
        root.section("audience", |audience| audience.field("where").and_then(|field| around.names.condition(&field)));
    let throttle = root.section("throttle", |throttle| throttle.parsed("rate", Rate::parse));
    let pause_at_rejections = root.section("limits", |limits| limits.parsed("pause_at_rejections", check::percent));
    let links = root.section("links", |links| links.fields().iter().map(|field| link(field, project)).collect());
    let pictures = root.parsed("pictures", check::pictures).unwrap_or(around.pictures);
    let utm = utm::merged(around.utm, utm::read(root), name);
    let offers = root.section("offers", |section| offers(section, project));
    Some(Campaign {
        name: name.to_owned(),
        topic: topic?,
        content: content?,
        languages,
        schedule,
        timing,
        audience,
        throttle,
        pause_at_rejections,
        links,
        pictures,
        utm,
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

/// What is said to the readers of one language.
fn content(section: &Section<'_>, files: &ProjectFiles) -> Option<Content> {
    let subject = section.required("subject", "subject = \"Hello {{default first_name \\\"you\\\"}}\"");
    let subject = subject.and_then(|field| field.parsed(|text| one_line(text, "subject")));
    let preheader = section.parsed("preheader", |text| one_line(text, "preheader"));
    let html = section.required("template", "template = \"news.hbs\"");
    let html = html.and_then(|field| template(&field, &["hbs", "mjml"], files));
    let text_template = section.field("text_template").map(|field| template(&field, &["hbs"], files));
    let attachments = attachment::read(section, files);
    let text_template = text_template.flatten();
    Some(Content { subject: subject?, preheader, template: html?, text_template, attachments })
}

fn languages(section: &Section<'_>, around: &Surroundings<'_>) -> BTreeMap<String, Content> {
    let mut languages = BTreeMap::new();
    for field in section.fields() {
        let content = field.section(|section| content(section, around.files));
        let tag = match check::language(field.key) {
            Ok(tag) => tag,
            Err(complaint) => {
                field.key_error(complaint);
                continue;
            }
        };
        if tag == around.project.sender.locale {
            let complaint = Complaint::new(format!("`{tag}` is the language of [sender] locale"));
            field.key_error(complaint.hint("its subject and template stand at the top of this file"));
        } else if let Some(content) = content
            && languages.insert(tag.clone(), content).is_some()
        {
            field.key_error(format!("`{tag}` is there twice"));
        }
    }
    languages
}

fn one_line(text: &str, what: &str) -> Result<String, Complaint> {
    if text.trim().is_empty() {
        return Err(format!("the {what} is empty").into());
    }
    if text.contains(char::is_control) {
        let complaint = Complaint::new(format!("the {what} has more than one line"));
        return Err(complaint.hint("write it on one line, in one pair of quotes"));
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
