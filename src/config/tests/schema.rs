//! What editors are told is what the readers take: documents made of the descriptions are read, and an independent
//! validator judges them, and files that people wrote, by the schema.

use std::process::Command;

use super::*;
use crate::config::keys::{CAMPAIGN as CAMPAIGN_KEYS, Key, Kind, PROJECT as PROJECT_KEYS};
use crate::config::schema::Schema;

/// A file with the described keys but those that `leave_out` names and what stands below them.
fn document(keys: &[Key], leave_out: impl Fn(&Key) -> bool) -> String {
    let mut document = toml::Table::new();
    let out: Vec<_> = keys.iter().filter(|key| key.kind == Kind::Refused || leave_out(key)).collect();
    for key in keys {
        let below = |out: &&Key| {
            let rest = key.path.strip_prefix(out.path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if !out.iter().any(below) {
            insert(&mut document, keys, key);
        }
    }
    toml::to_string(&document).unwrap()
}

fn insert(document: &mut toml::Table, keys: &[Key], key: &Key) {
    let (parent, name) = key.parent();
    let mut table = document;
    let mut place = String::new();
    for part in parent.split('.').filter(|part| !part.is_empty()) {
        place = if place.is_empty() { part.into() } else { format!("{place}.{part}") };
        let free = || keys.iter().find(|key| key.path == place).unwrap().example;
        let name = if part == "*" { free() } else { part.trim_end_matches("[]") };
        table = match table.get_mut(name).unwrap_or_else(|| panic!("{place} is described after {}", key.path)) {
            toml::Value::Array(items) => items[0].as_table_mut().unwrap(),
            section => section.as_table_mut().unwrap(),
        };
    }
    let empty = toml::Value::Table(toml::Table::new());
    let read = |text: &str| toml::from_str::<toml::Table>(text).unwrap_or_else(|e| panic!("{}: {e}", key.path));
    match key.kind {
        Kind::Section if name == "*" => drop(table.insert(key.example.into(), empty)),
        Kind::Section => drop(table.insert(name.into(), empty)),
        Kind::Sections => drop(table.insert(name.into(), toml::Value::Array(vec![empty]))),
        _ if name == "*" => table.extend(read(key.example)),
        _ => table.extend(read(&format!("{name} = {}", key.example))),
    }
}

/// Files of each kind that hold every described key: one, and another for each key that stands in place of another.
fn complete(keys: &[Key]) -> Vec<String> {
    let mut documents = vec![document(keys, |key| key.instead_of.is_some())];
    for chosen in keys.iter().filter(|key| key.instead_of.is_some()) {
        documents.push(document(keys, |key| {
            key.path != chosen.path && (key.instead_of.is_some() || Some(key.path) == chosen.instead_of)
        }));
    }
    documents
}

/// What is wrong with a project and its one campaign.
fn errors(project: &str, campaign: &str) -> Vec<String> {
    let ProjectFiles::Frozen(mut map) = files(project, campaign) else { unreachable!() };
    for name in ["news.hbs", "news.txt.hbs"] {
        map.insert(format!("templates/{name}"), "Hello".to_owned());
    }
    map.insert("files/agenda.pdf".into(), "JVBERi0=\r\n".into());
    load(&ProjectFiles::Frozen(map)).map_or_else(|Problems(found)| found.iter().map(shown).collect(), |_| vec![])
}

#[test]
fn every_described_key_is_taken_by_its_reader() {
    let (projects, campaigns) = (complete(PROJECT_KEYS), complete(CAMPAIGN_KEYS));
    for project in &projects {
        for campaign in &campaigns {
            assert_eq!(errors(project, campaign), [""; 0], "{project}\n{campaign}");
        }
    }
}

#[test]
fn what_is_described_as_required_is_missed_and_the_rest_may_be_left_out() {
    let optional = |key: &Key| !key.required;
    let (project, campaign) = (complete(PROJECT_KEYS).remove(0), complete(CAMPAIGN_KEYS).remove(0));
    let (least_project, least_campaign) = (document(PROJECT_KEYS, optional), document(CAMPAIGN_KEYS, optional));
    // The campaign misses its topic and categories then.
    let found = errors(&least_project, &campaign);
    assert!(found.iter().all(|error| error.starts_with("spring.toml:")), "{found:?}");
    assert_eq!(errors(&project, &least_campaign), [""; 0]);
    for (keys, is_project) in [(PROJECT_KEYS, true), (CAMPAIGN_KEYS, false)] {
        for required in keys.iter().filter(|key| key.required && !matches!(key.kind, Kind::Section | Kind::Sections)) {
            let without = document(keys, |key| key.path == required.path || key.instead_of.is_some());
            let found = if is_project { errors(&without, &campaign) } else { errors(&project, &without) };
            let missed = format!("`{}` is missing", required.parent().1);
            assert!(found.iter().any(|error| error.contains(&missed)), "{}: {found:?}", required.path);
        }
    }
}

#[test]
fn every_word_that_is_offered_is_taken() {
    let (project, campaign) = (complete(PROJECT_KEYS).remove(0), complete(CAMPAIGN_KEYS).remove(0));
    for (keys, is_project) in [(PROJECT_KEYS, true), (CAMPAIGN_KEYS, false)] {
        for key in keys {
            let Kind::OneOf(words) = key.kind else { continue };
            for word in words {
                let line = |value: &str| format!("\n{} = {value}\n", key.parent().1);
                let other = |text: &str| text.replacen(&line(key.example), &line(&format!("\"{word}\"")), 1);
                let found =
                    if is_project { errors(&other(&project), &campaign) } else { errors(&project, &other(&campaign)) };
                assert_eq!(found, [""; 0], "{} = {word}", key.path);
            }
        }
    }
}

#[test]
fn the_manual_names_every_key() {
    let manual = include_str!("../../../docs/config.md");
    let named = |key: &&Key| key.kind != Kind::Refused && key.parent().1 != "*";
    for key in PROJECT_KEYS.iter().chain(CAMPAIGN_KEYS).filter(named) {
        assert!(manual.contains(key.parent().1), "docs/config.md does not name {}", key.path);
    }
}

/// Judges files by a schema with Debian's python3-jsonschema; what it says of them.
fn judged(schema: Schema, texts: &[String]) -> String {
    const JUDGE: &str = "import datetime, json, sys, tomllib
from jsonschema import Draft7Validator
def plain(value):
    if isinstance(value, dict): return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list): return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value
schema = json.load(open(sys.argv[1]))
Draft7Validator.check_schema(schema)
for path in sys.argv[2:]:
    for error in Draft7Validator(schema).iter_errors(plain(tomllib.load(open(path, 'rb')))):
        print('/'.join(map(str, error.absolute_path)), error.message)
";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("schema.json");
    std::fs::write(&path, schema.text()).unwrap();
    let files: Vec<_> = (0..texts.len()).map(|n| dir.path().join(format!("{n}.toml"))).collect();
    files.iter().zip(texts).for_each(|(path, text)| std::fs::write(path, text).unwrap());
    let output = Command::new("/usr/bin/python3").args(["-c", JUDGE]).arg(&path).args(&files).output();
    let output = output.expect("python3 is installed by scripts/setup");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn an_independent_validator_takes_what_the_readers_take_and_refuses_mistakes() {
    let mut projects = complete(PROJECT_KEYS);
    projects
        .extend([PROJECT, include_str!("complete.toml"), include_str!("../example/colloquy.toml")].map(String::from));
    let mut campaigns = complete(CAMPAIGN_KEYS);
    campaigns.extend([CAMPAIGN, include_str!("spring.toml")].map(String::from));
    assert_eq!(judged(Schema::Project, &projects), "");
    assert_eq!(judged(Schema::Campaign, &campaigns), "");
    for (mistake, complaint) in [
        ("[limits]\nfrequencycap = \"2 per 7d\"\n", "'frequencycap' was unexpected"),
        ("[score]\nhalf_life = 30\n", "score/half_life 30 is not of type 'string'"),
        ("[cluster]\nmargin = 1.5\n", "cluster/margin 1.5 is greater than the maximum of 1"),
        ("[attributes.x]\ntype = \"dat\"\n", "'dat' is not one of ['text', 'number', 'date', 'bool']"),
        ("[[dkim]]\ndomain = \"a.example\"\n", "dkim/0 'selector' is a required property"),
    ] {
        let said = judged(Schema::Project, &[format!("{PROJECT}{mistake}")]);
        assert!(said.contains(complaint), "{mistake}: {said}");
    }
    let both = format!("{CAMPAIGN}[schedule]\nat = 2026-12-01T09:00:00\nevery = \"daily 09:00\"\n");
    assert!(judged(Schema::Campaign, &[both]).starts_with("schedule "));
}
