//! IMAP (RFC 3501), as much as it takes to bring mails and to remove them: STARTTLS, LOGIN or AUTHENTICATE PLAIN, SELECT,
//! FETCH, and UIDPLUS (RFC 4315) or MOVE (RFC 6851), so that nothing is removed but what was taken.

mod answer;
mod session;

use std::io;

use tokio_util::sync::CancellationToken;

use self::session::Session;
use super::{Access, Looked, Sink, Trouble};
use crate::domain::mailbox::Then;

/// Mails that one command asks for; each is handed over as it comes.
const SOME: u32 = 100;
/// Servers hang up over a mail that they cannot read. So often it is gone on behind one before all waits for the next look.
const LOSSES: u32 = 50;

/// How far a look has come.
struct Progress {
    /// Mails that cannot be read. They stay, and are the first.
    unreadable: u32,
    /// Mails to ask for next: fewer where one of them cannot be read, until it is found.
    some: u32,
    taken: u64,
}

impl Progress {
    /// Not all that was asked for was given.
    fn falter(&mut self) {
        match self.some {
            1 => self.unreadable += 1,
            _ => self.some = 1,
        }
    }
}

/// Hands every mail of the folder to the sink.
pub(super) async fn look(
    access: &Access,
    folder: &str,
    then: &Then,
    most: usize,
    stop: &CancellationToken,
    sink: &impl Sink,
) -> Result<Looked, Trouble> {
    let mut progress = Progress { unreadable: 0, some: SOME, taken: 0 };
    for _ in 0..LOSSES {
        let mut session = Session::open(access, folder, then, stop).await?;
        if bring_all(&mut session, &mut progress, then, most, sink).await? {
            session.part().await;
            return Ok(Looked { taken: progress.taken, unreadable: progress.unreadable.into() });
        }
        progress.falter();
    }
    Err(Trouble::Strange("it hangs up again and again"))
}

/// Brings mails until none is left; `false` when the server hung up meanwhile.
async fn bring_all(
    session: &mut Session,
    progress: &mut Progress,
    then: &Then,
    most: usize,
    sink: &impl Sink,
) -> Result<bool, Trouble> {
    while session.exists > progress.unreadable {
        let first = progress.unreadable + 1;
        let last = session.exists.min(progress.unreadable.saturating_add(progress.some));
        let (taken, all) = match session.bring(first, last, most, sink).await {
            Err(Trouble::Lost(error)) if error.kind() != io::ErrorKind::TimedOut => return Ok(false),
            brought => brought?,
        };
        session.remove(&taken, then).await?;
        progress.taken += taken.len() as u64;
        match all {
            true => progress.some = progress.some.saturating_mul(2).min(SOME),
            false => progress.falter(),
        }
    }
    Ok(true)
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
