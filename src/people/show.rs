//! What is known about one person, for a terminal.

use std::fmt;

use serde_json::Value;

use crate::store::people::Event;
use crate::store::person::Person;

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.address)?;
        if self.suppressed {
            writeln!(f, "  suppressed: never mailed")?;
        }
        for (name, value) in &self.attributes {
            writeln!(f, "  {name}: {}", plain(value))?;
        }
        writeln!(f)?;
        for s in &self.subscriptions {
            let state = if s.subscribed { "subscribed" } else { "left" };
            writeln!(f, "  topic {}: {state} since {}", s.topic, s.since)?;
        }
        writeln!(f, "  tracking: {}", if self.tracking { "agreed" } else { "no" })?;
        if let Some(until) = &self.paused_until {
            writeln!(f, "  paused until {until}")?;
        }
        if let Some(limit) = &self.limit {
            writeln!(f, "  own limit: at most {limit}")?;
        }
        write!(f, "\n  score {:.1}", self.score)?;
        if let Some(momentum) = self.momentum {
            write!(f, ", momentum {momentum:.2}")?;
        }
        if let Some(at) = &self.cools_at {
            write!(f, ", cools {at}")?;
        }
        writeln!(f)?;
        if let Some(cluster) = &self.cluster {
            writeln!(f, "  cluster {cluster}, until {}", self.cluster_until.as_deref().unwrap_or("further notice"))?;
        }
        for (category, share) in &self.affinities {
            writeln!(f, "  {:>5.1} %  {category}", 100.0 * share.as_f64().unwrap_or_default())?;
        }
        writeln!(f)?;
        for event in &self.timeline {
            writeln!(f, "  {}  {}", event.at, line(event))?;
        }
        Ok(())
    }
}

/// An event in one line: its kind, and what is known of it.
fn line(event: &Event) -> String {
    let details = event.details.iter().filter(|(_, value)| !value.is_object());
    let details = details.map(|(name, value)| match (name.as_str(), value) {
        ("granted", Value::Bool(true)) => "granted".to_owned(),
        ("granted", _) => "withdrawn".to_owned(),
        ("points", value) => format!("{:+} points", value.as_f64().unwrap_or_default()),
        ("run" | "attempt", value) => format!("{name} {value}"),
        ("tracking", _) => "with tracking".to_owned(),
        ("answered", value) => format!("at {}", plain(value)),
        (_, value) => plain(value),
    });
    format!("{:<8} {}", event.kind, details.collect::<Vec<_>>().join("  "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    }
}
