//! Occasions that come too close to each other.

use super::Entry;
use crate::domain::rate::Rate;

/// Adds a note to each occasion that meets another of its topic on one day, or with which more mailings have come than
/// the cap allows for whoever is in all of them.
pub(super) fn note(occasions: &mut [Entry], cap: Option<Rate>) {
    for this in 0..occasions.len() {
        let entry = &occasions[this];
        let others = || occasions[..this].iter().filter(|other| !expires(other));
        let same_day =
            others().rev().take_while(|other| entry.at.since(other.at).as_secs() < 2 * 86_400).find(|other| {
                other.topic == entry.topic
                    && other.campaign != entry.campaign
                    && other.local.date() == entry.local.date()
            });
        let mut notes = Vec::new();
        if expires(entry) {
            continue;
        }
        if let Some(other) = same_day {
            notes.push(format!(
                "{} is on the topic {} on the same day, at {}",
                other.campaign,
                entry.topic,
                other.local.strftime("%H:%M")
            ));
        }
        if let Some(Rate { count, per }) = cap {
            let before = others().rev().take_while(|other| entry.at.since(other.at) < per).count();
            if before >= count as usize {
                notes.push(format!(
                    "{before} mailings in the {} days before: whoever got {count} of them is left out by the frequency cap",
                    per.as_secs().div_ceil(86_400)
                ));
            }
        }
        occasions[this].notes.extend(notes);
    }
}

fn expires(entry: &Entry) -> bool {
    entry.starts_at.is_none()
}
