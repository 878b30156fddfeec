//! How fast relays go, as text for a terminal.

use std::fmt::Write as _;

use crate::store::slowdowns::Slowdown;
use crate::store::warm_ups::Standing;

/// What has slowed itself down, a line for each.
#[must_use]
pub fn speed_text(slow: &[Slowdown]) -> String {
    let mut text = String::new();
    for Slowdown { relay, domain, per_second, full, since, reason } in slow {
        let at = domain.as_deref().map(|domain| format!(" for {domain}")).unwrap_or_default();
        let (now, before) = (rate(*per_second), rate(*full));
        let _ = writeln!(text, "relay {relay}{at} has slowed down to {now} from {before} since {since}: {reason}");
    }
    text
}

/// What relays may hand over today while they warm up, a line for each limit.
#[must_use]
pub fn warm_up_text(standings: &[Standing]) -> String {
    let mut text = String::new();
    for Standing { relay, domain, day, number, allowed, drawn, days_left } in standings {
        let to = domain.as_deref().map(|domain| format!(" to {domain}")).unwrap_or_default();
        let _ = if *number < 1 {
            writeln!(text, "relay {relay}{to}: the warm-up begins in {} days", 1 - number)
        } else {
            writeln!(text, "relay {relay}{to}: {drawn} of {allowed} today ({day}), ends in {days_left} days")
        };
    }
    text
}

/// Messages in a unit of time that leaves a number one can read.
fn rate(per_second: f64) -> String {
    if per_second >= 1.0 { format!("{per_second:.1}/s") } else { format!("{:.1}/min", per_second * 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Micros;

    #[test]
    fn what_is_slow_says_how_slow_and_why() {
        let slow = |domain: Option<&str>, per_second| Slowdown {
            relay: "main".into(),
            domain: domain.map(Into::into),
            per_second,
            full: 20.0,
            since: Micros(0),
            reason: "421 4.7.0 at rcpt".into(),
        };
        assert_eq!(
            speed_text(&[slow(None, 10.0), slow(Some("example.org"), 0.5)]),
            "relay main has slowed down to 10.0/s from 20.0/s since 1970-01-01T00:00:00Z: 421 4.7.0 at rcpt\n\
             relay main for example.org has slowed down to 30.0/min from 20.0/s since 1970-01-01T00:00:00Z: 421 4.7.0 at rcpt\n"
        );
    }

    #[test]
    fn a_warm_up_says_how_far_it_is() {
        let standing = |domain: Option<&str>, number| Standing {
            relay: "main".into(),
            domain: domain.map(Into::into),
            day: "2026-12-02".into(),
            number,
            allowed: 500,
            drawn: 187,
            days_left: 6,
        };
        assert_eq!(
            warm_up_text(&[standing(None, 2), standing(Some("gmail.com"), 0)]),
            "relay main: 187 of 500 today (2026-12-02), ends in 6 days\n\
             relay main to gmail.com: the warm-up begins in 1 days\n"
        );
    }
}
