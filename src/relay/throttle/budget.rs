//! What may be handed over today while a relay warms up: slices that were drawn from the day's amount
//! in the database, where all nodes draw.

use std::collections::HashMap;

use super::pass::Hold;
use crate::domain::time::Micros;
use crate::domain::warm_up::{Day, WarmUp};

/// All domains together; no domain is called so.
pub(super) const ALL: &str = "";

/// A day's amount is drawn in about so many slices,
const SLICES: u32 = 50;
/// none of which is larger than this.
const LARGEST: u32 = 500;

/// A slice that is wanted, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Of which relay.
    pub relay: String,
    /// Of which domain; none: of the relay in all.
    pub domain: Option<String>,
    /// Messages.
    pub messages: u32,
}

/// The amounts of one relay.
#[derive(Debug)]
pub(super) struct Budgets {
    pub config: WarmUp,
    day: Option<Day>,
    by_key: HashMap<String, Budget>,
}

#[derive(Debug, Default)]
struct Budget {
    left: u32,
    /// A slice is on its way.
    wanted: bool,
    /// Nothing more is to be drawn today.
    spent: bool,
}

impl Budgets {
    /// Nothing is handed over before [`Self::begin`] has told the day.
    pub(super) fn new(config: WarmUp) -> Self {
        Self { config, day: None, by_key: HashMap::new() }
    }

    /// The number of the day.
    pub(super) fn number(&self) -> Option<i64> {
        self.day.map(|day| day.number)
    }

    /// Begins a day; what is left of the one before is void. Tells whether it was another day.
    pub(super) fn begin(&mut self, day: Day) -> bool {
        let other = self.day != Some(day);
        if other {
            self.day = Some(day);
            self.by_key.clear();
        }
        other
    }

    /// What limits messages to a domain today: the relay's amount, the domain's, both or neither.
    fn limited<'k>(&self, number: i64, key: &'k str) -> impl Iterator<Item = &'k str> + use<'k> {
        [(ALL, None), (key, Some(key))]
            .map(|(name, domain)| self.config.allowed(domain, number).map(|_| name))
            .into_iter()
            .flatten()
    }

    /// Whether a message to a domain may pass; else what is wanted for it is noted.
    pub(super) fn ask(&mut self, key: &str) -> Result<(), Hold> {
        let Some(Day { number, .. }) = self.day else { return Err(Hold::Freed) };
        let mut hold = Ok(());
        for name in self.limited(number, key) {
            let budget = self.by_key.entry(name.to_owned()).or_default();
            if budget.left == 0 && budget.spent {
                return Err(Hold::Spent);
            }
            if budget.left == 0 {
                budget.wanted = true;
                hold = Err(Hold::Freed);
            }
        }
        hold
    }

    /// Takes one message's part; follows an [`Self::ask`] that was granted.
    pub(super) fn take(&mut self, key: &str) {
        self.each(key, |budget| budget.left = budget.left.saturating_sub(1));
    }

    /// Takes one message's part back.
    pub(super) fn give_back(&mut self, key: &str) {
        self.each(key, |budget| budget.left = budget.left.saturating_add(1));
    }

    fn each(&mut self, key: &str, change: impl Fn(&mut Budget)) {
        let Some(number) = self.number() else { return };
        for name in self.limited(number, key) {
            change(self.by_key.entry(name.to_owned()).or_default());
        }
    }

    /// Until when nothing more goes to a domain, or to any.
    pub(super) fn spent_until(&self, key: Option<&str>) -> Option<Micros> {
        let spent = |name: &str| self.by_key.get(name).is_some_and(|budget| budget.spent && budget.left == 0);
        (spent(ALL) || key.is_some_and(spent)).then(|| self.day.map(|day| day.ends))?
    }

    /// The slices that are wanted. Each is small beside the day's amount, so that a node that dies
    /// takes little with it.
    pub(super) fn wanted(&self, relay: &str) -> Vec<Slice> {
        let Some(number) = self.number() else { return Vec::new() };
        let wanted = self.by_key.iter().filter(|(_, budget)| budget.wanted);
        let slice = |key: &String| {
            let domain = (key != ALL).then(|| key.clone());
            let messages = self.config.allowed(domain.as_deref(), number)?.div_ceil(SLICES).min(LARGEST);
            Some(Slice { relay: relay.to_owned(), domain, messages })
        };
        let mut slices: Vec<_> = wanted.filter_map(|(key, _)| slice(key)).collect();
        // All nodes lock the rows in one order.
        slices.sort_unstable_by(|a, b| a.domain.cmp(&b.domain));
        slices
    }

    /// Takes a slice that was drawn on this day; an empty one says that the day's amount is used up.
    /// One of another day is void.
    pub(super) fn grant(&mut self, number: i64, key: &str, messages: u32) {
        if self.number() == Some(number) {
            let budget = self.by_key.entry(key.to_owned()).or_default();
            budget.left = budget.left.saturating_add(messages);
            (budget.wanted, budget.spent) = (false, messages == 0);
        }
    }

    /// What is left of all slices, which is then used up here.
    pub(super) fn take_unused(&mut self, relay: &str) -> Vec<(Day, Slice)> {
        let Some(day) = self.day else { return Vec::new() };
        let left = self.by_key.drain().filter(|(_, budget)| budget.left > 0);
        let slice = |(key, budget): (String, Budget)| {
            let domain = (key != ALL).then_some(key);
            (day, Slice { relay: relay.to_owned(), domain, messages: budget.left })
        };
        left.map(slice).collect()
    }
}
