//! From a campaign's files to a [`Mailing`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use handlebars::Template;
use serde_json::{Map, Value};

use super::edition::{Edition, Part};
use super::headers::Fixed;
use super::helpers::{Escape, registry};
use super::html::Event;
use super::images::{self, Images, Way};
use super::inline::{self, Styles};
use super::links::{Links, Numbered, Rules};
use super::locale::Formats;
use super::mailing::Mailing;
use super::message_helpers::{OFFERS, PIXEL};
use super::mime::Enclosure;
use super::problem::{TemplateProblem, nearest, problem, unreadable};
use super::program::Program;
use super::signatures::{is_variable_alone, signature};
use super::tag::{Kind, Tag, closing, scan};
use super::traced::{Place, Traced};
use super::utm::Tagger;
use super::variables::Names;
use super::{flatten, html, mjml, opening, text, written};
use crate::domain::campaign::{Campaign, Content, OfferItem, Pictures};
use crate::domain::project::{Project, Sender};

/// Octets of a mail's pictures and attachments, encoded.
const MAX_SIZE: usize = 15 * 1_024 * 1_024;

/// An HTML part with what was found in it.
struct Html {
    part: Part,
    /// The template of the text part.
    derived: Traced,
    images: Images,
}

struct Compiler<'a> {
    campaign: &'a Campaign,
    project: &'a Project,
    files: &'a BTreeMap<String, String>,
    problems: Vec<TemplateProblem>,
    names: Names,
    links: Links,
    utm: Option<Tagger>,
    /// Whose parts are being compiled.
    content: &'a Content,
    /// Whether it is the campaign's own, not that of a `[language.…]`.
    is_own: bool,
    /// Their language.
    tag: &'a str,
    formats: Formats,
}

/// Compiles all parts; what is wrong with any of them is the error.
pub(super) fn compile(
    campaign: &Campaign,
    project: &Project,
    files: &BTreeMap<String, String>,
) -> Result<Mailing, Vec<TemplateProblem>> {
    let offers: Vec<Value> = (1..).zip(&campaign.offers.items).map(|(number, item)| offer(number, item)).collect();
    let offer_fields = offers.iter().filter_map(Value::as_object).flat_map(|o| o.keys().cloned());
    let offer_fields = offer_fields.chain(offers.first().map(|_| "image".to_owned())).collect();
    let categories = project.categories.keys().cloned().collect();
    let names = Names { offer_fields, categories, ..Names::default() };
    let (problems, links) = Default::default();
    let (content, is_own, tag) = (&campaign.content, true, project.sender.locale.as_str());
    let formats = Formats::new(tag, &project.sender.timezone);
    let utm = campaign.utm.as_ref().map(|utm| Tagger::new(utm, &project.base_url));
    let mut compiler =
        Compiler { utm, campaign, project, files, problems, names, links, content, is_own, tag, formats };
    let mut editions = vec![compiler.edition()];
    for (tag, content) in &campaign.languages {
        let formats = Formats::new(tag, &project.sender.timezone);
        compiler.links.next_edition();
        compiler = Compiler { content, is_own: false, tag, formats, ..compiler };
        editions.push(compiler.edition());
    }
    let editions: Option<Vec<_>> = editions.into_iter().collect();
    match editions.filter(|_| compiler.problems.is_empty()) {
        Some(editions) => {
            let mut data = Map::new();
            data.insert(OFFERS.to_owned(), Value::Array(offers));
            data.insert("sender".to_owned(), sender(&project.sender));
            Ok(Mailing {
                campaign: campaign.clone(),
                base_url: project.base_url.trim_end_matches('/').to_owned(),
                min_share: project.cluster.min_share,
                postal_address: project.sender.postal_address.clone(),
                bounce_domain: project.sender.bounce_domain.clone(),
                sender_name: project.sender.from_name.clone(),
                fixed: Fixed::new(campaign, &project.sender),
                editions,
                links: compiler.links.list,
                utm: compiler.utm,
                names: compiler.names,
                data: Arc::new(data),
            })
        }
        None => Err(BTreeSet::from_iter(compiler.problems).into_iter().collect()),
    }
}

