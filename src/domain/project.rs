//! A project as checked: `config/colloquy.toml` without its secrets.

use std::collections::BTreeMap;

use super::hours::Days;
use super::pace::OwnLimit;
use super::rate::Rate;
use super::retention::Retention;
use super::returns::ReturnLimits;
use super::score::{ClusterRules, ScoreRules};
use super::segment::Condition;

/// Who sends. Templates see it as `sender`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sender {
    /// Display name of `from`, may be empty.
    pub from_name: String,
    /// Address of `from`.
    pub from_address: String,
    /// Where human answers go.
    pub reply_to: Option<String>,
    /// Whether they come to signed addresses at `bounce_domain` first: they count, and are passed on to `reply_to`.
    pub catches_replies: bool,
    /// Required in every mailing (CAN-SPAM, CASL, §5 DDG).
    pub postal_address: Option<String>,
    /// The imprint's page.
    pub imprint_url: Option<String>,
    /// The domain whose addresses are ours alone, where reports and mail that unsubscribes come to.
    /// Without it, reports come to `bounces@` the domain of `from`.
    pub bounce_domain: Option<String>,
    /// BCP 47.
    pub locale: String,
    /// IANA name.
    pub timezone: String,
}

impl Sender {
    /// The domain of From, in lower-case A-labels.
    #[must_use]
    pub fn from_domain(&self) -> &str {
        self.from_address.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// What an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AttributeType {
    /// Any text.
    #[default]
    Text,
    /// A number; stored as JSON number.
    Number,
    /// A day, `YYYY-MM-DD`; stored as JSON string.
    Date,
    /// `true` or `false`; stored as JSON boolean.
    Bool,
}

/// A declared attribute.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Attribute {
    /// What it holds.
    pub kind: AttributeType,
    /// Whether the recipient may change it.
    pub editable: bool,
    /// What pages call it; none: its name.
    pub title: Option<String>,
}

/// What recipients can choose on their pages, besides topics and tracking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Limits of their own.
    pub limits: Vec<OwnLimit>,
    /// Pauses, in days.
    pub pauses: Vec<u32>,
    /// Reasons for leaving, by name and title; none: the built-in ones, in the reader's language.
    pub reasons: Option<Vec<(String, String)>>,
}

/// One a week, one a month; a month's pause.
impl Default for Choices {
    fn default() -> Self {
        let limits = vec![OwnLimit { count: 1, days: 7 }, OwnLimit { count: 1, days: 30 }];
        Self { limits, pauses: vec![30], reasons: None }
    }
}

/// The rules that campaigns, scoring and pages share.
#[derive(Clone, Debug)]
pub struct Project {
    /// Who sends.
    pub sender: Sender,
    /// Titles by topic name.
    pub topics: BTreeMap<String, String>,
    /// Titles by category name.
    pub categories: BTreeMap<String, String>,
    /// Points and half-life.
    pub score: ScoreRules,
    /// Entry, margin, half-life of affinities.
    pub cluster: ClusterRules,
    /// At most so many messages to one person in a window, over all topics.
    pub frequency_cap: Option<Rate>,
    /// A run pauses itself when this share of at least 200 outcomes is rejected.
    pub pause_at_rejections: Option<f64>,
    /// Where mail that comes back ends mailing.
    pub returns: ReturnLimits,
    /// Days on which nothing leaves, of any campaign.
    pub blackout: Vec<Days>,
    /// Named rules, with the names inside them already resolved.
    pub segments: BTreeMap<String, Condition>,
    /// Declared attributes by name; others are text.
    pub attributes: BTreeMap<String, Attribute>,
    /// For how long details are kept.
    pub retention: Retention,
    /// What recipients can choose.
    pub choices: Choices,
    /// Public base of links, pixel and pages, without trailing slash.
    pub base_url: String,
}
