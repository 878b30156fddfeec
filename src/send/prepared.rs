//! A run with what its messages share.

use std::sync::Arc;

use super::RunContext;
use crate::domain::resend::Resend;
use crate::domain::score::Scale;
use crate::domain::segment::Condition;
use crate::store::audience::Audience;
use crate::store::{self, Session, score};

/// A run ready to be sent.
pub struct Prepared {
    /// What its messages share.
    pub context: Arc<RunContext>,
    pub(super) condition: Option<Condition>,
    /// How sums are read before anything was scored.
    pub(super) unscored: Scale,
    /// Whether the templates ask what a recipient cares about.
    pub(super) affinities: bool,
    /// What the run sends again, if it does.
    pub(super) resend: Option<Resend>,
    /// The share of rejections at which the run pauses itself, where the campaign has one of its own.
    pub(super) pause_at_rejections: Option<f64>,
}

impl Prepared {
    /// Whom the run's campaign finds at the run's instant, by sums of this scale.
    #[must_use]
    pub fn audience<'a>(&'a self, scale: &'a Scale) -> Audience<'a> {
        let at = self.context.at;
        Audience { condition: self.condition.as_ref(), at, joined_by: at, scale, resend: self.resend.as_ref() }
    }

    /// How sums are to be read now.
    pub(super) async fn scale(&self, session: &mut Session) -> store::Result<Scale> {
        Ok(score::scale(session).await?.unwrap_or(self.unscored))
    }

    /// Makes sure that what was read since [`Self::scale`] is of one scale.
    pub(super) async fn still(&self, session: &mut Session, scale: Scale) -> store::Result<()> {
        if self.scale(session).await? == scale { Ok(()) } else { Err(store::Error::Rebuilding) }
    }
}
