//! A plan for a person at a terminal.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value};

use super::{Changed, Plan};
use crate::store::warm_ups::Standing;

/// Lines of one breakdown that are shown.
const SHOWN: usize = 10;

/// Zones of one wave that are named.
const NAMED: usize = 3;

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (occasion {}) at {}", self.campaign, self.occasion, self.at)?;
        line(f, 1, "audience", self.audience)?;
        for (reason, people) in &self.excluded {
            if people.as_i64() != Some(0) {
                line(f, 2, reason, people)?;
            }
        }
        line(f, 1, "messages", self.messages)?;
        breakdown(f, "by domain", &self.by_domain)?;
        breakdown(f, "by relay", &self.by_relay)?;
        if !self.waves.is_empty() {
            writeln!(f, "\nby recipients' clocks")?;
        }
        for wave in &self.waves {
            let more = wave.zones.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let zones: Vec<_> = wave.zones.iter().take(NAMED).map(String::as_str).collect();
            let waits =
                if wave.starts_at > wave.due_at { format!(", leaves {}", wave.starts_at) } else { String::new() };
            writeln!(f, "  {} {:>10}  {}{more}{waits}", wave.due_at, wave.people, zones.join(", "))?;
        }
        match &self.limited_by {
            Some(limit) => {
                writeln!(f, "\nlasts {} and ends at {}, limited by {limit}", span(self.eta_seconds), self.ends_at)?;
            }
            None if self.eta_seconds > 0 => {
                writeln!(f, "\nno rate limits it; it ends at {}", self.ends_at)?;
            }
            None => writeln!(f, "\nno rate limits it")?,
        }
        self.warm_up.iter().try_for_each(|standing| warm_up(f, standing))?;
        if let Some(changed) = &self.changed {
            changed.fmt(f)?;
        }
        for sample in &self.samples {
            writeln!(f, "\nsample for {} in {} ({} octets)", sample.address, sample.language, sample.size)?;
            writeln!(f, "  subject: {}", sample.subject)?;
            let opening = sample.text.lines().filter(|line| !line.trim().is_empty()).take(4);
            opening.into_iter().try_for_each(|line| writeln!(f, "  | {line}"))?;
            let offers: Vec<_> = sample.offers.iter().filter_map(|offer| offer["title"].as_str()).collect();
            if !offers.is_empty() {
                writeln!(f, "  offers: {}", offers.join(", "))?;
            }
        }
        if !self.warnings.is_empty() {
            writeln!(f)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl Display for Changed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nsince run {} ({}) at {}", self.run, self.occasion, self.at)?;
        for (name, numbers) in [("audience", &self.audience), ("messages", &self.messages)] {
            writeln!(f, "  {name}: {} then, {} now ({:+})", numbers.then, numbers.now, numbers.now - numbers.then)?;
        }
        writeln!(f, "  {} new, {} gone", self.new, self.gone)
    }
}

fn warm_up(f: &mut Formatter<'_>, standing: &Standing) -> fmt::Result {
    let Standing { relay, domain, number, allowed, drawn, days_left, .. } = standing;
    let to = domain.as_deref().map(|domain| format!(" to {domain}")).unwrap_or_default();
    if *number < 1 {
        return writeln!(f, "relay {relay} hands nothing over{to} yet: its warm-up begins in {} days", 1 - number);
    }
    writeln!(f, "warm-up of relay {relay} allows {allowed}{to} today, {drawn} are used; ends in {days_left} days")
}

fn breakdown(f: &mut Formatter<'_>, title: &str, numbers: &Map<String, Value>) -> fmt::Result {
    let numbers: Vec<_> = numbers.iter().filter_map(|(name, n)| Some((name, n.as_i64()?))).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    for (name, number) in numbers.iter().take(SHOWN) {
        line(f, 1, name, number)?;
    }
    let rest: i64 = numbers.iter().skip(SHOWN).map(|(_, number)| number).sum();
    if rest > 0 { line(f, 1, "others", rest) } else { Ok(()) }
}

fn line(f: &mut Formatter<'_>, depth: usize, name: &str, number: impl Display) -> fmt::Result {
    writeln!(f, "{:indent$}{name:<width$} {number:>10}", "", indent = depth * 2, width = 30 - depth * 2)
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        7_200..172_800 => format!("{:.1} h", seconds as f64 / 3_600.0),
        _ => format!("{:.1} days", seconds as f64 / 86_400.0),
    }
}
