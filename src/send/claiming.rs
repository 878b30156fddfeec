//! Claims from a run: what is due, and the next of its audience; and closes one whose time is over.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::info;

use super::driver::Driver;
use super::job::Job;
use super::part::{Ahead, Part};
use crate::domain::time::Micros;
use crate::store::claims::{self, Claim, Claimant, Claimed, Next, Over};
use crate::store::{Result, audience, profiles, runs};

/// People of the audience that are looked up at once; the first look is short, so that the first
/// message leaves at once.
const FIRST_PAGE: u32 = 500;
const PAGE: u32 = 5_000;

/// Messages that one transaction claims at most.
pub(super) const CLAIM: usize = 500;

impl Driver<'_> {
    fn claimant(&self, part: usize, now: Micros) -> Claimant<'_> {
        Claimant {
            run: self.run.id,
            node: self.sender.node,
            topic: &self.run.topic,
            cap: self.sender.limits().frequency_cap,
            now,
            wave: self.parts[part].wave,
            until: self.parts[part].until,
        }
    }

    /// Claims what is due of a part, and the next of its audience as far as there is room.
    pub(super) async fn claim(&mut self, part: usize, free: usize, now: Micros) -> Result<Claim> {
        let Part { wave, at, cursor, claimed_all, ref ahead, ref zones, .. } = self.parts[part];
        if ahead.people.is_empty() && !ahead.last && !claimed_all {
            let limit = if ahead.looked { PAGE } else { FIRST_PAGE };
            let mut reader = self.sender.store.read().await?;
            let scale = self.prepared.scale(&mut reader).await?;
            let audience = self.prepared.audience(&scale, at, zones.as_ref());
            let page = audience::page(&mut reader, &audience, cursor, limit).await?;
            self.prepared.still(&mut reader, scale).await?;
            self.parts[part].ahead = Ahead { last: page.len() < limit as usize, people: page.into(), looked: true };
        }
        // A run that only waits for what was deferred leaves the writer to others.
        if claimed_all {
            let mut reader = self.sender.store.read().await?;
            let asked = if self.parts[part].is_late(now) { Micros(i64::MAX) } else { now };
            if let Some(found) = claims::nothing_due(&mut reader, self.run.id, wave, asked).await? {
                return Ok(found);
            }
        }
        let mut tx = self.sender.store.write().await?;
        let mut claimed = match claims::take_due(&mut tx, self.claimant(part, now), free).await? {
            Claim::Taken(claimed) => claimed,
            other => {
                tx.rollback().await?;
                return Ok(other);
            }
        };
        let room = free - claimed.len();
        if claimed_all || room == 0 {
            tx.commit().await?;
            return Ok(Claim::Taken(claimed));
        }
        // One slice: it was a list, and is taken from at its beginning.
        let (all, _) = self.parts[part].ahead.people.as_slices();
        let people = &all[..all.len().min(CLAIM)];
        let last = self.parts[part].ahead.last && people.len() == all.len();
        let next = Next { cursor, people, last, room };
        let (claim, cursor) = claims::take_next(&mut tx, self.claimant(part, now), next).await?;
        let Claim::Taken(next) = claim else {
            tx.rollback().await?;
            return Ok(claim);
        };
        tx.commit().await?;
        claimed.extend(next);
        let part = &mut self.parts[part];
        let Ahead { people, last, .. } = &mut part.ahead;
        people.drain(..people.partition_point(|id| *id <= cursor));
        part.claimed_all = *last && people.is_empty();
        part.cursor = cursor;
        Ok(Claim::Taken(claimed))
    }

    /// Closes a part: skips what has not left, and counts whom nobody has looked at.
    pub(super) async fn close(&mut self, part: usize, over: Over, now: Micros) -> Result<()> {
        let Part { wave, at, cursor, claimed_all, ref zones, .. } = self.parts[part];
        let rest = if claimed_all {
            0
        } else {
            let mut reader = self.sender.store.read().await?;
            let scale = self.prepared.scale(&mut reader).await?;
            let audience = self.prepared.audience(&scale, at, zones.as_ref());
            let rest = audience::count_after(&mut reader, &audience, cursor).await?;
            self.prepared.still(&mut reader, scale).await?;
            rest
        };
        let mut tx = self.sender.store.write().await?;
        let closed = claims::close(&mut tx, self.claimant(part, now), cursor, claimed_all, rest, over).await?;
        tx.commit().await?;
        if closed {
            let why = over.as_str();
            info!(run = %self.run.id, campaign = self.run.campaign, wave, rest, why, "what has not left stays");
            self.parts[part].claimed_all = true;
            self.parts[part].expired = (over == Over::Expired).then_some(now);
            return Ok(());
        }
        self.look_again().await
    }

    /// Of the audience at the last wave's instant, those without a message whom no other reason counts; of a run without
    /// waves nobody.
    pub(super) async fn missed(&self) -> Result<i64> {
        let Some(last) = self.parts.iter().filter(|part| part.wave != 0).map(|part| part.at).max() else {
            return Ok(0);
        };
        let mut reader = self.sender.store.read().await?;
        let scale = self.prepared.scale(&mut reader).await?;
        let audience = self.prepared.audience(&scale, last, None);
        let without = audience::count_without_message(&mut reader, &audience, self.run.id).await?;
        let counted: i64 = runs::exclusions(&mut reader, self.run.id).await?.iter().map(|(_, people)| people).sum();
        self.prepared.still(&mut reader, scale).await?;
        Ok((without - counted).max(0))
    }

    /// Hands claimed messages to the relays' lanes.
    pub(super) async fn line_up(&self, part: usize, claimed: Vec<Claimed>) -> Result<()> {
        let people: Vec<_> = claimed.iter().map(|m| m.recipient).collect();
        let affinities = self.prepared.affinities;
        let found = async {
            let mut reader = self.sender.store.read().await?;
            let scale = self.prepared.scale(&mut reader).await?;
            let found = profiles::profiles_at(&mut reader, &people, self.parts[part].at, &scale, affinities).await?;
            self.prepared.still(&mut reader, scale).await?;
            Ok(found)
        };
        let profiles = match found.await {
            Ok(profiles) => profiles,
            Err(error) => {
                for message in claimed {
                    self.sender.release(self.run.id, message.recipient).await;
                }
                return Err(error);
            }
        };
        let mut profiles: HashMap<_, _> = profiles.into_iter().map(|p| (p.recipient, p)).collect();
        for message in claimed {
            let Some(profile) = profiles.remove(&message.recipient) else {
                // Erased between the claim and here.
                self.sender.skip(self.run.id, message.recipient, "no_consent").await;
                continue;
            };
            let job = Job::new(Arc::clone(&self.prepared.context), profile, message.attempts, message.first_at);
            self.sender.dispatch(job).await;
        }
        Ok(())
    }
}
