//! Reports as text for a terminal.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::table::{Align, Table};
use crate::domain::hit::Verdict;
use crate::domain::hours::Closed;
use crate::domain::message::MessageState;
use crate::store::reports::{Bounces, HitCounts, MessageCounts, Population, RunReport};
use Align::{Left, Right};

/// Links that a report shows; `--json` has more.
const LINKS: usize = 15;

const VERDICTS: [(&str, Option<Verdict>); 5] = [
    ("human", Some(Verdict::Human)),
    ("proxy", Some(Verdict::Proxy)),
    ("machine", Some(Verdict::Machine)),
    ("unknown", Some(Verdict::Unknown)),
    ("not judged", None),
];

/// Messages that are over: their fate is known, or will never be.
pub fn settled(messages: &MessageCounts) -> i64 {
    messages.accepted + messages.rejected + messages.unknown
}

/// `part` of `whole` as `12.3 %`; a dash when there is no whole.
pub fn percent(part: i64, whole: i64) -> String {
    if whole > 0 { format!("{:.1} %", part as f64 * 100.0 / whole as f64) } else { "–".to_owned() }
}

/// One run in full. Opens and clicks are shares of the accepted messages.
#[must_use]
pub fn run_text(report: &RunReport) -> String {
    let mut text = headline(report);
    text.push('\n');
    messages(&mut text, report);
    hits(&mut text, report);
    links(&mut text, report);
    clusters(&mut text, report);
    text
}

/// Transactional mails, a line for each kind: how many stand where.
#[must_use]
pub fn notices_text(counts: &[(String, MessageState, i64)]) -> String {
    let mut text = String::new();
    for kind in counts.chunk_by(|a, b| a.0 == b.0) {
        let states: Vec<String> = kind.iter().map(|(_, state, n)| format!("{n} {}", state.as_str())).collect();
        let _ = writeln!(text, "notices, {}: {}", kind[0].0.replace('_', " "), states.join(", "));
    }
    text
}

fn headline(report: &RunReport) -> String {
    let mut text = format!("{}, run {} ({}): {}", report.campaign, report.run, report.occasion, report.state.as_str());
    if let Some(reason) = &report.reason {
        let _ = write!(text, ", {}", reason.replace(char::is_control, " "));
    }
    if let Some(waits) = waits(report) {
        let _ = write!(text, ", {waits}");
    }
    let _ = write!(text, "\n  audience of {}", report.at);
    for (word, at) in [("started", report.started_at), ("ended", report.ended_at)] {
        if let Some(at) = at {
            let _ = write!(text, ", {word} {at}");
        }
    }
    text.push('\n');
    text
}

/// What a run waits for, and until when.
fn waits(report: &RunReport) -> Option<String> {
    let until = report.waits_until?;
    Some(format!("waits until {until}: {}", Closed::parse(report.waits_for.as_deref()?)?.in_words()))
}

fn messages(text: &mut String, report: &RunReport) {
    let total = report.messages.total();
    let mut table = Table::new(&[("messages", Left), (&total.to_string(), Right), ("", Right), ("", Left)]);
    for state in MessageState::ALL {
        let count = report.messages.get(state);
        if count > 0 || state == MessageState::Accepted {
            let why = why(report, state);
            table.row([state.as_str().to_owned(), count.to_string(), percent(count, total), why]);
        }
    }
    text.push_str(&table.text(2));
    if let Some(planned) = report.planned.filter(|planned| *planned != total) {
        let _ = writeln!(text, "  planned {planned}");
    }
    if !report.excluded.is_empty() {
        let _ = writeln!(text, "  no message for: {}", list(&report.excluded));
    }
    text.push('\n');
}

/// The codes of what was refused, the reasons of what was skipped.
fn why(report: &RunReport, state: MessageState) -> String {
    if state == MessageState::Skipped {
        return list(&report.skipped_because);
    }
    let codes = report.codes.iter().filter(|code| code.state == state).map(|code| match code.code {
        Some(number) => format!("{number}: {}", code.messages),
        None => format!("no answer: {}", code.messages),
    });
    codes.collect::<Vec<_>>().join(", ")
}

fn list(counts: &BTreeMap<String, i64>) -> String {
    counts.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
}

fn hits(text: &mut String, report: &RunReport) {
    let head = [
        ("", Left),
        ("opened", Right),
        ("", Right),
        ("opens", Right),
        ("clicked", Right),
        ("", Right),
        ("clicks", Right),
    ];
    let mut table = Table::new(&head);
    let accepted = report.messages.accepted;
    let cells = |counts: &HitCounts, verdict| {
        let count = counts.get(verdict);
        [count.messages.to_string(), percent(count.messages, accepted), count.total.to_string()]
    };
    for (word, verdict) in VERDICTS {
        let (opens, clicks) = (report.opens.get(verdict), report.clicks.get(verdict));
        if verdict == Some(Verdict::Human) || opens.total + clicks.total > 0 {
            let cells = [cells(&report.opens, verdict), cells(&report.clicks, verdict)].into_iter().flatten();
            table.row(std::iter::once(word.to_owned()).chain(cells));
        }
    }
    text.push_str(&table.text(2));
    let Bounces { dead, soft, blocked } = report.bounces;
    let returned = [
        ("dead", dead),
        ("soft", soft),
        ("blocked", blocked),
        ("complaints", report.complaints),
        ("replies", report.replies),
    ];
    let returned: Vec<String> = returned
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count} {}", percent(*count, accepted)))
        .collect();
    if !returned.is_empty() {
        let _ = writeln!(text, "\n  came back: {}", returned.join(", "));
    }
    let left = &report.unsubscribed;
    if left.people > 0 {
        let why = if left.why.is_empty() { String::new() } else { format!(": {}", list(&left.why)) };
        let _ = writeln!(text, "\n  unsubscribed {}  {}{why}", left.people, percent(left.people, accepted));
    }
}

