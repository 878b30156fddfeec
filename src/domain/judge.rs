//! Who made a hit: a pure decision over what is known of it.
//!
//! Every input is stored, so a verdict can be computed again at any time. The rules are asked in
//! order, and the first that speaks decides; its name is kept with the verdict.

use std::time::Duration;

use super::hit::{HitKind, HitMethod, Verdict};
use super::time::Micros;

/// What a user agent says about who is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// A browser or a mail program.
    Person,
    /// A mail provider's image proxy, with the rule's name.
    Proxy(&'static str),
    /// A scanner, a crawler, a library, with the rule's name.
    Machine(&'static str),
    /// It says something nobody knows.
    Unknown,
    /// It says nothing.
    Missing,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// What was asked for.
    pub kind: HitKind,
    /// How.
    pub method: HitMethod,
    /// By what.
    pub agent: Agent,
    /// From the relay's acceptance of the message to the hit, negative when the hit came first;
    /// `None` when the message is not known to be accepted.
    pub seconds_since_acceptance: Option<f64>,
    /// Whether the hit is one of many different links at once (see [`bursts`]).
    pub burst: bool,
}

/// Where the lines are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A click this soon after acceptance was made by a scanner on delivery.
    pub click_too_soon: Duration,
    /// The same for the pixel; a mail program in the foreground can be quick.
    pub open_too_soon: Duration,
    /// So many different links of one message …
    pub burst_links: usize,
    /// … within this time are not one person's.
    pub burst_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            click_too_soon: Duration::from_secs(10),
            open_too_soon: Duration::from_secs(2),
            burst_links: 3,
            burst_window: Duration::from_secs(2),
        }
    }
}

/// A verdict and the name of the rule that decided.
pub type Judgement = (Verdict, &'static str);

/// Decides who made a hit.
#[must_use]
pub fn judge(evidence: &Evidence, limits: &Limits) -> Judgement {
    match evidence.method {
        HitMethod::Get => {}
        HitMethod::Head | HitMethod::Options => return (Verdict::Machine, "method"),
        HitMethod::Prefetch => return (Verdict::Machine, "prefetch"),
    }
    match evidence.agent {
        Agent::Machine(rule) => return (Verdict::Machine, rule),
        Agent::Proxy(rule) => return (Verdict::Proxy, rule),
        Agent::Person | Agent::Unknown | Agent::Missing => {}
    }
    if evidence.burst {
        return (Verdict::Machine, "burst");
    }
    let too_soon = match evidence.kind {
        HitKind::Click => limits.click_too_soon,
        HitKind::Open => limits.open_too_soon,
    };
    if evidence.seconds_since_acceptance.is_some_and(|s| s < too_soon.as_secs_f64()) {
        return (Verdict::Machine, "too-soon");
    }
    match evidence.agent {
        Agent::Unknown => (Verdict::Unknown, "agent-unknown"),
        Agent::Missing => (Verdict::Unknown, "agent-missing"),
        _ => (Verdict::Human, "agent-person"),
    }
}

/// Marks the clicks of one message that belong to a burst: those inside some window in which
/// enough different links were followed. `clicks` are (instant, (link, item)), ordered by instant.
#[must_use]
pub fn bursts(clicks: &[(Micros, (u16, u16))], limits: &Limits) -> Vec<bool> {
    let mut marked = vec![false; clicks.len()];
    let mut marked_to = 0;
    let mut first = 0;
    let mut counts = std::collections::HashMap::new();
    for (last, &(at, link)) in clicks.iter().enumerate() {
        *counts.entry(link).or_insert(0_usize) += 1;
        while at.since(clicks[first].0) > limits.burst_window {
            let left = clicks[first].1;
            if let Some(count) = counts.get_mut(&left) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&left);
                }
            }
            first += 1;
        }
        if counts.len() >= limits.burst_links {
            let from = first.max(marked_to);
            marked[from..=last].fill(true);
            marked_to = last + 1;
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;

    fn quiet() -> Evidence {
        Evidence {
            kind: HitKind::Click,
            method: HitMethod::Get,
            agent: Agent::Person,
            seconds_since_acceptance: Some(3_600.0),
            burst: false,
        }
    }

    #[test]
    fn the_first_rule_that_speaks_decides() {
        let table: [(Evidence, Judgement); 13] = [
            (quiet(), (Verdict::Human, "agent-person")),
            (Evidence { seconds_since_acceptance: None, ..quiet() }, (Verdict::Human, "agent-person")),
            (Evidence { method: HitMethod::Head, ..quiet() }, (Verdict::Machine, "method")),
            (Evidence { method: HitMethod::Options, agent: Agent::Missing, ..quiet() }, (Verdict::Machine, "method")),
            (Evidence { method: HitMethod::Prefetch, ..quiet() }, (Verdict::Machine, "prefetch")),
            (Evidence { agent: Agent::Machine("library"), ..quiet() }, (Verdict::Machine, "library")),
            (Evidence { agent: Agent::Proxy("apple"), burst: true, ..quiet() }, (Verdict::Proxy, "apple")),
            (Evidence { burst: true, ..quiet() }, (Verdict::Machine, "burst")),
            (Evidence { seconds_since_acceptance: Some(9.9), ..quiet() }, (Verdict::Machine, "too-soon")),
            (Evidence { seconds_since_acceptance: Some(-1.0), ..quiet() }, (Verdict::Machine, "too-soon")),
            (
                Evidence { kind: HitKind::Open, seconds_since_acceptance: Some(9.9), ..quiet() },
                (Verdict::Human, "agent-person"),
            ),
            (Evidence { agent: Agent::Unknown, ..quiet() }, (Verdict::Unknown, "agent-unknown")),
            (Evidence { agent: Agent::Missing, ..quiet() }, (Verdict::Unknown, "agent-missing")),
        ];
        for (evidence, expected) in table {
            assert_eq!(judge(&evidence, &Limits::default()), expected, "{evidence:?}");
        }
    }

    #[test]
    fn three_links_within_two_seconds_are_a_burst_and_two_are_not() {
        let at = |tenths: i64, link| (Micros(tenths * SECOND / 10), (link, 0));
        let limits = Limits::default();
        assert_eq!(bursts(&[at(0, 1), at(10, 2), at(20, 3), at(60, 4)], &limits), [true, true, true, false]);
        assert_eq!(bursts(&[at(0, 1), at(10, 2), at(21, 3)], &limits), [false; 3]);
        assert_eq!(bursts(&[at(0, 1), at(1, 1), at(2, 1), at(3, 2)], &limits), [false; 4], "one link again and again");
    }

    proptest! {
        #[test]
        fn a_burst_is_what_the_definition_says(clicks in prop::collection::vec((0i64..80, 1u16..5), 0..40)) {
            let limits = Limits::default();
            let mut clicks: Vec<_> = clicks.into_iter().map(|(t, l)| (Micros(t * SECOND / 10), (l, 0))).collect();
            clicks.sort();
            let expected: Vec<bool> = clicks.iter().map(|(at, _)| clicks.iter().any(|(start, _)| {
                let end = start.plus(limits.burst_window);
                let inside = clicks.iter().filter(|(t, _)| (*start..=end).contains(t));
                let links: std::collections::HashSet<_> = inside.map(|(_, link)| link).collect();
                (*start..=end).contains(at) && links.len() >= limits.burst_links
            })).collect();
            prop_assert_eq!(bursts(&clicks, &limits), expected);
        }
    }
}
