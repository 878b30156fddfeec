//! A campaign as checked: one file under `config/campaigns/`, its name is the file's stem.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::hours::{Days, Hours, Window};
use super::rate::Rate;
use super::segment::Condition;
use super::time::Micros;
use super::waves::{self, Wave};

/// The configured programme.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The file's stem.
    pub name: String,
    /// The topic whose subscribers may get it; empty for what is no campaign, but a notice.
    pub topic: String,
    /// What readers get whose language has no content of its own.
    pub content: Content,
    /// What the readers of other languages get, by language tag (BCP 47).
    pub languages: BTreeMap<String, Content>,
    /// When it is sent by the service; none: by hand only.
    pub schedule: Option<Schedule>,
    /// When its messages may leave.
    pub timing: Timing,
    /// Whom the rule finds; none: everyone.
    pub audience: Option<Condition>,
    /// The campaign's own limit.
    pub throttle: Option<Rate>,
    /// The share of rejections at which a run pauses itself, in place of the project's.
    pub pause_at_rejections: Option<f64>,
    /// Categories by URL pattern, first match wins; `*` matches any run of characters.
    pub links: Vec<LinkRule>,
    /// How readers get its pictures.
    pub pictures: Pictures,
    /// What is appended to links; none: nothing.
    pub utm: Option<Utm>,
    /// What `offers` picks from.
    pub offers: Offers,
}

impl Campaign {
    /// Puts a mark before the subject of each language.
    pub fn mark_subject(&mut self, mark: &str) {
        for content in self.languages.values_mut().chain([&mut self.content]) {
            content.subject.insert_str(0, mark);
        }
    }
}

/// Parameters that tell a web site where a visit comes from. They are the same for everybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Utm {
    /// Names and values, as in `utm_source` and `newsletter`.
    pub parameters: Vec<(String, String)>,
    /// The hosts whose links get them, `*.` in front for all below one; none: all.
    pub only: Option<Vec<String>>,
}

/// What the readers of one language get.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// The subject, a Handlebars template.
    pub subject: String,
    /// What mailboxes show behind the subject, a Handlebars template of plain text.
    pub preheader: Option<String>,
    /// The HTML template's path under `templates/`.
    pub template: String,
    /// The text template's path under `templates/`; derived from the HTML when absent.
    pub text_template: Option<String>,
    /// Files that the mail carries, in the file's order.
    pub attachments: Vec<Attachment>,
}

/// How readers get the pictures that stand among the templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pictures {
    /// They go with each mail.
    #[default]
    Embedded,
    /// They are served below the project's base address.
    Linked,
}

/// A file that a mail carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    /// Its path under the project's root.
    pub file: String,
    /// The name that it has for the reader.
    pub name: String,
    /// Its media type, as in `application/pdf`.
    pub media: String,
}

/// A URL pattern and the category of links that match it.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkRule {
    /// A URL in which `*` matches any run of characters.
    pub pattern: String,
    /// A name from `[categories]`.
    pub category: String,
}

impl LinkRule {
    /// Whether the whole URL matches the pattern.
    #[must_use]
    pub fn matches(&self, url: &str) -> bool {
        let mut parts = self.pattern.split('*');
        let Some(mut rest) = parts.next().and_then(|head| url.strip_prefix(head)) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.len() >= part.len() && rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

/// The offers of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Probability, per slot, that an offer is drawn at random instead of by affinity.
    pub explore: f64,
    /// In the file's order.
    pub items: Vec<OfferItem>,
}

/// One offer. Templates see every field, further keys of the file included.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferItem {
    /// A name from `[categories]`.
    pub category: String,
    /// What it is called.
    pub title: String,
    /// Where its link leads.
    pub url: String,
    /// Its picture.
    pub image: Option<String>,
    /// Further keys, as written.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// When the service runs the campaign.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// One instant or a recurrence, in the zone of the campaign's [`Timing`].
    pub when: When,
    /// A start later than this after its time expires.
    pub latest_start: Duration,
}

/// One instant or a recurrence.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// Once, at this instant.
    At(Micros),
    /// Once, when each recipient's own clock shows this; only with [`RECIPIENT_ZONE`].
    AtLocal(DateTime),
    /// A cron expression of five fields, as [`super::recurrence::Recurrence`] reads it.
    Every(String),
}

/// The zone that stands for each recipient's own, from the attribute `timezone`.
pub const RECIPIENT_ZONE: &str = "recipient";

/// When messages may leave, whoever begins the run.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Whose clocks count: an IANA name, or [`RECIPIENT_ZONE`].
    pub zone: String,
    /// Whose clocks count for people without a zone of their own: an IANA name; the same as `zone` where that is one.
    pub fallback: String,
    /// The hours of the day; none: all.
    pub window: Option<Window>,
    /// Days on which nothing leaves.
    pub blackout: Vec<Days>,
    /// What has not left so long after the run's instant is skipped.
    pub valid_for: Option<Duration>,
}

impl Timing {
    /// Whether each recipient's own clocks count.
    #[must_use]
    pub fn by_recipient(&self) -> bool {
        self.zone == RECIPIENT_ZONE
    }

    /// The waves of a run whose moment comes in each zone when `due` says; none where it is sent as a whole, because
    /// nobody's own clocks count, or because they make no difference.
    #[must_use]
    pub fn waves(&self, due: impl Fn(&TimeZone) -> Option<Micros>) -> Vec<Wave> {
        if !self.by_recipient() {
            return Vec::new();
        }
        let mut waves = waves::waves(due, &self.fallback, self.window.is_some() || !self.blackout.is_empty());
        if waves.len() == 1 {
            waves.clear();
        }
        waves
    }

    /// The hours by the clocks of a zone; UTC where there is no zone of this name, which the files were checked for.
    #[must_use]
    pub fn hours(&self, zone: &str) -> Hours {
        Hours::new(TimeZone::get(zone).unwrap_or(TimeZone::UTC), self.window, self.blackout.clone())
    }
}