fn links(text: &mut String, report: &RunReport) {
    if report.links.is_empty() {
        return;
    }
    let mut table =
        Table::new(&[("link", Left), ("category", Left), ("clicked", Right), ("", Right), ("clicks", Right)]);
    for link in report.links.iter().take(LINKS) {
        let human = link.clicks.human;
        let category = link.category.clone().unwrap_or_else(|| "–".to_owned());
        let share = percent(human.messages, report.messages.accepted);
        table.row([link.url.clone(), category, human.messages.to_string(), share, human.total.to_string()]);
    }
    let _ = write!(text, "\n{}", table.text(2));
    if let Some(more) = report.links.len().checked_sub(LINKS).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} more; see --json");
    }
}

/// What each cluster clicked, in shares of its accepted messages.
fn clusters(text: &mut String, report: &RunReport) {
    if report.clusters.iter().all(|figures| figures.cluster.is_none()) {
        return;
    }
    let mut categories: Vec<&str> = report.clusters.iter().flat_map(|c| c.clicked.keys().map(String::as_str)).collect();
    categories.sort_unstable();
    categories.dedup();
    let mut head = vec![("cluster", Left), ("accepted", Right)];
    let names = categories.iter().map(|category| if category.is_empty() { "no category" } else { category });
    head.extend(names.map(|name| (name, Right)));
    let mut table = Table::new(&head);
    for figures in &report.clusters {
        let cluster = figures.cluster.clone().unwrap_or_else(|| "none".to_owned());
        let clicked = |category: &&str| figures.clicked.get(*category).copied().unwrap_or(0);
        let shares = categories.iter().map(|category| percent(clicked(category), figures.accepted));
        table.row([cluster, figures.accepted.to_string()].into_iter().chain(shares));
    }
    let _ = write!(text, "\n  clicked in category, by cluster at the run's instant\n{}", table.text(2));
}

/// Runs in one table, a line for each.
#[must_use]
pub fn status_text(reports: &[RunReport]) -> String {
    let head = [
        ("run", Right),
        ("campaign", Left),
        ("occasion", Left),
        ("state", Left),
        ("planned", Right),
        ("waiting", Right),
        ("accepted", Right),
        ("deferred", Right),
        ("rejected", Right),
        ("unknown", Right),
        ("skipped", Right),
        ("opened", Right),
        ("clicked", Right),
    ];
    let mut table = Table::new(&head);
    for report in reports {
        let messages = &report.messages;
        let words =
            [report.run.to_string(), report.campaign.clone(), report.occasion.clone(), report.state.as_str().into()];
        let planned = report.planned.map_or_else(|| "–".to_owned(), |planned| planned.to_string());
        let counts = [
            messages.waiting + messages.claimed + messages.sending,
            messages.accepted,
            messages.deferred,
            messages.rejected,
            messages.unknown,
            messages.skipped,
        ];
        let shares = [&report.opens, &report.clicks].map(|hits| percent(hits.human.messages, messages.accepted));
        let counts = counts.iter().map(ToString::to_string);
        table.row(words.into_iter().chain([planned]).chain(counts).chain(shares));
    }
    let mut text = table.text(0);
    for report in reports {
        if let Some(reason) = &report.reason {
            let reason = reason.replace(char::is_control, " ");
            let _ = writeln!(text, "run {} is {}: {reason}", report.run, report.state.as_str());
        }
        if let Some(waits) = waits(report) {
            let _ = writeln!(text, "run {} {waits}", report.run);
        }
    }
    text
}

/// Recipients, their scores and clusters, in a few lines.
#[must_use]
pub fn people_text(population: &Population) -> String {
    let Population { recipients, tracked, scored, warm, deciles, clusters } = population;
    let mut text = format!("{recipients} recipients, {tracked} tracked, {scored} with a score, {warm} warm\n");
    if !deciles.is_empty() {
        let scores: Vec<_> = deciles.iter().map(|score| format!("{score:.1}")).collect();
        let _ = writeln!(text, "scores, the highest of each tenth: {}", scores.join("  "));
    }
    if clusters.iter().any(|size| size.cluster.is_some()) {
        let sizes =
            clusters.iter().map(|size| format!("{} {}", size.cluster.as_deref().unwrap_or("none"), size.recipients));
        let _ = writeln!(text, "clusters: {}", sizes.collect::<Vec<_>>().join(", "));
    }
    text
}
