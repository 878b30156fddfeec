//! POP3 (RFC 1939), with STLS (RFC 2595).

use std::io;
use std::ops::RangeInclusive;

use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::trouble::Code;
use super::{Access, Looked, Sink, Trouble};
use crate::domain::mailbox::Security;

/// Mails of one session: removals count when it ends well.
const SOME: u64 = 500;
/// Servers hang up over a mail that they cannot give. So often it is gone on behind one before all waits for the next look.
const LOSSES: u32 = 50;
/// So many sessions in a row may leave as many mails as there were; more may arrive meanwhile.
const IN_VAIN: u32 = 3;

struct Session(Link);

/// Hands every mail to the sink, in several sessions.
pub(super) async fn look(
    access: &Access,
    most: usize,
    stop: &CancellationToken,
    sink: &impl Sink,
) -> Result<Looked, Trouble> {
    let mut looked = Looked::default();
    let (mut losses, mut in_vain, mut before) = (0, 0, u64::MAX);
    // Fewer where the server hangs up over one: those before it are removed first.
    let mut some = SOME;
    loop {
        let mut session = Session::open(access, stop).await?;
        let there = session.count().await?;
        in_vain = if there >= before { in_vain + 1 } else { 0 };
        if in_vain >= IN_VAIN {
            return Err(Trouble::Strange("it keeps what it removed"));
        }
        before = there;
        // Those that cannot be read stay, and are the first.
        let first = looked.unreadable + 1;
        let last = there.min(looked.unreadable.saturating_add(some));
        let at_first = looked;
        match session.bring_all(first..=last, most, sink, &mut looked).await? {
            None if last == there => return Ok(looked),
            None => some = SOME,
            Some(lost) => {
                losses += 1;
                if losses > LOSSES {
                    return Err(Trouble::Strange("it hangs up again and again"));
                }
                // Of this session nothing counts.
                looked = at_first;
                looked.unreadable += u64::from(lost == first);
                some = (lost - first).max(1);
                before = u64::MAX;
            }
        }
    }
}

/// Goes in and out.
pub(super) async fn knock(access: &Access, stop: &CancellationToken) -> Result<u64, Trouble> {
    let mut session = Session::open(access, stop).await?;
    let there = session.count().await?;
    session.command("QUIT", "to part").await?;
    Ok(there)
}

impl Session {
    async fn open(access: &Access, stop: &CancellationToken) -> Result<Self, Trouble> {
        let mut session = Self(Link::open(access, stop).await?);
        session.answer().await?.map_err(|code| Trouble::Refused("to talk", code))?;
        if access.server.security == Security::StartTls {
            session.0.say("STLS").await?;
            session.answer().await?.map_err(|_| Trouble::Unable("STLS"))?;
            session = Self(session.0.secure(&access.server.host, &access.tls).await?);
        }
        for words in [format!("USER {}", access.username), format!("PASS {}", access.password.expose_secret())] {
            session.0.say(&words).await?;
            session.answer().await?.map_err(Trouble::Login)?;
        }
        Ok(session)
    }

    /// The words behind `+OK`, or the code behind `-ERR`.
    async fn answer(&mut self) -> Result<Result<String, Code>, Trouble> {
        let line = String::from_utf8_lossy(self.0.line().await?).into_owned();
        match line.strip_prefix("+OK") {
            Some(words) => Ok(Ok(words.trim().to_owned())),
            None => match line.strip_prefix("-ERR") {
                Some(words) => Ok(Err(Code::of(words))),
                None => Err(Trouble::Strange("neither +OK nor -ERR")),
            },
        }
    }

    async fn command(&mut self, words: &str, what: &'static str) -> Result<String, Trouble> {
        self.0.say(words).await?;
        self.answer().await?.map_err(|code| Trouble::Refused(what, code))
    }

    /// How many mails are there.
    async fn count(&mut self) -> Result<u64, Trouble> {
        let words = self.command("STAT", "to count").await?;
        words.split(' ').next().and_then(|count| count.parse().ok()).ok_or(Trouble::Strange("STAT"))
    }

    /// Hands mails to the sink and removes them. The number of the one over which the server hung up, if it did.
    async fn bring_all(
        mut self,
        numbers: RangeInclusive<u64>,
        most: usize,
        sink: &impl Sink,
        looked: &mut Looked,
    ) -> Result<Option<u64>, Trouble> {
        for number in numbers {
            match self.bring(number, most, sink, looked).await {
                Ok(true) => {}
                Ok(false) => looked.unreadable += 1,
                Err(Trouble::Lost(error)) if error.kind() != io::ErrorKind::TimedOut => return Ok(Some(number)),
                Err(error) => return Err(error),
            }
        }
        self.command("QUIT", "to remove mails").await?;
        Ok(None)
    }

    /// Hands a mail to the sink and marks it as removed; `false` when the server does not give it.
    async fn bring(
        &mut self,
        number: u64,
        most: usize,
        sink: &impl Sink,
        looked: &mut Looked,
    ) -> Result<bool, Trouble> {
        self.0.say(&format!("RETR {number}")).await?;
        if self.answer().await?.is_err() {
            return Ok(false);
        }
        let text = self.0.text(most).await?;
        sink.take(&text.head, text.size).await.map_err(Trouble::Sink)?;
        self.command(&format!("DELE {number}"), "to remove a mail").await?;
        looked.taken += 1;
        Ok(true)
    }
}
