//! How fast relays go, as text for a terminal.

use std::fmt::Write as _;

use crate::store::slowdowns::Slowdown;

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
}
