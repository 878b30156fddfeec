//! Trees to text: what is printed reads back as the same tree.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::{ActionTest, AttributeTest, Expr, Measure, Period, Test};
use crate::domain::action::kind;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always(value) => write!(f, "{value}"),
            Self::Not(inner) => write!(f, "not {}", Operand(inner)),
            Self::And(parts) => chain(f, parts, " and "),
            Self::Or(parts) => chain(f, parts, " or "),
            Self::Measure { measure, op, value } => write!(f, "{measure} {} {value}", op.sign()),
            Self::Cluster(test) => write!(f, "cluster {}", Shown(test, |text| quoted(text))),
            Self::Attribute { name, test } => {
                write!(f, "attr.{name} ")?;
                match test {
                    AttributeTest::Text(test) | AttributeTest::Date(test) => Shown(test, |text| quoted(text)).fmt(f),
                    AttributeTest::Number(test) => Shown(test, f64::to_string).fmt(f),
                    AttributeTest::Bool(test) => Shown(test, bool::to_string).fmt(f),
                }
            }
            Self::Action(test) => action(f, test),
            Self::Received(r) => {
                let mut arguments = Vec::new();
                named(&mut arguments, "campaign", r.campaign.as_ref());
                named(&mut arguments, "topic", r.topic.as_ref());
                call(f, "received", arguments, r.period)
            }
            Self::Subscribed(s) => {
                let mut arguments: Vec<String> = s.topic.iter().map(|topic| quoted(topic)).collect();
                arguments.extend(s.longer_than.map(|d| format!("longer_than = {}", duration(d))));
                call(f, "subscribed", arguments, s.period)
            }
            Self::Cools { below, within } => write!(f, "cools(below = {below}, within = {})", duration(*within)),
            Self::ConsentLapses { topic, within, after: _ } => {
                let mut arguments = Vec::new();
                named(&mut arguments, "topic", topic.as_ref());
                arguments.push(format!("within = {}", duration(*within)));
                call(f, "consent_lapses", arguments, Period::default())
            }
            Self::Rose(period) => call(f, "rose", Vec::new(), *period),
            Self::Segment { name, .. } => write!(f, "segment({})", quoted(name)),
        }
    }
}

impl Display for Measure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Score => f.write_str("score"),
            Self::Momentum => f.write_str("momentum"),
            Self::Affinity(category) => write!(f, "affinity({})", quoted(category)),
        }
    }
}

/// A part of a larger condition, in parentheses where it has parts of its own.
struct Operand<'a>(&'a Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::And(_) | Expr::Or(_) => write!(f, "({})", self.0),
            _ => self.0.fmt(f),
        }
    }
}

fn chain(f: &mut Formatter<'_>, parts: &[Expr], word: &str) -> fmt::Result {
    for (n, part) in parts.iter().enumerate() {
        write!(f, "{}{}", if n == 0 { "" } else { word }, Operand(part))?;
    }
    Ok(())
}

/// A test and how its values are written.
struct Shown<'a, T>(&'a Test<T>, fn(&T) -> String);

impl<T> Display for Shown<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |values: &[T]| values.iter().map(self.1).collect::<Vec<_>>().join(", ");
        match self.0 {
            Test::Compare(op, value) => write!(f, "{} {}", op.sign(), self.1(value)),
            Test::In(values) => write!(f, "in [{}]", list(values)),
            Test::NotIn(values) => write!(f, "not in [{}]", list(values)),
            Test::Missing => f.write_str("= none"),
            Test::Present => f.write_str("!= none"),
        }
    }
}

fn action(f: &mut Formatter<'_>, test: &ActionTest) -> fmt::Result {
    let mut arguments = Vec::new();
    let function = match test.kind.as_str() {
        kind::OPEN => "opened",
        kind::CLICK => "clicked",
        kind::REPLY => "replied",
        _ => {
            arguments.push(quoted(&test.kind));
            "did"
        }
    };
    named(&mut arguments, "campaign", test.campaign.as_ref());
    named(&mut arguments, "topic", test.topic.as_ref());
    named(&mut arguments, "category", test.category.as_ref());
    call(f, function, arguments, test.period)
}

fn named(arguments: &mut Vec<String>, name: &str, value: Option<&String>) {
    arguments.extend(value.map(|v| format!("{name} = {}", quoted(v))));
}

fn call(f: &mut Formatter<'_>, function: &str, mut arguments: Vec<String>, period: Period) -> fmt::Result {
    arguments.extend(period.within.map(|d| format!("within = {}", duration(d))));
    arguments.extend(period.since.map(|t| format!("since = \"{t}\"")));
    arguments.extend(period.before.map(|t| format!("before = \"{t}\"")));
    write!(f, "{function}({})", arguments.join(", "))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn duration(d: Duration) -> String {
    let seconds = d.as_secs();
    let (size, unit) = [(604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m")]
        .into_iter()
        .find(|(size, _)| seconds.is_multiple_of(*size))
        .unwrap_or((1, "s"));
    format!("\"{}{unit}\"", seconds / size)
}
