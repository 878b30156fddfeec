use std::collections::BTreeMap;

use super::*;
use crate::domain::id::RunId;
use crate::domain::run::RunState;
use crate::domain::time::Micros;
use crate::store::reports::{Bounces, ClusterFigures, CodeCount, HitCount, LinkFigures, Unsubscribed};

fn human(messages: i64, total: i64) -> HitCounts {
    HitCounts { human: HitCount { messages, total }, ..HitCounts::default() }
}

fn clicked(cluster: Option<&str>, accepted: i64, counts: &[(&str, i64)]) -> ClusterFigures {
    let clicked = counts.iter().map(|(category, count)| ((*category).to_owned(), *count)).collect();
    ClusterFigures { cluster: cluster.map(str::to_owned), accepted, clicked }
}

fn report() -> RunReport {
    let link = |url: &str, category: Option<&str>, clicks| LinkFigures {
        url: url.to_owned(),
        category: category.map(str::to_owned),
        clicks,
    };
    RunReport {
        waits_for: None,
        waits_until: None,
        run: RunId(3),
        campaign: "spring".into(),
        occasion: "1".into(),
        topic: "offers".into(),
        state: RunState::Paused,
        reason: Some("too many\u{1b}[31m rejections".into()),
        at: Micros(1_790_000_000_000_000),
        started_at: Some(Micros(1_790_000_001_000_000)),
        ended_at: None,
        planned: Some(120),
        messages: MessageCounts { accepted: 80, rejected: 18, skipped: 2, ..MessageCounts::default() },
        excluded: BTreeMap::from([("no_consent".into(), 7), ("suppressed".into(), 1)]),
        skipped_because: BTreeMap::from([("paused".into(), 2)]),
        codes: vec![
            CodeCount { state: MessageState::Rejected, code: Some(550), messages: 17 },
            CodeCount { state: MessageState::Rejected, code: None, messages: 1 },
        ],
        opens: HitCounts { proxy: HitCount { messages: 20, total: 30 }, ..human(40, 65) },
        clicks: human(8, 9),
        bounces: Bounces { dead: 2, ..Bounces::default() },
        complaints: 1,
        replies: 0,
        unsubscribed: Unsubscribed { people: 3, why: [("too_many".to_owned(), 2)].into() },
        links: vec![
            link("https://x.example/trail", Some("trail"), human(6, 7)),
            link("https://x.example/", None, human(2, 2)),
        ],
        clusters: vec![clicked(Some("trail"), 20, &[("trail", 5)]), clicked(None, 60, &[("", 2), ("trail", 1)])],
    }
}

#[test]
fn a_run_is_told_in_one_screen() {
    insta::assert_snapshot!(run_text(&report()));
}

#[test]
fn a_run_without_messages_has_dashes_for_shares() {
    let empty = RunReport { messages: MessageCounts::default(), opens: human(0, 0), ..report() };
    let line = run_text(&empty).lines().find(|line| line.contains("accepted ")).unwrap().to_owned();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["accepted", "0", "–"]);
}

#[test]
fn a_status_gives_each_run_a_line_and_says_why_it_stands_still() {
    insta::assert_snapshot!(status_text(&[report()]));
}

#[test]
fn notices_have_a_line_for_each_kind() {
    let count = |kind: &str, state, n| (kind.to_owned(), state, n);
    let counts = [
        count("already_subscribed", MessageState::Accepted, 2),
        count("confirm", MessageState::Accepted, 40),
        count("confirm", MessageState::Deferred, 1),
    ];
    assert_eq!(
        notices_text(&counts),
        "notices, already subscribed: 2 accepted\nnotices, confirm: 40 accepted, 1 deferred\n"
    );
}
