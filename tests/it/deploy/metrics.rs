//! The dashboard and the alert rules ask for metrics that there are, by labels that they have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use colloquy::domain::hit::{HitKind, Verdict};
use colloquy::domain::message::MessageState;
use colloquy::domain::run::RunState;
use colloquy::domain::time::Micros;
use colloquy::metrics::Metrics;
use regex::Regex;
use serde_json::Value;

use super::{repository, yaml};

/// Each metric's samples with the names of their labels, as `/metrics` tells them.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = Metrics::new();
    metrics.outcome(("spring", "main", "example.org"), MessageState::Accepted);
    metrics.handover("main", Duration::from_millis(20));
    metrics.claimed(1);
    metrics.set_queue(MessageState::Waiting, 1);
    metrics.set_notices(MessageState::Waiting, 1);
    metrics.set_runs(RunState::Running, 1);
    metrics.set_ready("database", true);
    metrics.throttle_wait("relay", Duration::from_secs(1));
    metrics.slowed("main", Some("example.org"), Some(1.0));
    metrics.slowed_down("main", Some("example.org"));
    metrics.set_warm_up_left("main", None, 1);
    metrics.hits_spooled(1, 1);
    metrics.judged(HitKind::Click, Verdict::Human, 1);
    metrics.removed("hits", 1);
    metrics.inbound("pipe", "bounce", "dead");
    metrics.returned(("spring", "main", "example.org"), "dead");
    metrics.request("click", 302);
    metrics.inbox_taken("smtp", true);
    metrics.inbox_refused();
    metrics.mailbox_read("returns", Micros(1), 0);
    let label = Regex::new(r#"([a-z_]+)=""#).unwrap();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.encode().lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = known.entry(name.to_owned()).or_default();
        labels.extend(label.captures_iter(line).map(|found| found[1].to_owned()));
    }
    known
}

/// Of an expression: the metrics that it names, and the labels that it selects or sums by.
fn asked(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let all = |pattern: &str| -> BTreeSet<String> {
        let pattern = Regex::new(pattern).unwrap();
        pattern.captures_iter(expression).map(|found| found[1].to_owned()).collect()
    };
    let names = all(r"\b(colloquy_[a-z_]+)");
    let by = all(r"\bby \(([a-z_, ]+)\)");
    let mut labels = all(r#"([a-z_]+)!?=~?""#);
    labels.extend(by.iter().flat_map(|list| list.split(", ")).map(str::to_owned));
    (names, labels)
}

/// What is wrong with an expression: a metric that there is not, or a label that none of its metrics has.
fn fault(expression: &str, known: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let (names, labels) = asked(expression);
    if let Some(name) = names.iter().find(|name| !known.contains_key(*name)) {
        return Some(format!("there is no {name}: {expression}"));
    }
    let has = |label: &str| label == "instance" || names.iter().any(|name| known[name].contains(label));
    let label = labels.iter().find(|label| !has(label))?;
    (!names.is_empty()).then(|| format!("nothing has the label {label}: {expression}"))
}

fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(repository("deploy/grafana.json")).unwrap()).unwrap()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let known = known();
    let mut shown = BTreeSet::new();
    for expression in expressions(&dashboard()) {
        assert_eq!(fault(&expression, &known), None);
        shown.extend(asked(&expression).0);
    }
    let hidden: Vec<_> = known
        .keys()
        .filter(|name| !name.ends_with("_seconds_sum") && !name.ends_with("_seconds_count") && !shown.contains(*name))
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
    assert!(fault("rate(colloquy_mesages_total[5m])", &known).is_some(), "a misspelt metric passes too");
    assert!(fault("sum by (domain) (colloquy_queue)", &known).is_some(), "a wrong label passes too");
}

#[test]
fn the_panels_of_the_dashboard_have_places_of_their_own() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_i64().unwrap() >= 36);
    let (mut taken, mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies over another", panel["title"]);
            }
        }
        assert!(ids.insert(panel["id"].as_i64().unwrap()) && titles.insert(panel["title"].as_str().unwrap()));
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
    }
}

#[test]
fn the_alert_rules_are_those_of_the_manual_and_ask_for_metrics_that_there_are() {
    let known = known();
    let [file] = yaml("deploy/alerts.yaml").try_into().unwrap();
    let manual = fs::read_to_string(repository("docs/metrics.md")).unwrap();
    let manual = manual.split("## What to watch").nth(1).unwrap();
    let row = Regex::new(r"(?m)^\| `(Colloquy[A-Za-z]+)` \|").unwrap();
    let told: BTreeSet<_> = row.captures_iter(manual).map(|found| found[1].to_owned()).collect();
    let mut ruled = BTreeSet::new();
    for rule in file["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        assert_eq!(fault(rule["expr"].as_str().unwrap(), &known), None, "{name}");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["page", "warning"].contains(&severity), "{name}");
        for words in ["summary", "description"] {
            assert!(rule["annotations"][words].as_str().is_some_and(|words| words.len() > 10), "{name}");
        }
        assert!(ruled.insert(name.to_owned()), "{name} is there twice");
    }
    assert_eq!(ruled, told);
}
