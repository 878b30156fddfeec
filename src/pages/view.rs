//! `/v/`: the message in the browser, rendered as the run sent it, without tracking.
//!
//! A mail can be forwarded and its link with it, so nobody knows who looks: the page has no pixel and its links are
//! plain ones, whatever the person allowed. Pictures that the mail carries are answers of their own, `/v/TOKEN/ID`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use tokio::sync::{OnceCell, Semaphore};

use super::{Inner, Outcome, Visit, html};
use crate::config::{self, ProjectFiles};
use crate::domain::id::RunId;
use crate::domain::profile::Profile;
use crate::domain::score::Scale;
use crate::domain::token::Token;
use crate::render::{Envelope, Mailing, Scratch};
use crate::store::runs::Run;
use crate::store::{Error, Store, addresses, past, profiles, runs, score, versions};
use crate::web::{Answer, not_found};

/// Mail brings its own styles and pictures, and nothing that acts.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self' https: http: data:; style-src 'unsafe-inline'; form-action 'none'; \
     frame-ancestors 'none'; base-uri 'none'",
);
/// A drawing (SVG) that is opened by itself is a page, which must not act either.
const PICTURE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox");
/// Mailings that are compiled at once, however many runs are looked at.
static COMPILING: Semaphore = Semaphore::const_new(1);
/// Runs whose mailings are kept compiled, with at most 15 MB of pictures each.
const RUNS: usize = 4;

/// The mailings of the runs that were looked at last, the newest first.
#[derive(Default)]
pub(super) struct Shelf(Mutex<VecDeque<(RunId, Arc<OnceCell<Viewed>>)>>);

/// A run's compiled mailing.
struct Viewed {
    run: Run,
    mailing: Mailing,
    pictures: BTreeMap<String, Picture>,
    /// How sums are read before anything was scored.
    unscored: Scale,
}

/// A picture that the mail carries.
struct Picture {
    media: HeaderValue,
    octets: Bytes,
}

impl Shelf {
    /// The place of a run, emptied of the run that nobody has looked at for longest.
    fn place(&self, run: RunId) -> Arc<OnceCell<Viewed>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(id, _)| *id == run);
        let found = at.and_then(|at| kept.remove(at)).unwrap_or_else(|| (run, Arc::default()));
        let cell = Arc::clone(&found.1);
        kept.push_front(found);
        kept.truncate(RUNS);
        cell
    }

    /// Forgets a run that cannot be shown, so that it takes nobody's place.
    fn forget(&self, run: RunId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != run);
    }
}

impl Inner {
    /// The message of a token, or a picture in it, if its run and its recipient still exist.
    pub(super) async fn view(&self, visit: &Visit<'_>, picture: Option<&str>) -> Outcome {
        let (token, nowhere) = (&visit.token, || self.html.nowhere(visit.texts));
        let cell = self.shelf.place(token.run);
        // Whoever comes while it is being compiled waits for this run alone.
        let viewed = match cell.get_or_try_init(|| compile(&self.store, token.run)).await {
            Ok(viewed) => viewed,
            Err(hidden) => {
                self.shelf.forget(token.run);
                return match hidden {
                    Hidden::Gone => Ok(nowhere()),
                    Hidden::Away(error) => Err(error),
                };
            }
        };
        let Viewed { run, mailing, pictures, .. } = viewed;
        if let Some(id) = picture {
            return Ok(pictures.get(id).map_or_else(not_found, Picture::answer));
        }
        let Some(profile) = self.as_written_to(viewed, token).await? else { return Ok(nowhere()) };
        let envelope = Envelope { run: run.id, occasion: &run.occasion, at: run.at };
        let Ok(shown) = mailing.render_explained(&profile, &envelope, &self.keys, &mut Scratch::default()) else {
            return Ok(nowhere());
        };
        let path = format!("/v/{}", self.keys.sign(token));
        Ok(page(mailing.with_pictures_at(&shown.html, &path)))
    }

