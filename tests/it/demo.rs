//! The demonstration, small: the whole loop, and what it leaves behind.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use colloquy::clock::Clock;
use colloquy::demo::findings::{Findings, total};
use colloquy::demo::{self, Options};
use serde_json::Value;

async fn demonstrate(directory: &Path) -> (Findings, Vec<String>) {
    let options =
        Options { directory: directory.to_owned(), recipients: 400, seed: 1, duration: Duration::from_secs(6) };
    let mut told = Vec::new();
    let findings = demo::run(&options, |line| told.push(line.to_owned())).await.unwrap();
    (findings, told)
}

fn colloquy(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_colloquy")).arg("-C").arg(directory).args(arguments).output().unwrap()
}

fn succeeds(directory: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = colloquy(directory, arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_turns_and_leaves_a_project_on_which_the_other_commands_work() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("demo");
    let (findings, told) = demonstrate(&directory).await;

    accounts_for_everybody(&findings);
    hits_are_kept_and_judged(&findings);
    interests_are_found(&findings);
    the_second_mailing_differs(&findings);
    let text = demo::report::text(&findings, &directory, Path::new("colloquy"));
    assert!(told.iter().chain([&text]).flat_map(|text| text.lines()).all(|line| line.chars().count() <= 100), "{text}");

    succeeds(&directory, &["check"]);
    succeeds(&directory, &["score", "rebuild", "--check"]);
    let example = findings.example.unwrap();
    let person: Value =
        serde_json::from_str(&succeeds(&directory, &["recipient", "show", &example, "--json"])).unwrap();
    assert!(person["score"].as_f64().unwrap() > 0.0 && person["cluster"].is_string());
    let plan: Value = serde_json::from_str(&succeeds(&directory, &["plan", "reminder", "--json"])).unwrap();
    let messages = plan["messages"].as_u64().unwrap();
    assert!(messages > 0);
    succeeds(&directory, &["send", "reminder"]);
    let files = std::fs::read_dir(directory.join("outbox")).unwrap().count();
    assert_eq!(files as u64, messages, "mail becomes files once the catcher has gone");
}

fn accounts_for_everybody(findings: &Findings) {
    assert_eq!(findings.runs.len(), 2);
    for run in &findings.runs {
        let m = run.messages;
        assert_eq!(m.total(), m.accepted + m.rejected, "{}: nothing is left over", run.campaign);
        assert!(run.at < run.ended_at.unwrap() && run.ended_at.unwrap() < Clock::system().now());
    }
    let first = &findings.runs[0];
    assert_eq!(first.messages.total() + first.excluded.values().sum::<i64>(), 400);
    assert_eq!(first.excluded.get("suppressed"), Some(&1));
    assert!(findings.runs[1].messages.total() < first.messages.total());
}

fn hits_are_kept_and_judged(findings: &Findings) {
    let stored: i64 = findings.runs.iter().map(|run| total(&run.opens) + total(&run.clicks)).sum();
    assert_eq!(stored, i64::try_from(findings.hits).unwrap());
    assert_eq!(findings.failed, 0);
    for run in &findings.runs {
        assert_eq!(run.opens.unjudged.total + run.clicks.unjudged.total, 0);
        assert_eq!(run.opens.machine.total, 0, "nobody opened before delivery");
        assert!(run.opens.human.total > 0 && run.opens.proxy.total > 0 && run.clicks.human.total > 0);
    }
    assert!(findings.runs[0].clicks.machine.total > 0, "scanners were seen through");
    assert!(findings.checked.people > 0);
    assert_eq!(findings.checked.differing, 0);
}

fn interests_are_found(findings: &Findings) {
    let (found, right) = findings.clustered();
    assert!(found > 50, "{found} people are in clusters");
    assert!(right * 100 >= found * 80, "{right} of {found}");
}

fn the_second_mailing_differs(findings: &Findings) {
    let mut subjects = Vec::new();
    for (cluster, differing) in findings.second.iter().filter(|(_, differing)| differing.mails >= 5) {
        subjects.push(&differing.subject);
        if let Some(cluster) = cluster {
            let own = differing.first_offers.get(cluster).copied().unwrap_or(0);
            assert!(own * 2 > differing.mails, "{cluster}: {differing:?}");
        }
    }
    let all = subjects.len();
    subjects.sort();
    subjects.dedup();
    assert!(all >= 3 && subjects.len() == all, "{subjects:?}");
}

#[test]
fn a_directory_with_anything_else_in_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "all of it").unwrap();
    let refused = colloquy(dir.path(), &["demo", "."]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("hint:"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
