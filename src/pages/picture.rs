//! `/i/`: the pictures of campaigns that link them. Whoever looks at one is not recorded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};

use super::Inner;
use crate::domain::media::media_type;
use crate::store::{Result, versions};
use crate::web::{Answer, not_found};

/// Octets of pictures that are kept at hand.
const KEPT: usize = 32 * 1_024 * 1_024;
/// The name tells the content, which never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// An SVG that is opened by itself may not act.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
const FROM_ELSEWHERE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A picture as it is answered.
#[derive(Clone)]
struct Picture {
    id: String,
    media: &'static str,
    body: Bytes,
}

/// The pictures that were asked for last.
#[derive(Default)]
pub(super) struct Gallery {
    /// The newest in front.
    kept: Mutex<VecDeque<Picture>>,
    /// One at a time is fetched from the database.
    fetching: tokio::sync::Mutex<()>,
}

impl Gallery {
    fn find(&self, id: &str) -> Option<Picture> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|picture| picture.id == id).cloned()
    }

    fn keep(&self, picture: Picture) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front(picture);
        while kept.len() > 1 && kept.iter().map(|picture| picture.body.len()).sum::<usize>() > KEPT {
            kept.pop_back();
        }
    }
}

impl Inner {
    /// The picture of a name such as `0123….png`, if any version has it.
    pub(super) async fn picture(&self, name: &str) -> Result<Answer> {
        let id = name.split('.').next().unwrap_or_default();
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(not_found());
        }
        if let Some(picture) = self.gallery.find(id) {
            return Ok(shown(picture));
        }
        let _fetching = self.gallery.fetching.lock().await;
        // Whoever waited for the same one finds it.
        if let Some(picture) = self.gallery.find(id) {
            return Ok(shown(picture));
        }
        let Some((path, encoded)) = versions::picture(&mut self.store.read().await?, id).await? else {
            return Ok(not_found());
        };
        let (Ok(body), Some(media)) = (STANDARD.decode(encoded.replace("\r\n", "")), media_type(&path)) else {
            return Ok(not_found());
        };
        let picture = Picture { id: id.to_owned(), media, body: body.into() };
        self.gallery.keep(picture.clone());
        Ok(shown(picture))
    }
}

fn shown(picture: Picture) -> Answer {
    let mut answer = Response::new(Full::from(picture.body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(picture.media));
    headers.insert(CACHE_CONTROL, FOR_EVER);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(FROM_ELSEWHERE, HeaderValue::from_static("cross-origin"));
    answer
}
