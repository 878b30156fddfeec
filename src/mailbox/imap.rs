//! IMAP (RFC 3501), as much as it takes to bring mails and to remove them: STARTTLS, LOGIN or AUTHENTICATE PLAIN, SELECT,
//! FETCH, and UIDPLUS (RFC 4315) or MOVE (RFC 6851), so that nothing is removed but what was taken.

mod answer;
mod session;

use tokio_util::sync::CancellationToken;

use self::session::Session;
use super::{Access, Looked, Sink, Trouble};
use crate::domain::mailbox::Then;

/// Mails that one command asks for; each is handed over as it comes.
const SOME: u32 = 100;

/// Hands every mail of the folder to the sink.
pub(super) async fn look(
    access: &Access,
    folder: &str,
    then: &Then,
    most: usize,
    stop: &CancellationToken,
    sink: &impl Sink,
) -> Result<Looked, Trouble> {
    let mut looked = Looked::default();
    let mut session = Session::open(access, folder, then, stop).await?;
    let (mut unreadable, mut some) = (0, SOME);
    while session.exists > unreadable {
        // Those that cannot be read stay, and are the first.
        let last = session.exists.min(unreadable.saturating_add(some));
        let (taken, all) = session.bring(unreadable + 1, last, most, sink).await?;
        looked.taken += taken.len() as u64;
        session.remove(&taken, then).await?;
        match all {
            true => {}
            // One of them cannot be read: which, is found one by one.
            false if some > 1 => some = 1,
            false => unreadable += 1,
        }
    }
    looked.unreadable = unreadable.into();
    session.part().await;
    Ok(looked)
}

/// Goes in and out.
pub(super) async fn knock(
    access: &Access,
    folder: &str,
    then: &Then,
    stop: &CancellationToken,
) -> Result<u64, Trouble> {
    let session = Session::open(access, folder, then, stop).await?;
    let there = session.exists;
    session.part().await;
    Ok(there.into())
}
