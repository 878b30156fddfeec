//! A copy of everything that is stored about a person, at once.

use http_body_util::Full;
use hyper::Response;
use hyper::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::{Inner, Outcome, Visit};
use crate::domain::handout;
use crate::domain::time::Micros;
use crate::store::person;
use crate::web::not_found;

/// Copies that are made at once.
pub(super) const AT_ONCE: usize = 4;
const CSV: &str = "data.csv";
/// What can be downloaded, behind the page's own path.
const FILES: [(&str, &str); 2] = [(CSV, "text/csv; charset=utf-8"), ("data.json", "application/json")];

impl Inner {
    pub(super) async fn download(&self, visit: &Visit<'_>, name: &str) -> Outcome {
        let Some((_, kind)) = FILES.into_iter().find(|(known, _)| *known == name) else { return Ok(not_found()) };
        let Some(person) = self.addressee(&visit.token).await? else { return Ok(self.link_is_stale(visit)) };
        // Never closed.
        let _permit = self.copies.acquire().await.ok();
        let rules = (&self.options.score, &self.options.cluster);
        let mut session = self.store.read().await?;
        let known = person::of(&mut session, rules, person, self.clock.now(), Micros(i64::MAX)).await?;
        drop(session);
        let json = serde_json::to_value(&known).unwrap_or_default();
        let bytes = if name == CSV { handout::csv(&json) } else { format!("{json:#}\n").into_bytes() };
        let mut answer = Response::new(Full::from(bytes));
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