    /// The recipient as the message was written last, without tracking; `None` where that is not known any more.
    async fn as_written_to(&self, viewed: &Viewed, token: &Token) -> Result<Option<Profile>, Error> {
        let (run, recipient) = (&viewed.run, token.recipient);
        let mut session = self.store.read().await?;
        let sent = past::sent(&mut session, run.id, recipient).await?;
        let at = sent.and_then(|sent| sent.wave).unwrap_or(run.at);
        let scale = score::scale(&mut session).await?.unwrap_or(viewed.unscored);
        let found = profiles::profiles_at(&mut session, &[recipient], at, &scale, true).await?;
        let Some(mut profile) = found.into_iter().next() else { return Ok(None) };
        profile.tracking = false;
        // After the profile, so that attributes that change in between are found as present or as past ones.
        if let Some(revision) = sent.and_then(|sent| sent.revision).filter(|revision| *revision != profile.revision) {
            let Some(attributes) = past::attributes(&mut session, recipient, revision).await? else { return Ok(None) };
            profile.attributes = attributes;
        }
        // Whoever reads the old mailbox must not learn from an old mail where the person went, or what else is new.
        if let Some((was, moved)) = addresses::before_moving(&mut session, (run.id, recipient), run.at).await? {
            profile.address = was;
            if !sent.is_some_and(|sent| sent.is_over_by(moved)) {
                profile.attributes.clear();
            }
        }
        Ok(Some(profile))
    }
}

/// Why a run cannot be shown.
enum Hidden {
    /// There is no such run, or this program does not understand its files.
    Gone,
    /// The database is away.
    Away(Error),
}

impl From<Error> for Hidden {
    fn from(error: Error) -> Self {
        Self::Away(error)
    }
}

async fn compile(store: &Store, run: RunId) -> Result<Viewed, Hidden> {
    // Never closed.
    let _turn = COMPILING.acquire().await.ok();
    let mut session = store.read().await?;
    let run = runs::by_id(&mut session, run).await?.ok_or(Hidden::Gone)?;
    let files = versions::files(&mut session, run.version).await?;
    drop(session);
    // Styles are inlined and pictures decoded: work for a thread that answers nobody.
    let compiled = tokio::task::spawn_blocking(move || {
        let loaded = config::load(&ProjectFiles::Frozen(files.clone())).ok()?;
        let project = &loaded.project;
        let mailing = Mailing::compile(loaded.campaigns.get(&run.campaign)?, project, &files).ok()?;
        let unscored = Scale::of(&project.score, &project.cluster, run.at);
        let pictures = mailing.pictures().filter_map(Picture::new).collect();
        Some(Viewed { run, mailing, pictures, unscored })
    });
    compiled.await.ok().flatten().ok_or(Hidden::Gone)
}

impl Picture {
    fn new((id, media, octets): (&str, &str, Vec<u8>)) -> Option<(String, Self)> {
        let media = HeaderValue::from_str(media).ok()?;
        Some((id.to_owned(), Self { media, octets: octets.into() }))
    }

    /// It is the same for ever, as a run's files are.
    fn answer(&self) -> Answer {
        let cached = HeaderValue::from_static("private, max-age=86400, immutable");
        answer(self.octets.clone(), self.media.clone(), cached, PICTURE_POLICY)
    }
}

fn page(html: String) -> Answer {
    let media = HeaderValue::from_static("text/html; charset=utf-8");
    answer(html.into(), media, HeaderValue::from_static("no-store"), POLICY)
}

fn answer(body: Bytes, media: HeaderValue, cached: HeaderValue, policy: HeaderValue) -> Answer {
    let mut answer = Response::new(Full::new(body));
    let headers = answer.headers_mut();
    headers.extend(html::guards());
    headers.insert(CONTENT_TYPE, media);
    headers.insert(CACHE_CONTROL, cached);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    answer
}
