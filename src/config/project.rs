//! `config/colloquy.toml`: what campaigns, scoring and pages share. A value that was refused is replaced by a stand-in,
//! so that the rest is still checked; the result counts only when nothing was refused.

use std::collections::BTreeMap;

use super::check;
use super::dkim;
use super::join;
use super::machine;
use super::preferences;
use super::problem::{Complaint, name_hint, nearest};
use super::reader::Section;
use super::schedule;
use super::segments::Names;
use super::settings::{self, Settings};
use super::utm::{self, Parameters};
use super::value::Field;
use crate::domain::action::kind;
use crate::domain::alignment::same_organisation;
use crate::domain::campaign::Pictures;
use crate::domain::join::Joining;
use crate::domain::project::{Attribute, AttributeType, Project, Sender};
use crate::domain::rate::Rate;
use crate::domain::retention::Retention;
use crate::domain::returns::{ReturnLimits, SoftRun};
use crate::domain::score::{ClusterRules, ScoreRules};

/// What the file says.
pub(super) struct Base {
    pub project: Project,
    pub settings: Settings,
    /// What conditions of campaigns may speak of.
    pub names: Names,
    /// How strangers join.
    pub join: Option<Joining>,
    /// What campaigns append to their links.
    pub utm: Option<Parameters>,
    /// How readers get the pictures of campaigns that do not say it.
    pub pictures: Pictures,
}

/// Reads the whole file; `campaigns` are the names that conditions may speak of.
pub(super) fn read(root: &Section<'_>, campaigns: &[&str]) -> Base {
    let sender = root.section("sender", sender);
    let (base_url, pictures, web) = root.section("web", |web| {
        let base = web.required("base_url", "base_url = \"https://t.example.org\"");
        let pictures = web.parsed("pictures", check::pictures);
        (base.and_then(|field| field.parsed(check::base_url)), pictures.unwrap_or_default(), machine::web(web))
    });
    let settings = settings::read(root, web, &sender.timezone);
    if !sender.from_address.is_empty() {
        dkim::warn_unsigned(root, sender.from_domain(), &settings.dkim);
    }
    let topics = root.section("topics", topics);
    let categories = root.section("categories", categories);
    let score = root.section("score", score);
    let cluster = root.section("cluster", cluster);
    let (frequency_cap, pause_at_rejections, returns) = root.section("limits", |limits| {
        (limits.parsed("frequency_cap", cap), limits.parsed("pause_at_rejections", check::percent), returns(limits))
    });
    let attributes = root.section("attributes", attributes);
    let choices = root.section("preferences", preferences::read);
    let blackout = root.section("calendar", |calendar| schedule::blackout(calendar));
    let retention = root.section("retention", retention);
    let mut project = Project {
        sender,
        topics,
        categories,
        score,
        cluster,
        frequency_cap,
        pause_at_rejections,
        returns,
        blackout,
        segments: BTreeMap::new(),
        attributes,
        retention,
        choices,
        base_url: base_url.unwrap_or_default(),
    };
    let names = root.section("segments", |section| Names::resolve(&section.fields(), &project, campaigns));
    project.segments = names.segments();
    let join = join::read(root, &project);
    Base { project, settings, names, join, utm: utm::read(root), pictures }
}

fn sender(section: &Section<'_>) -> Sender {
    let from = section.required("from", "from = \"News <news@example.org>\"");
    let (from_name, from_address) = from.and_then(|field| field.parsed(check::ascii_mailbox)).unwrap_or_default();
    let bounce_domain = section.field("bounce_domain").and_then(|field| {
        let domain = field.parsed(check::bounce_domain)?;
        let own = from_address.rsplit_once('@').map_or("", |(_, domain)| domain);
        if !own.is_empty() && !same_organisation(&domain, own) {
            let complaint = Complaint::new(format!("return paths at {domain} do not speak for mail from {own}"));
            field.warn(complaint.hint(format!(
                "receivers compare the two (DMARC); a domain below {own}, such as b.{own}, passes SPF for it"
            )));
        }
        Some(domain)
    });
    let reply_to = section.field("reply_to");
    let catches = section.field("catch_replies").and_then(|field| {
        let catches = field.boolean()?;
        if catches && (bounce_domain.is_none() || reply_to.is_none()) {
            let complaint =
                Complaint::new("answers can be caught only at a bounce_domain, and passed on to a reply_to");
            field.error(complaint.hint("set both, or take this out: answers go straight to reply_to then"));
        }
        Some(catches)
    });
    Sender {
        reply_to: reply_to.and_then(|field| field.parsed(check::ascii_address)),
        catches_replies: catches.unwrap_or(false),
        postal_address: section.parsed("postal_address", line),
        imprint_url: section.parsed("imprint_url", |text| check::web_url(text).map(|_| text.to_owned())),
        bounce_domain,
        locale: section.parsed("locale", check::language).unwrap_or_else(|| "en".into()),
        timezone: section
            .parsed("timezone", |text| check::zone(text).map(|_| text.to_owned()))
            .unwrap_or_else(|| "UTC".into()),
        from_name,
        from_address,
    }
}

fn line(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("this is empty") } else { Ok(text.to_owned()) }
}

fn topics(section: &Section<'_>) -> BTreeMap<String, String> {
    let read = |field: Field<'_>| {
        check::name(field.key).unwrap_or_else(|complaint| field.key_error(complaint));
        let title = field.section(|topic| topic.parsed("title", line));
        (field.key.to_owned(), title.unwrap_or_else(|| field.key.to_owned()))
    };
    section.fields().into_iter().map(read).collect()
}

