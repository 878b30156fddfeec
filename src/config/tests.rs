//! Whole projects: what is taken, and how each class of mistake is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::{date, datetime, time};

use super::*;
use crate::domain::campaign::{Pictures, When};
use crate::domain::dkim::DkimConfig;
use crate::domain::group::Group;
use crate::domain::hours::{Days, Window};
use crate::domain::pace::OwnLimit;
use crate::domain::project::AttributeType;
use crate::domain::rate::Rate;
use crate::domain::relay::{RelayUrl, Tls};
use crate::domain::retention::Retention;
use crate::domain::returns::{ReturnLimits, SoftRun};
use crate::domain::warm_up::WarmUp;

mod campaigns;
mod inboxes;
mod joining;
mod machines;
mod projects;
mod relays;
mod schema;
mod senders;

const PROJECT: &str = r#"[sender]
from = "Alpenlauf <news@alpenlauf.example>"
[web]
base_url = "https://t.alpenlauf.example"
[[relay]]
name = "main"
url = "file:outbox"
[topics.offers]
title = "Angebote"
[categories]
running = "Laufen"
trail = "Trail"
"#;

const CAMPAIGN: &str = r#"topic = "offers"
subject = "Hello"
template = "spring.hbs"
"#;

/// A project of one file and one campaign, `spring`, with its template.
fn files(project: &str, campaign: &str) -> ProjectFiles {
    ProjectFiles::Frozen(BTreeMap::from([
        (PROJECT_FILE.to_owned(), project.to_owned()),
        ("config/campaigns/spring.toml".to_owned(), campaign.to_owned()),
        ("templates/spring.hbs".to_owned(), "<p>Hello</p>".to_owned()),
        ("templates/spring.txt.hbs".to_owned(), "Hello".to_owned()),
    ]))
}

fn taken(project: &str, campaign: &str) -> Loaded {
    load(&files(project, campaign)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// All problems, each as `FILE:LINE:COLUMN MARKED: MESSAGE (HINT)`; `MARKED` is the underlined text.
fn complaints(project: &str, campaign: &str) -> Vec<String> {
    let Err(Problems(problems)) = load(&files(project, campaign)) else { return Vec::new() };
    problems.iter().map(shown).collect()
}

fn shown(problem: &Problem) -> String {
    let place = problem.place.as_ref().map(|place| {
        let marked: String = place.text.chars().skip(place.column - 1).take(place.width).collect();
        format!(":{}:{} {marked}", place.line, place.column)
    });
    let file = problem.file.rsplit('/').next().unwrap();
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})"));
    format!("{file}{}: {}{}", place.unwrap_or_default(), problem.message, hint.unwrap_or_default())
}

#[test]
fn a_complaint_shows_file_line_column_text_and_the_nearest_name() {
    let problems = load(&files(&format!("{PROJECT}[limits]\nfrequencycap = \"2 per 7d\"\n"), CAMPAIGN)).unwrap_err();
    assert_eq!(
        problems.to_string(),
        r#"error: unknown key `frequencycap` in [limits]
  --> config/colloquy.toml:14:1
   |
14 | frequencycap = "2 per 7d"
   | ^^^^^^^^^^^^
   = help: did you mean `frequency_cap`?"#
    );
}

#[test]
fn all_mistakes_in_all_files_are_reported_at_once_in_their_order() {
    let project = PROJECT.replace("file:outbox", "ftp://x").replace("[sender]\n", "[sender]\nlocale = 7\n");
    let campaign = CAMPAIGN.replace("offers", "ofers") + "[throttle]\nrate = \"fast\"\n";
    let lines: Vec<_> =
        complaints(&project, &campaign).iter().map(|c| c.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["colloquy.toml:2:10", "colloquy.toml:8:7", "spring.toml:1:9", "spring.toml:5:8"]);
}

#[test]
fn a_fault_in_the_syntax_is_shown_for_every_file_and_hides_what_would_follow_from_it() {
    let found = complaints("[sender\nfrom = 1\n", "topic = \n");
    assert!(found[0].starts_with("colloquy.toml:1:"), "{found:?}");
    assert!(found.last().unwrap().starts_with("spring.toml:1:"), "{found:?}");
    assert!(!found.iter().any(|c| c.contains("topic `")), "{found:?}");
    assert_eq!(complaints(&format!("{PROJECT}[categories]\n"), CAMPAIGN).len(), 1);
}

#[test]
fn a_directory_without_a_project_says_how_to_make_one() {
    let problems = load(&ProjectFiles::Frozen(BTreeMap::new())).unwrap_err().to_string();
    assert!(problems.contains("there is no project here") && problems.contains("colloquy init"), "{problems}");
}

#[test]
fn a_campaign_whose_file_name_is_no_name_is_refused() {
    let ProjectFiles::Frozen(mut map) = files(PROJECT, CAMPAIGN) else { unreachable!() };
    map.insert("config/campaigns/2026/spring sale.toml".into(), CAMPAIGN.into());
    let problems = load(&ProjectFiles::Frozen(map)).unwrap_err();
    assert_eq!(problems.0.len(), 1);
    assert!(problems.0[0].message.starts_with("`2026/spring sale` cannot be a name"));
}

#[test]
fn warnings_do_not_refuse_a_file() {
    let loaded = taken(&format!("{PROJECT}[score.points]\nclik = 5\nwebinar = 10\n"), CAMPAIGN);
    let warnings: Vec<_> = loaded.warnings.iter().map(shown).collect();
    let expected = "colloquy.toml:14:1 clik: no action of ours is called `clik` \
                    (did you mean `click`? Imported actions may have any kind)";
    assert_eq!(warnings, [expected]);
    assert_eq!(loaded.project.score.points["webinar"], 10.0);
}
