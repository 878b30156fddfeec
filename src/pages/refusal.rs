//! What pages say when they do not do what was asked: small pages in the reader's language, too.

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;

use super::body::Unread;
use super::html::{Html, View};
use crate::domain::wording::Wording;
use crate::web::Answer;

const RETRY_SECONDS: u16 = 30;

impl Html {
    /// Nothing is here; the same for a path that is nothing and for a token that is forged, cut or foreign.
    pub(super) fn nowhere(&self, t: &Wording) -> Answer {
        self.refusal(t, StatusCode::NOT_FOUND, ("nowhere_title", "nowhere"))
    }

    /// A form that could not be read.
    pub(super) fn unread(&self, t: &Wording, unread: Unread) -> Answer {
        let sentence = match unread {
            Unread::TooLarge => "unread_large",
            Unread::Broken => "unread_broken",
            Unread::TooSlow => "unread_slow",
        };
        self.refusal(t, unread.status(), ("unread_title", sentence))
    }

    /// A network that asks too often.
    pub(super) fn too_many(&self, t: &Wording, seconds: u16) -> Answer {
        let refusal = self.refusal(t, StatusCode::TOO_MANY_REQUESTS, ("join_too_many_title", "join_too_many"));
        come_again(refusal, seconds)
    }

    /// The database is away.
    pub(super) fn away(&self, t: &Wording) -> Answer {
        come_again(self.refusal(t, StatusCode::SERVICE_UNAVAILABLE, ("away_title", "away")), RETRY_SECONDS)
    }

    fn refusal(&self, t: &Wording, status: StatusCode, (title, sentence): (&str, &str)) -> Answer {
        let mut answer = self.answer(t, &View::notice(t.say(title), t.say(sentence)));
        *answer.status_mut() = status;
        answer
    }
}

fn come_again(mut answer: Answer, seconds: u16) -> Answer {
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    answer
}