impl Compiler<'_> {
    /// All parts in one language.
    fn edition(&mut self) -> Option<Edition> {
        let content = self.content;
        let html = self.html();
        let attachments = self.attachments();
        let text = match &content.text_template {
            Some(path) => self.text(path),
            None => html.as_ref().and_then(|html| self.finish(&html.derived)),
        };
        let subject = self.line("subject", &content.subject).and_then(|(source, _)| self.finish(&source));
        let formats = Arc::new(std::mem::replace(&mut self.formats, Formats::new("und", "UTC")));
        let Html { part: html, images, .. } = html?;
        let Images { embedded: images, linked, .. } = images;
        self.weighed(&images, &attachments);
        Some(Edition {
            tag: self.tag.to_owned(),
            squeezes: content.text_template.is_none(),
            html,
            text: text?,
            subject: subject?,
            images,
            linked,
            attachments,
            escaping: registry(Escape::Html, &formats, self.utm.as_ref()),
            plain: registry(Escape::None, &formats, self.utm.as_ref()),
        })
    }

    /// The HTML part, its pictures and, from it, the text part's template.
    fn html(&mut self) -> Option<Html> {
        let content = self.content;
        let source = self.flat("template", &content.template)?;
        let tags = self.checked(&source)?;
        let mut source = self.styled(&source, &tags)?;
        if let Some(line) = &content.preheader {
            let (line, tags) = self.line("preheader", line)?;
            source = opening::preheader(&source, &self.events(&source)?.1, &line, &tags);
        }
        let (tags, events) = self.events(&source)?;
        let rules =
            Rules { categories: &self.project.categories, patterns: &self.campaign.links, utm: self.utm.as_ref() };
        let Numbered { mut edits, targets } = self.links.number_html(&source, &events, &rules, &mut self.problems);
        let domain = self.project.sender.from_address.rsplit('@').next().unwrap_or_default();
        let way = match self.campaign.pictures {
            Pictures::Embedded => Way::Embedded { domain },
            Pictures::Linked => Way::Linked { base_url: self.project.base_url.trim_end_matches('/') },
        };
        let mut images = images::find(&source, &events, self.files, way, &mut self.problems);
        edits.append(&mut images.edits);
        let right_to_left = self.formats.is_right_to_left();
        edits.extend(opening::language(source.text(), &events, self.tag, right_to_left, self.is_own));
        let body_end = source.text().to_ascii_lowercase().rfind("</body").unwrap_or(source.text().len());
        edits.push((body_end..body_end, format!("{{{{{PIXEL}}}}}")));
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let derived = text::derive(&source, &tags, &events, &targets);
        let part = self.finish(&source.edited(&edits))?;
        Some(Html { part, derived, images })
    }

    fn attachments(&mut self) -> Vec<Enclosure> {
        let mut attachments = Vec::new();
        for attachment in &self.content.attachments {
            match self.files.get(&attachment.file) {
                Some(encoded) => {
                    attachments.push(Enclosure::attachment(&attachment.media, &attachment.name, encoded));
                }
                None => {
                    let message = format!("there is no file '{}'", attachment.file);
                    self.problems.push(problem(&self.in_campaign("attachment"), message, None));
                }
            }
        }
        attachments
    }

    /// Refuses what most servers would not take.
    fn weighed(&mut self, images: &[Enclosure], attachments: &[Enclosure]) {
        let size: usize = images.iter().chain(attachments).map(|enclosure| enclosure.part.len()).sum();
        if size > MAX_SIZE {
            let message = format!("pictures and attachments make {} MB of each mail", size / 1_024 / 1_024);
            let hint = "servers refuse large mails; link to the files, or make the pictures smaller".to_owned();
            self.problems.push(problem(&self.in_campaign("template"), message, Some(hint)));
        }
    }

    fn events(&mut self, source: &Traced) -> Option<(Vec<Tag>, Vec<Event>)> {
        let tags = scan(source.text()).unwrap_or_default();
        match html::read(source.text(), &tags) {
            Ok(events) => Some((tags, events)),
            Err(message) => {
                self.problems.push(problem(&source.place(0), format!("this is not readable as HTML: {message}"), None));
                None
            }
        }
    }

    /// HTML with its styles in its elements, from MJML or as it is.
    fn styled(&mut self, source: &Traced, tags: &[Tag]) -> Option<Traced> {
        let inlined = if self.content.template.ends_with(flatten::MJML) {
            let html = mjml::to_html(source, tags, &mut self.problems)?;
            let tags = scan(html.text()).unwrap_or_default();
            inline::inline(&html, &tags, Styles::Marked)
        } else {
            inline::inline(source, tags, Styles::All)
        };
        match inlined {
            Ok(inlined) => Some(inlined),
            Err(message) => {
                let message = format!("the styles cannot be read: {message}");
                self.problems.push(problem(&source.place(0), message, None));
                None
            }
        }
    }

    /// A text part written by hand.
    fn text(&mut self, path: &str) -> Option<Part> {
        let source = self.flat("text_template", path)?;
        let tags = self.checked(&source)?;
        let rules =
            Rules { categories: &self.project.categories, patterns: &self.campaign.links, utm: self.utm.as_ref() };
        let edits = self.links.number_text(source.text(), &tags, &rules);
        self.finish(&source.edited(&edits))
    }

    /// A template of one line that stands in the campaign's file.
    fn line(&mut self, key: &str, text: &str) -> Option<(Traced, Vec<Tag>)> {
        let mut source = Traced::default();
        source.push(text, self.in_campaign(key));
        let tags = self.checked(&source)?;
        Some((source, tags))
    }

    /// The file that the campaign names under `key`, with all that it includes.
    fn flat(&mut self, key: &str, path: &str) -> Option<Traced> {
        let before = self.problems.len();
        let place = self.in_campaign(key);
        let flat = flatten::flatten(&format!("templates/{path}"), self.files, &mut self.problems);
        if flat.is_none() {
            let known = self.files.keys().filter_map(|p| p.strip_prefix("templates/"));
            let hint = nearest(path, known).map(|n| format!("did you mean '{n}'?"));
            let message = format!("there is no template 'templates/{path}'");
            self.problems.push(problem(&place, message, hint));
        }
        flat.filter(|_| self.problems.len() == before)
    }

    /// Checks syntax and names; returns the tags.
    fn checked(&mut self, source: &Traced) -> Option<Vec<Tag>> {
        let template = self.parse(source)?;
        self.names.collect(&template, source, &mut self.formats, &mut self.problems);
        match scan(source.text()) {
            Ok(tags) => Some(tags),
            Err(at) => {
                self.problems.push(problem(&source.place(at), "this tag is never closed".into(), None));
                None
            }
        }
    }

    fn finish(&mut self, source: &Traced) -> Option<Part> {
        let source = source.edited(&rewritten(source.text()));
        let program = Program::new(self.parse(&source)?);
        Some(Part { program, source })
    }

    fn parse(&mut self, source: &Traced) -> Option<Template> {
        match Template::compile(source.text()) {
            Ok(template) => Some(template),
            Err(error) => {
                let mut fault = unreadable(source, &error);
                let hint = "a block may have to be closed in the file, and in the element, where it is opened";
                fault.hint.get_or_insert_with(|| hint.to_owned());
                self.problems.push(fault);
                None
            }
        }
    }

    /// Where the campaign's file says something about the language at hand.
    fn in_campaign(&self, key: &str) -> Place {
        if self.campaign.topic.is_empty() {
            return Place::start(&format!("templates/{}", self.content.template));
        }
        let path = format!("config/campaigns/{}.toml", self.campaign.name);
        let text = self.files.get(&path).map(String::as_str);
        let keys = ["language", self.tag, key];
        written::place(&path, text, if self.is_own { &keys[2..] } else { &keys })
    }
}

