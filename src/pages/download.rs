//! A copy of everything that is stored about a person, at once.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Inner, Outcome, Visit};
use crate::domain::handout;
use crate::domain::time::Micros;
use crate::store::person;
use crate::web::not_found;

/// Copies that are in memory at once, until their readers have taken them.
pub(super) const AT_ONCE: usize = 8;
/// How long somebody waits for others to do so.
const PATIENCE: Duration = Duration::from_secs(5);
const CSV: &str = "data.csv";
/// What can be downloaded, behind the page's own path.
const FILES: [(&str, &str); 2] = [(CSV, "text/csv; charset=utf-8"), ("data.json", "application/json")];

/// A copy that keeps its place until it was sent, or its reader has gone.
struct Copy {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Copy {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Inner {
    pub(super) async fn download(&self, visit: &Visit<'_>, name: &str) -> Outcome {
        let Some((_, kind)) = FILES.into_iter().find(|(known, _)| *known == name) else { return Ok(not_found()) };
        let Some(person) = self.addressee(&visit.token).await? else { return Ok(self.link_is_stale(visit)) };
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.copies).acquire_owned());
        let Ok(Ok(permit)) = turn.await else { return Ok(self.html.away(visit.texts)) };
        let rules = (&self.options.score, &self.options.cluster);
        let mut session = self.store.read().await?;
        let known = person::of(&mut session, rules, person, self.clock.now(), Micros(i64::MAX)).await?;
        drop(session);
        let json = serde_json::to_value(&known).unwrap_or_default();
        let bytes = if name == CSV { handout::csv(&json) } else { format!("{json:#}\n").into_bytes() };
        let mut answer = Response::new(Full::from(Bytes::from_owner(Copy { bytes, _permit: permit })));
        let headers = [
            (CONTENT_TYPE, kind),
            (CONTENT_DISPOSITION, "attachment"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        answer.headers_mut().extend(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
        Ok(answer)
    }
}
