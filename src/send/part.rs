//! A part of a run's audience: whom it finds, how far it was claimed, and when its messages may leave.

use std::collections::VecDeque;
use std::time::Duration;

use super::prepared::Times;
use crate::domain::hours::{Closed, Hours};
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;
use crate::store::audience::Zones;
use crate::store::runs::{Run, Wait};
use crate::store::waves::StoredWave;

/// A part of a run's audience: all of it, or a wave.
pub(super) struct Part {
    /// The wave's number; 0 for all of the audience.
    pub wave: i64,
    /// The instant at which it is judged; of a wave nothing leaves before.
    pub at: Micros,
    /// Everybody up to here has been dealt with.
    pub cursor: RecipientId,
    /// Whether that is everybody.
    pub claimed_all: bool,
    /// When it was found to be too late to begin it.
    pub expired: Option<Micros>,
    /// In which zones its people are.
    pub zones: Option<Zones>,
    /// From this instant on it is too late.
    pub until: Option<Micros>,
    pub ahead: Ahead,
    /// When messages may leave.
    hours: Hours,
    /// After this instant it does not begin any more.
    latest: Option<Micros>,
}

/// What was looked up of the audience and not yet claimed.
#[derive(Default)]
pub(super) struct Ahead {
    pub people: VecDeque<RecipientId>,
    /// Nobody follows `people`.
    pub last: bool,
    pub looked: bool,
}

impl Part {
    /// All parts of a run.
    pub fn all_of(run: &Run, times: &Times, waves: &[StoredWave]) -> Vec<Self> {
        if waves.is_empty() {
            return vec![Self::whole(run, times)];
        }
        let names = |others: &dyn Fn(&StoredWave) -> bool| {
            waves
                .iter()
                .filter(|wave| others(wave))
                .flat_map(|wave| wave.wave.zones.iter().cloned())
                .collect::<Vec<_>>()
        };
        let part = |stored: &StoredWave| {
            let StoredWave { number, wave, cursor, claimed_all, expired } = stored;
            let zones = if wave.others {
                Zones::Except(names(&|other| other.number != *number))
            } else {
                Zones::Among(wave.zones.clone())
            };
            let span = times.latest_start.filter(|_| is_scheduled(run));
            Self {
                wave: *number,
                cursor: *cursor,
                claimed_all: *claimed_all,
                expired: *expired,
                zones: Some(zones),
                latest: latest(run, Some(wave.due), span),
                ..Self::new(times, wave.due, wave.zones.first().map_or("", String::as_str))
            }
        };
        waves.iter().map(part).collect()
    }

    /// All of a run's audience.
    pub fn whole(run: &Run, times: &Times) -> Self {
        // The number of a run by hand is no instant.
        let due = Micros::parse_rfc3339(&run.occasion).ok();
        Self {
            cursor: run.cursor,
            claimed_all: run.claimed_all,
            latest: latest(run, due, times.latest_start),
            ..Self::new(times, run.at, &times.timing.fallback)
        }
    }

    fn new(times: &Times, at: Micros, zone: &str) -> Self {
        Self {
            wave: 0,
            at,
            cursor: RecipientId(0),
            claimed_all: false,
            expired: None,
            zones: None,
            until: times.timing.valid_for.map(|span| at.plus(span)),
            ahead: Ahead::default(),
            hours: times.timing.hours(zone),
            latest: None,
        }
    }

    /// Whether it is too late for what has not left.
    pub fn is_late(&self, now: Micros) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Why nothing may leave at this instant, and from when on it may. At `any_hour` the clocks do not matter.
    pub fn waits(&self, now: Micros, any_hour: bool) -> Option<Wait> {
        let opens = |at| if any_hour { Some(at) } else { self.hours.opens(at) };
        let never = Micros(i64::MAX);
        if self.is_late(now) {
            None
        } else if self.wave != 0 && now < self.at {
            Some(Wait { reason: Closed::Wave, until: opens(self.at).unwrap_or(never) })
        } else {
            let reason = self.hours.closed(now).filter(|_| !any_hour)?;
            Some(Wait { reason, until: opens(now).unwrap_or(never) })
        }
    }

    /// Why it has not begun and cannot any more, if that is so; `wait` is what it waits for.
    pub fn missed(&self, now: Micros, wait: Option<Wait>) -> Option<String> {
        let begun = self.cursor != RecipientId(0) || self.claimed_all;
        if begun { None } else { self.over(now, wait) }
    }

    /// Whether it expired by a clock that was ahead, and may begin by the present one.
    pub fn opens_again(&self, now: Micros, any_hour: bool) -> bool {
        self.expired.is_some_and(|at| at > now) && self.may_begin(now, any_hour)
    }

    /// Whether it may begin by now.
    pub fn may_begin(&self, now: Micros, any_hour: bool) -> bool {
        self.over(now, self.waits(now, any_hour)).is_none()
    }

    /// Why its time is over for what has not begun.
    fn over(&self, now: Micros, wait: Option<Wait>) -> Option<String> {
        if let Some(until) = self.until.filter(|_| self.is_late(now)) {
            return Some(format!("nothing had left by {until}, when its time was over"));
        }
        let latest = self.latest?;
        match wait {
            _ if now > latest => Some(format!("it had not begun by {latest}, its latest start")),
            Some(wait) if wait.until > latest => {
                Some(format!("{} until {}, after its latest start {latest}", wait.reason.in_words(), wait.until))
            }
            _ => None,
        }
    }

    /// Takes over how far another node has come.
    pub fn follow(&mut self, cursor: RecipientId, claimed_all: bool) {
        if cursor != self.cursor {
            self.ahead = Ahead::default();
        }
        self.cursor = cursor;
        self.claimed_all = claimed_all;
    }

    /// Takes over what stands in the database by now.
    pub fn refresh(&mut self, fresh: Self) {
        let kept = std::mem::take(&mut self.ahead);
        let ahead = if fresh.cursor == self.cursor { kept } else { Ahead::default() };
        *self = Self { ahead, ..fresh };
    }
}

/// Whether the service made the run; one by hand has a number instead of an instant, and one that sends
/// again says what.
fn is_scheduled(run: &Run) -> bool {
    run.resend.is_none() && run.occasion.parse::<u64>().is_err()
}

/// When a part that is due then begins at the latest. A person who resumes the run gives it the same time anew.
fn latest(run: &Run, due: Option<Micros>, span: Option<Duration>) -> Option<Micros> {
    let due = due.map(|due| run.resumed_at.map_or(due, |resumed| resumed.max(due)));
    due.zip(span).map(|(due, span)| due.plus(span))
}
