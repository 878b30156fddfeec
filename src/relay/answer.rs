//! One answer of a server, out of what lettre makes of it.

use std::error::Error as _;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Response;

use crate::domain::outcome::{Reply, clean};

/// No answer came, or one that cannot be read; the connection is lost either way.
#[derive(Debug)]
pub(super) struct Lost {
    /// What happened.
    pub(super) words: String,
}

/// Waits for an answer. Any reply that is well-formed is one, whatever its code.
pub(super) async fn within(
    limit: Duration,
    answer: impl Future<Output = Result<Response, Error>>,
) -> Result<Reply, Lost> {
    match tokio::time::timeout(limit, answer).await {
        Ok(result) => read(result),
        Err(_) => Err(too_late(limit)),
    }
}

/// The loss of a server that did not answer in time.
pub(super) fn too_late(limit: Duration) -> Lost {
    Lost { words: format!("no answer within {limit:?}") }
}

/// What lettre found: it gives negative replies as errors that carry a status.
pub(super) fn read(result: Result<Response, Error>) -> Result<Reply, Lost> {
    match result {
        Ok(response) => {
            let words: Vec<&str> = response.message().collect();
            Ok(Reply::new(response.code().into(), &words.join(" ")))
        }
        Err(error) => match error.status() {
            Some(code) => Ok(Reply::new(code.into(), &error.source().map(ToString::to_string).unwrap_or_default())),
            None if error.is_response() => Err(Lost { words: "the answer is cut off or is not SMTP".into() }),
            None => Err(Lost { words: clean(&error.to_string()) }),
        },
    }
}
