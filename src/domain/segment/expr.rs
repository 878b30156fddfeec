//! What a condition says, as a tree.

use std::time::Duration;

use crate::domain::time::Micros;

/// A condition over one recipient at one instant. A test of a missing value is false.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `true` or `false`.
    Always(bool),
    /// True when the inner condition is false.
    Not(Box<Expr>),
    /// All of them; two or more.
    And(Vec<Expr>),
    /// Any of them; two or more.
    Or(Vec<Expr>),
    /// A number that is learnt.
    Measure {
        /// Which.
        measure: Measure,
        /// How it compares.
        op: Op,
        /// With what.
        value: f64,
    },
    /// The cluster.
    Cluster(Test<String>),
    /// An attribute.
    Attribute {
        /// Its name.
        name: String,
        /// What is asked of it.
        test: AttributeTest,
    },
    /// An action happened.
    Action(ActionTest),
    /// A message was accepted by a relay.
    Received(Received),
    /// There is a subscription.
    Subscribed(Subscribed),
    /// The score stands at a threshold and will fall below it, if nothing happens.
    Cools {
        /// The threshold, above zero.
        below: f64,
        /// How far ahead.
        within: Duration,
    },
    /// Consent to a topic will lapse, if nothing happens.
    ConsentLapses {
        /// The topic; any.
        topic: Option<String>,
        /// How far ahead.
        within: Duration,
        /// After so much time in which it was not used.
        after: Duration,
    },
    /// The score rose to the project's threshold.
    Rose(Period),
    /// A named rule.
    Segment {
        /// Its name.
        name: String,
        /// What it says.
        expr: Box<Expr>,
    },
}

/// A number that is learnt about a recipient.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// The score; zero for who was never scored.
    Score,
    /// The recent over the long-run score; missing unless the score is above zero.
    Momentum,
    /// The share of a category, 0 to 1; zero when nothing is known.
    Affinity(String),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Op {
    /// All comparisons.
    pub const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge];

    /// The sign in a condition.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// A test of a value that may be missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Test<T> {
    /// It is there and compares so.
    Compare(Op, T),
    /// It is one of these.
    In(Vec<T>),
    /// It is there and none of these.
    NotIn(Vec<T>),
    /// `= none`: it is missing.
    Missing,
    /// `!= none`: it is there.
    Present,
}

impl<T> Test<T> {
    fn values(&self) -> usize {
        match self {
            Self::In(values) | Self::NotIn(values) => values.len(),
            Self::Compare(..) | Self::Missing | Self::Present => 0,
        }
    }
}

/// A test of an attribute, by its declared type. A stored value of another type is missing.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeTest {
    /// Compared octet by octet, for equality alone.
    Text(Test<String>),
    /// Compared as double.
    Number(Test<f64>),
    /// Days, `YYYY-MM-DD`.
    Date(Test<String>),
    /// `true` or `false`, for equality alone.
    Bool(Test<bool>),
}

/// When something happened. Nothing after the instant at which the condition is judged counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Later than the instant minus this.
    pub within: Option<Duration>,
    /// Not before.
    pub since: Option<Micros>,
    /// Before.
    pub before: Option<Micros>,
}

/// Asks for an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionTest {
    /// `open`, `click`, `reply`, or a kind that was imported.
    pub kind: String,
    /// Of a message of this campaign.
    pub campaign: Option<String>,
    /// Of a message on this topic.
    pub topic: Option<String>,
    /// About this category.
    pub category: Option<String>,
    /// When.
    pub period: Period,
}

/// Asks for a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Of this campaign.
    pub campaign: Option<String>,
    /// On this topic.
    pub topic: Option<String>,
    /// When.
    pub period: Period,
}

/// Asks for a subscription that stands at the instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// To this topic; to any when absent.
    pub topic: Option<String>,
    /// Began at least so long ago.
    pub longer_than: Option<Duration>,
    /// When it began.
    pub period: Period,
}

impl Expr {
    /// How many tests and connectives, and how many listed values.
    pub(super) fn size(&self) -> (usize, usize) {
        let (terms, values) = match self {
            Self::Not(inner) | Self::Segment { expr: inner, .. } => inner.size(),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().map(Self::size).fold((0, 0), |sum, s| (sum.0 + s.0, sum.1 + s.1))
            }
            Self::Cluster(test) => (0, test.values()),
            Self::Attribute { test, .. } => match test {
                AttributeTest::Text(t) | AttributeTest::Date(t) => (0, t.values()),
                AttributeTest::Number(t) => (0, t.values()),
                AttributeTest::Bool(t) => (0, t.values()),
            },
            _ => (0, 0),
        };
        (terms + 1, values)
    }
}
