//! Sends notices: they go through the lanes of the relays like messages, ahead of all of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::job::Job;
use super::{RunContext, Sender};
use crate::clock::Spell;
use crate::config::{self, ProjectFiles};
use crate::domain::id::{RecipientId, RunId, VersionId};
use crate::domain::notice::NoticeKind;
use crate::domain::profile::Profile;
use crate::render::{Mailing, Notices};
use crate::store::notices::{self, ClaimedNotice, Stamp};
use crate::store::{Result, Session, joins, versions};

/// How often it is looked whether one is due. Somebody waits for it; true time, also beside a fast clock.
const LOOK: Duration = Duration::from_millis(500);

/// Most that are held at once; more would become stale in the lanes of slow relays.
const IN_HAND: usize = 64;

/// Seconds of work that are claimed at most.
const AHEAD: f64 = 5.0;

/// Notices whose fate is settled are kept so long.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// How often those that are older are forgotten, and requests to join whose time has passed.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// The notices of the version that governs. By kind: what all of a kind share.
struct Current {
    version: VersionId,
    contexts: HashMap<NoticeKind, Arc<RunContext>>,
    /// Those of versions before, while something of theirs is in hand.
    older: Vec<Arc<RunContext>>,
}

impl Current {
    fn into_contexts(self) -> impl Iterator<Item = Arc<RunContext>> {
        self.contexts.into_values().chain(self.older)
    }

    fn in_hand(&self) -> usize {
        self.contexts.values().chain(&self.older).map(|context| context.in_hand()).sum()
    }
}

impl Sender {
    /// Sends notices until the soft stop.
    pub(super) async fn send_notices(&self) {
        let mut current = None;
        let mut swept = None;
        let mut spell = Spell::default();
        while !self.soft.is_cancelled() {
            let round = self.notices_round(&mut current).await;
            match &round {
                Ok(_) if spell.ended() => info!("notices go on"),
                Err(error) if spell.failed() => warn!(%error, "notices wait"),
                _ => {}
            }
            if matches!(round, Ok(true)) {
                continue;
            }
            if swept.is_none_or(|at: tokio::time::Instant| at.elapsed() >= SWEEP) {
                swept = Some(tokio::time::Instant::now());
                if let Err(error) = self.forget_notices().await {
                    warn!(%error, "old notices and requests could not be forgotten");
                }
            }
            if self.stops_within(LOOK).await {
                return;
            }
        }
    }

    /// Claims what is due and hands it to the lanes. Whether there may be more at once.
    async fn notices_round(&self, current: &mut Option<Current>) -> Result<bool> {
        let mut reader = self.store.read().await?;
        let none_in_hand = current.as_ref().is_none_or(|current| current.in_hand() == 0);
        if none_in_hand && notices::holds_any(&mut reader, self.node).await? {
            self.release_stray_notices(&mut reader).await?;
        }
        if !notices::any_due(&mut reader, self.clock.now()).await? {
            return Ok(false);
        }
        drop(reader);
        self.refresh_notices(current).await?;
        let Some(current) = current else { return Ok(false) };
        if !matches!(self.lanes.any_up(&self.throttle), Ok(true)) {
            return Ok(false);
        }
        let ahead = (self.lanes.per_second(&self.throttle) * AHEAD).clamp(1.0, IN_HAND as f64) as usize;
        let room = ahead.saturating_sub(current.in_hand());
        if room == 0 {
            return Ok(false);
        }
        let stamp = |notice: &ClaimedNotice| {
            let mailing = &current.contexts.get(&notice.kind)?.mailing;
            let message_id = mailing.notice_id(notice.id, &self.keyring);
            Some(Stamp { message_id, template: mailing.template_hash(&notice.language) })
        };
        let mut tx = self.store.write().await?;
        let claim = notices::claim(&mut tx, self.node, self.clock.now(), room, stamp).await?;
        tx.commit().await?;
        if claim.expired > 0 {
            warn!(notices = claim.expired, "given up: not handed over in their time");
        }
        let taken = claim.taken.len();
        for notice in claim.taken {
            if let Some(context) = current.contexts.get(&notice.kind) {
                self.dispatch(job(context, notice)).await;
            }
        }
        Ok(taken == room)
    }

    /// Compiles the notices of the version that governs, unless that was done.
    async fn refresh_notices(&self, current: &mut Option<Current>) -> Result<()> {
        let mut reader = self.store.read().await?;
        let Some(version) = versions::governing(&mut reader).await? else { return Ok(()) };
        if current.as_ref().is_some_and(|current| current.version == version) {
            return Ok(());
        }
        let files = versions::files(&mut reader, version).await?;
        drop(reader);
        let notices =
            config::load(&ProjectFiles::Frozen(files.clone())).map_err(|p| p.to_string()).and_then(|loaded| {
                let problems = |found: Vec<_>| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                Notices::compile(&loaded.project, &files).map_err(problems)
            });
        match notices {
            Ok(notices) => {
                let mut older: Vec<_> = current.take().into_iter().flat_map(Current::into_contexts).collect();
                older.retain(|context| context.in_hand() > 0);
                let at = self.clock.now();
                let context = |(kind, mailing): (NoticeKind, Mailing)| {
                    let name = format!("notices/{}", kind.as_str());
                    (kind, Arc::new(RunContext::new(RunId::NOTICES, name, String::new(), at, None, mailing)))
                };
                *current = Some(Current { version, contexts: notices.into_each().map(context).collect(), older });
            }
            Err(problems) => error!(%version, problems, "the notices of this version cannot be written"),
        }
        Ok(())
    }

    /// Releases what the database calls ours and nobody has in hand, once all that was answered is written down.
    async fn release_stray_notices(&self, reader: &mut Session) -> Result<()> {
        self.ledger.flush().await;
        if !notices::holds_any(reader, self.node).await? {
            return Ok(());
        }
        let mut tx = self.store.write().await?;
        let lost = "the sender lost track of it";
        let (released, unknown) = notices::release(&mut tx, self.node, lost, self.clock.now()).await?;
        tx.commit().await?;
        warn!(released, unknown, "stray notices released");
        Ok(())
    }

    async fn forget_notices(&self) -> Result<()> {
        let mut tx = self.store.write().await?;
        let now = self.clock.now();
        notices::forget(&mut tx, now.minus(KEPT), now).await?;
        joins::forget(&mut tx, now).await?;
        tx.commit().await
    }
}

/// A notice as the lanes carry it.
fn job(context: &Arc<RunContext>, notice: ClaimedNotice) -> Job {
    let mut attributes = notice.data;
    for name in notice.kind.variables() {
        attributes.entry(*name).or_insert_with(|| "".into());
    }
    attributes.insert("language".to_owned(), notice.language.into());
    let profile = Profile {
        recipient: RecipientId(notice.id.0),
        address: notice.address,
        attributes,
        revision: 0,
        score: 0.0,
        cluster: None,
        affinities: Vec::new(),
        tracking: false,
    };
    Job::new(Arc::clone(context), profile, notice.attempts, notice.first_at)
}
