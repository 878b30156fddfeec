//! `/v/`: the message in the browser, rendered as the run sent it, without tracking.

use std::sync::Arc;

use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use hyper::{Response, StatusCode};

use super::{Inner, Outcome};
use crate::config::{self, ProjectFiles};
use crate::domain::id::RunId;
use crate::domain::score::Scale;
use crate::domain::token::Token;
use crate::render::{Envelope, Mailing, Scratch};
use crate::store::runs::Run;
use crate::store::{Result, profiles, runs, score, versions};
use crate::web::{Answer, not_found};

/// Mail brings its own styles and pictures, and nothing that acts.
const POLICY: &str = "default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; form-action 'none'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// A run's compiled mailing: the newest one that was looked at is kept.
pub(super) struct Viewed {
    run: Run,
    mailing: Mailing,
    /// How sums are read before anything was scored.
    unscored: Scale,
}

impl Inner {
    /// The message of a token, if its run and its recipient still exist.
    pub(super) async fn view(&self, token: &Token) -> Outcome {
        let Some(viewed) = self.viewed(token.run).await? else { return Ok(not_found()) };
        let mut session = self.store.read().await?;
        let Viewed { run, mailing, unscored } = &*viewed;
        let scale = score::scale(&mut session).await?.unwrap_or(*unscored);
        let found = profiles::profiles_at(&mut session, &[token.recipient], run.at, &scale, true).await?;
        drop(session);
        let Some(mut profile) = found.into_iter().next() else { return Ok(not_found()) };
        profile.tracking = false;
        let envelope = Envelope { run: run.id, occasion: &run.occasion, at: run.at };
        let shown = mailing.render_explained(&profile, &envelope, &self.keys, &mut Scratch::default());
        Ok(shown.map_or_else(|_| not_found(), |shown| page(viewed.mailing.in_browser(&shown.html))))
    }

    async fn viewed(&self, run: RunId) -> Result<Option<Arc<Viewed>>> {
        let mut kept = self.viewed.lock().await;
        if let Some(viewed) = kept.as_ref().filter(|viewed| viewed.run.id == run) {
            return Ok(Some(Arc::clone(viewed)));
        }
        let mut session = self.store.read().await?;
        let Some(run) = runs::by_id(&mut session, run).await? else { return Ok(None) };
        let files = versions::files(&mut session, run.version).await?;
        let Ok(loaded) = config::load(&ProjectFiles::Frozen(files.clone())) else { return Ok(None) };
        let project = &loaded.project;
        let Some(campaign) = loaded.campaigns.get(&run.campaign) else { return Ok(None) };
        let Ok(mailing) = Mailing::compile(campaign, project, &files) else { return Ok(None) };
        let unscored = Scale::of(&project.score, &project.cluster, run.at);
        let viewed = Arc::new(Viewed { run, mailing, unscored });
        *kept = Some(Arc::clone(&viewed));
        Ok(Some(viewed))
    }
}

fn page(html: String) -> Answer {
    let mut answer = Response::new(Full::from(html));
    *answer.status_mut() = StatusCode::OK;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}
