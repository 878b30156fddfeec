//! When mail that comes back ends mailing.

use std::time::Duration;

/// Of a run, so many messages must have been taken or refused before its share of dead addresses or complaints counts.
pub const ENOUGH: i64 = 100;
/// One person's complaint pauses nobody else's mail.
const FEWEST_COMPLAINTS: i64 = 2;

/// How many messages in a row must come back, over how long, before an address is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftRun {
    /// Messages in a row.
    pub count: u32,
    /// From the first of them to now.
    pub over: Duration,
}

impl SoftRun {
    /// Most messages in a row that can be asked for.
    const MOST: u32 = 100;

    /// Reads `5 over 14d`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "this is not so many messages over so long".to_owned();
        let (count, over) = text.split_once(" over ").ok_or_else(wrong)?;
        let count = count.trim().parse().map_err(|_| wrong())?;
        let over = super::time::parse_duration(over.trim())?;
        if !(2..=Self::MOST).contains(&count) {
            return Err(format!("between 2 and {} messages in a row say something", Self::MOST));
        }
        Ok(Self { count, over })
    }
}

/// How much of a run came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Messages that a relay has taken, or refused.
    pub left: i64,
    /// Of these, to addresses that turned out dead.
    pub dead: i64,
    /// Of these, reported as unwanted.
    pub complaints: i64,
}

/// Where mailing ends by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReturnLimits {
    /// The share of a run's messages, taken or refused, that may go to dead addresses.
    pub dead: f64,
    /// The share of them that may be reported as unwanted.
    pub complaints: f64,
    /// After how many soft bounces in a row an address is given up.
    pub soft: SoftRun,
}

impl Default for ReturnLimits {
    fn default() -> Self {
        Self { dead: 0.05, complaints: 0.001, soft: SoftRun { count: 5, over: Duration::from_secs(14 * 86_400) } }
    }
}

impl ReturnLimits {
    /// Why a run with so many messages, taken or refused, dead addresses and complaints must pause; `None` while it need not.
    #[must_use]
    pub fn exceeded(&self, returned: Returned) -> Option<String> {
        let Returned { left: messages, dead, complaints } = returned;
        if messages < ENOUGH {
            return None;
        }
        let over = |count: i64, limit: f64| count as f64 > limit * messages as f64;
        let percent = |share: f64| (share * 10_000.0).round() / 100.0;
        let (what, count, limit, key) = if complaints >= FEWEST_COMPLAINTS && over(complaints, self.complaints) {
            ("were reported as unwanted", complaints, self.complaints, "pause_at_complaints")
        } else if over(dead, self.dead) {
            ("went to addresses that are dead", dead, self.dead, "pause_at_dead")
        } else {
            return None;
        };
        Some(format!("{count} of {messages} messages {what}, more than the {}% of {key}", percent(limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_pauses_above_the_limit_and_not_at_it() {
        let exceeded = |left, dead, complaints| ReturnLimits::default().exceeded(Returned { left, dead, complaints });
        assert_eq!(exceeded(1_000, 50, 1), None);
        assert_eq!(
            exceeded(1_000, 51, 0).as_deref(),
            Some("51 of 1000 messages went to addresses that are dead, more than the 5% of pause_at_dead")
        );
        assert_eq!(
            exceeded(1_000, 0, 2).as_deref(),
            Some("2 of 1000 messages were reported as unwanted, more than the 0.1% of pause_at_complaints")
        );
    }

    #[test]
    fn few_messages_and_one_complaint_say_nothing() {
        let exceeded = |left, dead, complaints| ReturnLimits::default().exceeded(Returned { left, dead, complaints });
        assert_eq!(exceeded(ENOUGH - 1, ENOUGH - 1, 50), None);
        assert_eq!(exceeded(ENOUGH, 0, 1), None);
        assert!(exceeded(ENOUGH, 0, 2).is_some());
    }

    #[test]
    fn a_row_of_soft_bounces_is_read() {
        let day = Duration::from_secs(86_400);
        assert_eq!(SoftRun::parse("5 over 14d"), Ok(SoftRun { count: 5, over: 14 * day }));
        for wrong in ["", "5", "5 per 14d", "1 over 14d", "101 over 1d", "-2 over 14d", "5 over", "5 over 14x"] {
            assert!(SoftRun::parse(wrong).is_err(), "{wrong}");
        }
    }
}
