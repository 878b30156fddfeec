//! Conditions to SQL. Every value of a condition becomes an argument; the text holds nothing but
//! fixed pieces and placeholders.
//!
//! The expressions stand over `recipients r` and, where [`Writer::uses_profiles`] says so,
//! `profiles p`. None of them is ever NULL, so that NOT means not.

mod attribute;
mod happened;
mod learnt;

pub(super) use learnt::{cluster_at, sum_at};

use super::{EngineKind, Value, keys};
use crate::domain::score::{Scale, TIE};
use crate::domain::segment::{Expr, Op, Test};
use crate::domain::time::Micros;

/// Writes the SQL of a condition and collects its arguments.
pub(super) struct Writer<'a> {
    kind: EngineKind,
    scale: &'a Scale,
    at: Micros,
    at_placeholder: Option<String>,
    first: usize,
    args: Vec<Value>,
    uses_profiles: bool,
}

impl<'a> Writer<'a> {
    /// Placeholders are numbered from `$first` on; the condition is judged at `at`.
    pub fn new(kind: EngineKind, scale: &'a Scale, at: Micros, first: usize) -> Self {
        Self { kind, scale, at, at_placeholder: None, first, args: Vec::new(), uses_profiles: false }
    }

    /// The SQL of a condition, in parentheses where it needs them.
    pub fn expr(&mut self, expr: &Expr) -> String {
        match expr {
            Expr::Always(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
            Expr::Not(inner) => format!("(NOT {})", self.expr(inner)),
            Expr::And(parts) => self.chain(parts, " AND "),
            Expr::Or(parts) => self.chain(parts, " OR "),
            Expr::Measure { measure, op, value } => self.measure(measure, *op, *value),
            Expr::Cluster(test) => {
                let cluster = self.cluster();
                self.test(&cluster, test)
            }
            Expr::Attribute { name, test } => self.attribute(name, test),
            Expr::Action(test) => self.action(test),
            Expr::Received(test) => self.received(test),
            Expr::Subscribed(test) => self.subscribed(test),
            Expr::Cools { below, within } => self.cools(*below, *within),
            Expr::ConsentLapses { topic, within, after } => self.consent_lapses(topic.as_deref(), *after - *within),
            Expr::Rose(period) => self.rose(period),
            Expr::Segment { expr, .. } => self.expr(expr),
        }
    }

    /// Adds an argument; its placeholder.
    pub fn bind(&mut self, value: impl Into<Value>) -> String {
        self.args.push(value.into());
        format!("${}", self.first + self.args.len() - 1)
    }

    /// The placeholder of the instant.
    fn at(&mut self) -> String {
        if let Some(placeholder) = &self.at_placeholder {
            return placeholder.clone();
        }
        let placeholder = self.bind(self.at);
        self.at_placeholder = Some(placeholder.clone());
        placeholder
    }

    /// Whether what was written so far speaks of `p`.
    pub fn uses_profiles(&self) -> bool {
        self.uses_profiles
    }

    /// The arguments, in the order of their placeholders.
    pub fn into_args(self) -> Vec<Value> {
        self.args
    }

    fn chain(&mut self, parts: &[Expr], word: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.expr(part)).collect();
        format!("({})", parts.join(word))
    }

    /// A test of a value that may be NULL.
    fn test<T: Clone + Into<Value>>(&mut self, value: &str, test: &Test<T>) -> String {
        match test {
            Test::Compare(op, with) => {
                let with = self.bind(with.clone());
                format!("COALESCE({value} {} {with}, FALSE)", sign(*op))
            }
            Test::In(values) => format!("COALESCE({value} IN ({}), FALSE)", self.list(values)),
            Test::NotIn(values) => format!("COALESCE({value} NOT IN ({}), FALSE)", self.list(values)),
            Test::Missing => format!("({value} IS NULL)"),
            Test::Present => format!("({value} IS NOT NULL)"),
        }
    }

    fn list<T: Clone + Into<Value>>(&mut self, values: &[T]) -> String {
        let (text, args) = keys(self.first + self.args.len(), values);
        self.args.extend(args);
        text
    }

    /// A comparison of a learnt number, with the slack that its rounding needs.
    fn close(&mut self, value: &str, op: Op, with: f64) -> String {
        let slack = with.abs() * TIE;
        match op {
            Op::Ge => format!("{value} >= {}", self.bind(with - slack)),
            Op::Gt => format!("{value} > {}", self.bind(with + slack)),
            Op::Le => format!("{value} <= {}", self.bind(with + slack)),
            Op::Lt => format!("{value} < {}", self.bind(with - slack)),
            Op::Eq => format!("{value} BETWEEN {} AND {}", self.bind(with - slack), self.bind(with + slack)),
            Op::Ne => format!("{value} NOT BETWEEN {} AND {}", self.bind(with - slack), self.bind(with + slack)),
        }
    }
}

fn sign(op: Op) -> &'static str {
    match op {
        Op::Ne => "<>",
        other => other.sign(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::segment::{Catalog, Condition};

    fn compile(kind: EngineKind, text: &str) -> (String, Vec<Value>) {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        let scale = Scale { landmark: Micros(0), half_life: days(30), affinity_half_life: days(90) };
        let condition = Condition::parse(text, &Catalog { warm: 20.0, ..Catalog::default() }).unwrap();
        let mut writer = Writer::new(kind, &scale, Micros(1_000_000), 4);
        (writer.expr(&condition.expr), writer.into_args())
    }

    fn placeholders(sql: &str) -> BTreeSet<usize> {
        let numbers = sql.split('$').skip(1);
        numbers.map(|n| n[..n.find(|c: char| !c.is_ascii_digit()).unwrap_or(n.len())].parse().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn what_stands_in_quotes_is_only_ever_an_argument(text in "\\PC{1,40}", other in "\\PC{1,40}") {
            let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            let condition = |t: &str| {
                let t = quoted(t);
                format!("attr.a = {t} and attr.b not in [{t}, {t}, {t}] and cluster = {t} and affinity({t}) > 0.5
                    and clicked({t}, category = {t}, topic = {t}) and did({t}) and received({t}) and subscribed({t})")
            };
            for kind in [EngineKind::Sqlite, EngineKind::Postgres] {
                let (sql, args) = compile(kind, &condition(&text));
                prop_assert_eq!(&sql, &compile(kind, &condition(&other)).0);
                prop_assert!(args.contains(&Value::from(text.as_str())));
                prop_assert_eq!(placeholders(&sql), (4..4 + args.len()).collect());
            }
        }
    }
}
