//! Reads what a client sends, of bounded size and in bounded time.

use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};

/// Most octets of a body.
const MOST: usize = 16 * 1024;
/// How long a client may take to send one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a body was not taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unread {
    TooLarge,
    Broken,
    TooSlow,
}

impl Unread {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

pub(super) async fn read(body: Incoming) -> Result<Bytes, Unread> {
    match tokio::time::timeout(PATIENCE, Limited::new(body, MOST).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::TooSlow),
    }
}
