//! The ledger against a naive sum over all its actions, and against itself in any order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::action::LedgerEntry;
use crate::domain::score::{ClusterRules, ScoreRules};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1_700_000_000_000_000;
const CATEGORIES: [&str; 3] = ["running", "trail", "yoga"];

fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

fn rules() -> Rules {
    let points = [("open", 1.0), ("click", 5.0), ("reply", 20.0), ("unsubscribe", -20.0), ("refund", -7.5)];
    Rules {
        score: ScoreRules {
            half_life: days(30),
            warm: 20.0,
            points: points.into_iter().map(|(kind, points)| (kind.to_owned(), points)).collect(),
        },
        cluster: ClusterRules { half_life: days(90), min_points: 10.0, min_share: 0.5, margin: 0.1, prior: 5.0 },
        population: CATEGORIES.map(|category| (category.to_owned(), 1.0 / 3.0)).into(),
    }
}

fn scale() -> Scale {
    Scale { landmark: Micros(START + 100 * DAY), half_life: days(30), affinity_half_life: days(90) }
}

fn entry(id: i64, at: i64, kind: &str, category: Option<&str>) -> Entry {
    let action = LedgerEntry { at: Micros(at), id, kind: kind.to_owned(), category: category.map(str::to_owned) };
    rules().entry(action, &scale()).unwrap()
}

/// Actions of up to two years in the order of their ids, times at random, some equal.
fn ledgers() -> impl Strategy<Value = Vec<Entry>> {
    let kinds = prop::sample::select(vec!["open", "click", "click", "click", "reply", "unsubscribe", "refund"]);
    let category = prop::option::weighted(0.8, prop::sample::select(CATEGORIES.to_vec()));
    let action = (0..17_520_i64, kinds, category);
    prop::collection::vec(action, 1..60).prop_map(|actions| {
        let actions = actions.into_iter().zip(1..);
        actions.map(|((hour, kind, category), id)| entry(id, START + hour * HOUR, kind, category)).collect()
    })
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| (entry.action.at, entry.action.id));
    entries
}

/// Takes entries as they arrive: what follows is applied, what is late replays, what is known is
/// left out. A sweep comes by at the given hours after the last entry.
fn deliver(arrivals: &[Entry], sweeps: &[i64]) -> PersonState {
    let (mut known, mut state): (Vec<Entry>, _) = (Vec::new(), PersonState::default());
    for (arrival, hours) in arrivals.iter().zip(sweeps.iter().cycle()) {
        if let Some((last, _)) = state.last {
            state.settle(Micros(last.0 + hours * HOUR), &rules(), &mut Changes::default());
        }
        if known.iter().any(|entry| entry.action.id == arrival.action.id) {
            continue;
        }
        known.push(arrival.clone());
        if state.precedes(arrival) {
            state.apply(arrival, &rules(), &scale(), &mut Changes::default());
        } else {
            state = PersonState::replay(&sorted(known.clone()), &rules(), &scale()).0;
        }
    }
    state
}

fn naive(entries: &[Entry], at: Micros, half_life: Duration, category: Option<&str>) -> f64 {
    let counts = |e: &&Entry| e.action.at <= at && (category.is_none() || e.action.category.as_deref() == category);
    let faded = |e: &Entry| e.points * (-at.seconds_since(e.action.at) / half_life.as_secs_f64()).exp2();
    entries.iter().filter(counts).map(faded).sum()
}