fn categories(section: &Section<'_>) -> BTreeMap<String, String> {
    let read = |field: Field<'_>| {
        if field.key.is_empty() || field.key.len() > 63 || field.key.contains(char::is_control) {
            field.key_error("a category's name has 1 to 63 octets and no control characters");
        }
        (field.key.to_owned(), field.parsed(line).unwrap_or_default())
    };
    section.fields().into_iter().map(read).collect()
}

fn score(section: &Section<'_>) -> ScoreRules {
    let half_life = section.parsed("half_life", check::span);
    let warm = section.field("warm").and_then(|field| field.number("a number above 0", f64::MIN_POSITIVE..));
    let ScoreRules { half_life: usual, warm: usually, mut points } = ScoreRules::default();
    let own: Vec<_> = points.keys().cloned().collect();
    section.section("points", |section| {
        for field in section.fields() {
            if field.key == kind::VOID {
                let complaint = Complaint::new("`void` cannot have points: it marks what turned out to be no action");
                field.key_error(complaint.hint("give the kind of your own actions another name"));
                continue;
            }
            if let Some(near) = nearest(field.key, own.iter().map(String::as_str)).filter(|near| *near != field.key) {
                let complaint = Complaint::new(format!("no action of ours is called `{}`", field.key));
                field.key_warn(complaint.hint(format!("did you mean `{near}`? Imported actions may have any kind")));
            }
            if let Some(number) = field.number("a number of points between -1000000 and 1000000", -1e6..=1e6) {
                points.insert(field.key.to_owned(), number);
            }
        }
    });
    ScoreRules { half_life: half_life.unwrap_or(usual), warm: warm.unwrap_or(usually), points }
}

fn cluster(section: &Section<'_>) -> ClusterRules {
    let points = |key| section.field(key).and_then(|field| field.number("a number from 0 to 1000000", 0.0..=1e6));
    let share = |key| section.field(key).and_then(|field| field.number("a share from 0 to 1", 0.0..=1.0));
    let usual = ClusterRules::default();
    ClusterRules {
        half_life: section.parsed("half_life", check::span).unwrap_or(usual.half_life),
        min_points: points("min_points").unwrap_or(usual.min_points),
        min_share: share("min_share").unwrap_or(usual.min_share),
        margin: share("margin").unwrap_or(usual.margin),
        prior: points("prior").unwrap_or(usual.prior),
    }
}

fn retention(section: &Section<'_>) -> Retention {
    let usual = Retention::default();
    Retention {
        hits: section.parsed("hits", check::span).unwrap_or(usual.hits),
        replies: section.parsed("replies", check::span).unwrap_or(usual.replies),
        inbound: section.parsed("inbound", check::span).unwrap_or(usual.inbound),
        attributes: section.parsed("attributes", check::span).unwrap_or(usual.attributes),
        unused_consent: section.parsed("unused_consent", check::span),
    }
}

fn returns(section: &Section<'_>) -> ReturnLimits {
    let usual = ReturnLimits::default();
    let soft = |text: &str| SoftRun::parse(text).map_err(|fault| Complaint::new(fault).hint("as in 5 over 14d"));
    ReturnLimits {
        dead: section.parsed("pause_at_dead", check::percent).unwrap_or(usual.dead),
        complaints: section.parsed("pause_at_complaints", check::percent).unwrap_or(usual.complaints),
        soft: section.parsed("soft_bounces", soft).unwrap_or(usual.soft),
    }
}

fn cap(text: &str) -> Result<Rate, Complaint> {
    Rate::parse_cap(text)
        .map_err(|fault| Complaint::new(fault).hint("at most so many mails to one person in that time"))
}

fn attributes(section: &Section<'_>) -> BTreeMap<String, Attribute> {
    let read = |field: Field<'_>| {
        attribute_name(field.key).unwrap_or_else(|complaint| field.key_error(complaint));
        let attribute = field.section(|attribute| Attribute {
            kind: attribute.parsed("type", attribute_type).unwrap_or_default(),
            editable: attribute.field("editable").and_then(|field| field.boolean()).unwrap_or(false),
            title: attribute.parsed("title", line),
        });
        (field.key.to_owned(), attribute)
    };
    section.fields().into_iter().map(read).collect()
}

/// Names that templates already know, and that no attribute can have.
pub(crate) const BUILT_IN: [&str; 9] =
    ["address", "cluster", "email", "keep_url", "preferences_url", "score", "sender", "unsubscribe_url", "view_url"];

pub(super) fn attribute_name(text: &str) -> Result<(), Complaint> {
    if BUILT_IN.contains(&text) {
        let complaint = Complaint::new(format!("`{text}` is built in and cannot be an attribute"));
        return Err(complaint.hint("choose another name, also in the header of the CSV file"));
    }
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let complaint = || Complaint::new(format!("`{text}` cannot be an attribute's name"));
    fits.then_some(()).ok_or_else(|| complaint().hint("letters a-z, digits and _, as in first_name"))
}

fn attribute_type(text: &str) -> Result<AttributeType, Complaint> {
    match text {
        "text" => Ok(AttributeType::Text),
        "number" => Ok(AttributeType::Number),
        "date" => Ok(AttributeType::Date),
        "bool" => Ok(AttributeType::Bool),
        _ => Err(Complaint {
            message: format!("unknown type `{text}`"),
            hint: name_hint(text, ["text", "number", "date", "bool"]),
        }),
    }
}
