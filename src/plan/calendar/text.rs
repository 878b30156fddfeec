//! A calendar for a person at a terminal.

use std::fmt::{self, Display, Formatter};

use jiff::civil::Date;

use super::{Coming, Entry};
use crate::domain::campaign::RECIPIENT_ZONE;

impl Display for Coming {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut days: Vec<Date> = self.occasions.iter().map(|entry| entry.local.date()).collect();
        days.extend(&self.blackout);
        days.sort_unstable();
        days.dedup();
        if days.is_empty() {
            return write!(f, "nothing is scheduled before {}", self.until);
        }
        for day in days {
            let closed = if self.blackout.contains(&day) { ", a day without mail" } else { "" };
            writeln!(f, "{}{closed}", day.strftime("%a %Y-%m-%d"))?;
            self.occasions.iter().filter(|entry| entry.local.date() == day).try_for_each(|entry| entry.fmt(f))?;
        }
        Ok(())
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let zone = if self.zone == RECIPIENT_ZONE { "each recipient's clocks" } else { &self.zone };
        let time = self.local.strftime("%H:%M");
        write!(f, "  {time}  {} ({}), about {} messages, {zone}", self.campaign, self.topic, self.expected)?;
        if let Some(window) = &self.window {
            write!(f, ", window {window}")?;
        }
        if let Some(run) = self.run {
            write!(f, ", {run}")?;
        }
        writeln!(f)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "         {note}"))
    }
}