proptest! {
    #[test]
    fn any_order_late_and_repeated_delivery_end_in_the_same_state(
        entries in ledgers(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
        sweeps in prop::collection::vec(prop_oneof![Just(0), 0..3_000_i64], 1..20),
    ) {
        let mut arrivals: Vec<Entry> = order.iter().map(|index| index.get(&entries).clone()).collect();
        arrivals.extend(entries.iter().cloned());
        let expected = PersonState::replay(&sorted(entries), &rules(), &scale()).0;
        let far = Micros(START + 10_000 * DAY);
        let settled = |mut state: PersonState| {
            state.settle(far, &rules(), &mut Changes::default());
            state
        };
        prop_assert_eq!(settled(deliver(&arrivals, &sweeps)), settled(expected));
    }

    #[test]
    fn the_state_equals_a_naive_sum_at_any_time(entries in ledgers(), hour in 0..40_000_i64) {
        let at = Micros(START + hour * HOUR);
        let entries = sorted(entries);
        let until: Vec<_> = entries.iter().filter(|entry| entry.action.at <= at).cloned().collect();
        let state = PersonState::replay(&until, &rules(), &scale()).0;
        let points = until.iter().map(|entry| entry.points.abs()).sum();
        prop_assert!(within_promise(scale().score(state.f, at), naive(&entries, at, days(30), None), points));
        prop_assert!(within_promise(state.f7 / scale().recent_factor(at), naive(&entries, at, days(7), None), points));
        for (category, sum) in &state.affinities {
            let expected = naive(&entries, at, days(90), Some(category));
            prop_assert!(within_promise(sum / scale().affinity_factor(at), expected, points));
        }
    }

    #[test]
    fn rises_and_falls_alternate_and_stand_where_the_score_crosses(entries in ledgers()) {
        let entries = sorted(entries);
        let (mut state, mut changes) = PersonState::replay(&entries, &rules(), &scale());
        state.settle(Micros(START + 10_000 * DAY), &rules(), &mut changes);
        let moments: Vec<_> = changes.moments.iter().filter(|m| m.kind != MomentKind::Cluster).collect();
        for (n, moment) in (0..).zip(&moments) {
            prop_assert_eq!(moment.kind, if n % 2 == 0 { MomentKind::Rose } else { MomentKind::Cooled });
            prop_assert_eq!(moment.ordinal, n / 2 + 1);
            // Actions of one instant count one by one, so only what stands alone can be seen from outside.
            let alone = moments.iter().filter(|other| other.at == moment.at).count() == 1;
            if moment.kind == MomentKind::Cooled && alone {
                let before = naive(&entries, Micros(moment.at.0 - 1), days(30), None);
                let after = naive(&entries, moment.at, days(30), None);
                prop_assert!(before > 20.0 - 1e-6 && after < 20.0 + 1e-6, "cooled from {} to {}", before, after);
            }
        }
        prop_assert!(moments.windows(2).all(|pair| pair[0].at <= pair[1].at));
        prop_assert_eq!(moments.len() % 2, 0, "still warm after 27 years");
    }

    #[test]
    fn stays_in_clusters_do_not_overlap_and_each_has_its_moment(entries in ledgers()) {
        let (_, changes) = PersonState::replay(&sorted(entries), &rules(), &scale());
        prop_assert!(changes.spans.windows(2).all(|pair| pair[0].until <= pair[1].from));
        prop_assert!(changes.spans.iter().all(|span| span.from <= span.until));
        let entered = changes.moments.iter().filter(|moment| moment.kind == MomentKind::Cluster);
        let entered: Vec<_> = entered.map(|moment| (moment.ordinal, moment.at, moment.subject.clone())).collect();
        let spans: Vec<_> = changes.spans.iter().map(|s| (s.ordinal, s.from, s.cluster.clone())).collect();
        prop_assert_eq!(entered, spans);
    }

    #[test]
    fn a_rebase_between_two_entries_changes_nothing(entries in ledgers(), cut in any::<prop::sample::Index>()) {
        let entries = sorted(entries);
        let (first, second) = entries.split_at(cut.index(entries.len()));
        let (mut state, mut changes) = PersonState::replay(first, &rules(), &scale());
        let (moved, [c, c7, ca]) = scale().rebase(Micros(START + 3_000 * DAY));
        state.f *= c;
        state.f7 *= c7;
        state.affinities.values_mut().for_each(|sum| *sum *= ca);
        for entry in second {
            let entry = rules().entry(entry.action.clone(), &moved).unwrap();
            state.apply(&entry, &rules(), &moved, &mut changes);
        }
        let (expected, expected_changes) = PersonState::replay(&entries, &rules(), &scale());
        prop_assert_eq!(
            changes.moments.iter().map(|m| (m.kind, m.ordinal, &m.subject)).collect::<Vec<_>>(),
            expected_changes.moments.iter().map(|m| (m.kind, m.ordinal, &m.subject)).collect::<Vec<_>>()
        );
        let now = Micros(START + 800 * DAY);
        prop_assert!(within_promise(moved.score(state.f, now), scale().score(expected.f, now), expected.points));
    }

    #[test]
    fn single_clicks_to_and_fro_never_change_the_cluster(start in 4..10_i64, gaps in prop::collection::vec(1..48_i64, 40)) {
        let mut at = START;
        let first = (0..start).map(|id| entry(id, START, "click", Some("running")));
        let alternating = gaps.iter().zip(start..).map(|(gap, id)| {
            at += gap * HOUR;
            entry(id, at, "click", Some(if (id - start) % 2 == 0 { "trail" } else { "running" }))
        });
        let (_, changes) = PersonState::replay(&first.chain(alternating).collect::<Vec<_>>(), &rules(), &scale());
        prop_assert_eq!(changes.spans.len(), 1);
    }
}

#[test]
fn one_click_does_not_decide_and_the_evidence_fades() {
    let clicks: Vec<_> = (0..3).map(|id| entry(id, START + id, "click", Some("running"))).collect();
    let (state, _) = PersonState::replay(&clicks[..1], &rules(), &scale());
    assert_eq!(state.membership, None);
    let (state, changes) = PersonState::replay(&clicks, &rules(), &scale());
    let membership = state.membership.clone().unwrap();
    assert_eq!(membership.cluster, "running");
    let faded = (90.0 * DAY as f64 * 1.5_f64.log2()) as i64;
    assert!((membership.until.0 - START - faded).abs() < 1_000_000, "15 points are 10 after h·log2(1.5)");
    assert_eq!(changes.spans.last().unwrap().until, membership.until);
    assert_eq!(
        state.clone().view(Micros(membership.until.0 - 1), &rules(), &scale()).cluster.as_deref(),
        Some("running")
    );
    assert_eq!(state.view(membership.until, &rules(), &scale()).cluster, None);
}

#[test]
fn what_comes_before_the_end_of_a_cluster_that_has_passed_is_late() {
    let clicks: Vec<_> = (0..3).map(|id| entry(id, START, "click", Some("running"))).collect();
    let (mut state, _) = PersonState::replay(&clicks, &rules(), &scale());
    let until = state.membership.clone().unwrap().until;
    state.settle(Micros(until.0 + DAY), &rules(), &mut Changes::default());
    let click = |at| entry(9, at, "click", Some("running"));
    assert!(!state.precedes(&click(until.0 - 1)), "it would enter anew a cluster that was not yet left");
    assert!(state.precedes(&click(until.0)));
}

#[test]
fn a_cluster_is_left_for_another_that_leads_by_the_margin() {
    let clicks =
        |from: i64, count: i64, category| (from..from + count).map(move |id| entry(id, START, "click", Some(category)));
    let ledger: Vec<_> = clicks(0, 4, "running").chain(clicks(10, 6, "trail")).collect();
    let (state, changes) = PersonState::replay(&ledger, &rules(), &scale());
    assert_eq!(state.membership.unwrap().cluster, "trail");
    let clusters: Vec<_> = changes.spans.iter().map(|span| (span.ordinal, span.cluster.as_str())).collect();
    assert_eq!(clusters, [(1, "running"), (2, "trail")]);
    assert_eq!(changes.spans[0].until, changes.spans[1].from);
}

#[test]
fn four_clicks_of_five_points_at_once_are_twenty() {
    let clicks: Vec<_> = (0..4).map(|id| entry(id, START + 7 * HOUR + 123, "click", None)).collect();
    let (state, changes) = PersonState::replay(&clicks, &rules(), &scale());
    assert_eq!(changes.moments.len(), 1);
    assert_eq!(changes.moments[0].subject, "20");
    assert_eq!(state.cools_at, Some(Micros(START + 7 * HOUR + 124)));
}

#[test]
fn a_late_action_moves_a_moment_and_does_not_repeat_it() {
    let (early, late) = (entry(1, START, "reply", None), entry(2, START - DAY, "reply", None));
    let (_, before) = PersonState::replay([&early], &rules(), &scale());
    let (_, after) = PersonState::replay([&late, &early], &rules(), &scale());
    let rises = |changes: &Changes| -> Vec<_> {
        changes.moments.iter().filter(|m| m.kind == MomentKind::Rose).map(|m| (m.ordinal, m.at.0)).collect()
    };
    assert_eq!(rises(&before), [(1, START)]);
    assert_eq!(rises(&after), [(1, START - DAY), (2, START)][..rises(&after).len()]);
}

#[test]
fn a_kind_without_points_makes_no_entry() {
    let action = LedgerEntry { at: Micros(START), id: 1, kind: "visit".into(), category: Some("running".into()) };
    assert_eq!(rules().entry(action, &scale()), None);
}