/// What Handlebars would take for something else: `{{#each (offers …)}}…{{/each}}` becomes
/// `{{#__offers …}}…{{/__offers}}`, and `{{url}}`, a variable, `{{[url]}}`, for which no helper is asked.
fn rewritten(source: &str) -> Vec<(Range<usize>, String)> {
    let tags = scan(source).unwrap_or_default();
    let mut edits = Vec::new();
    for tag in tags.iter().filter(|t| t.kind == Kind::Value) {
        let name = tag.body(source);
        if signature(name).is_some() && is_variable_alone(name) {
            let written = &source[tag.range.clone()];
            edits.push((tag.range.clone(), written.replace(name, &format!("[{name}]"))));
        }
    }
    for (i, tag) in tags.iter().enumerate().filter(|(_, t)| t.kind == Kind::Open) {
        let call = tag.body(source).strip_prefix("each").and_then(|rest| rest.trim_start().strip_prefix('('));
        let call = call.map(str::trim_start).and_then(|rest| rest.strip_prefix("offers"));
        let Some((arguments, rest)) = call.and_then(|call| call.rsplit_once(')')) else { continue };
        let Some(close) = closing(&tags, i) else { continue };
        if !arguments.is_empty() && !arguments.starts_with(char::is_whitespace) {
            continue;
        }
        edits.push((tag.range.clone(), format!("{{{{#__offers {} {}}}}}", arguments.trim(), rest.trim())));
        edits.push((tags[close].range.clone(), "{{/__offers}}".to_owned()));
    }
    edits.sort_by_key(|(range, _)| range.start);
    edits
}

fn offer(number: u16, item: &OfferItem) -> Value {
    let mut fields = Map::new();
    fields.insert("category".into(), item.category.clone().into());
    fields.insert("title".into(), item.title.clone().into());
    fields.insert("url".into(), item.url.clone().into());
    if let Some(image) = &item.image {
        fields.insert("image".into(), image.clone().into());
    }
    fields.insert("number".into(), number.into());
    fields.extend(item.extra.clone());
    Value::Object(fields)
}

fn sender(sender: &Sender) -> Value {
    let mut fields = Map::new();
    let always = [
        ("name", &sender.from_name),
        ("from_name", &sender.from_name),
        ("from_address", &sender.from_address),
        ("locale", &sender.locale),
        ("timezone", &sender.timezone),
    ];
    let maybe = [
        ("reply_to", &sender.reply_to),
        ("postal_address", &sender.postal_address),
        ("imprint_url", &sender.imprint_url),
    ];
    let maybe = maybe.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let bounce_domain = sender.bounce_domain.as_deref().unwrap_or(sender.from_domain());
    fields.insert("bounce_domain".into(), bounce_domain.into());
    fields.extend(always.into_iter().chain(maybe).map(|(name, value)| (name.to_owned(), value.clone().into())));
    Value::Object(fields)
}
