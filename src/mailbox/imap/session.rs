//! A conversation with an IMAP server.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Brought, Untagged, literal, parse};
use crate::domain::mailbox::{Security, Then};
use crate::mailbox::link::Link;
use crate::mailbox::trouble::Code;
use crate::mailbox::{Access, Sink, Trouble};

/// Every command has this tag: one is under way at a time.
const TAG: &str = "c";
/// A server that has so many literals in one answer does not answer what was asked.
const LITERALS: usize = 16;
/// Octets of an answer without its literals.
const LONGEST: usize = 64 << 10;

pub(super) struct Session {
    link: Link,
    capabilities: Vec<String>,
    /// Mails in the folder, as far as the server has told.
    pub(super) exists: u32,
    /// Mails that it has removed from there.
    expunged: u64,
}

impl Session {
    /// Logs in and opens the folder.
    pub(super) async fn open(
        access: &Access,
        folder: &str,
        then: &Then,
        stop: &CancellationToken,
    ) -> Result<Self, Trouble> {
        let link = Link::open(access, stop).await?;
        let mut session = Self { link, capabilities: Vec::new(), exists: 0, expunged: 0 };
        let greeting = session.answer(0).await?;
        let wants_tls = access.server.security == Security::StartTls;
        match greeting {
            Answer::Untagged(Untagged::Ready) => {}
            Answer::Untagged(Untagged::LoggedIn) if !wants_tls => {}
            _ => return Err(Trouble::Strange("the greeting")),
        }
        if wants_tls {
            session.command("STARTTLS").await?.map_err(|_| Trouble::Unable("STARTTLS"))?;
            session.link = session.link.secure(&access.server.host, &access.tls).await?;
        }
        if !matches!(greeting, Answer::Untagged(Untagged::LoggedIn)) {
            session.log_in(access).await?;
        }
        session.ask("CAPABILITY", "to tell what it can").await?;
        match then {
            Then::Delete if !session.can("UIDPLUS") => return Err(Trouble::Unable("UIDPLUS")),
            Then::Move(_) if !session.can("MOVE") => return Err(Trouble::Unable("MOVE")),
            _ => {}
        }
        session.ask(&["SELECT", &quoted(folder)].join(" "), "to open the folder").await?;
        Ok(session)
    }

    async fn log_in(&mut self, access: &Access) -> Result<(), Trouble> {
        self.ask("CAPABILITY", "to tell what it can").await?;
        let (username, password) = (&access.username, access.password.expose_secret());
        let done = if self.can("AUTH=PLAIN") {
            self.link.say(&format!("{TAG} AUTHENTICATE PLAIN")).await?;
            match self.answer(0).await? {
                Answer::Continue => {
                    self.link.say(&STANDARD.encode(format!("\0{username}\0{password}"))).await?;
                    self.done().await?
                }
                Answer::Done(done) => done,
                Answer::Untagged(_) => return Err(Trouble::Strange("AUTHENTICATE")),
            }
        } else if self.can("LOGINDISABLED") || !(username.is_ascii() && password.is_ascii()) {
            return Err(Trouble::Unable("AUTH=PLAIN"));
        } else {
            self.command(&format!("LOGIN {} {}", quoted(username), quoted(password))).await?
        };
        done.map_err(Trouble::Login)
    }

    fn can(&self, what: &str) -> bool {
        self.capabilities.iter().any(|able| able.eq_ignore_ascii_case(what))
            // RFC 9051 has both.
            || ["UIDPLUS", "MOVE"].contains(&what) && self.capabilities.iter().any(|able| able == "IMAP4REV2")
    }

    /// Hands mails to the sink, by their numbers. Which were taken, and whether these were all.
    pub(super) async fn bring(
        &mut self,
        first: u32,
        last: u32,
        most: usize,
        sink: &impl Sink,
    ) -> Result<(Vec<u32>, bool), Trouble> {
        self.link.say(&format!("{TAG} FETCH {first}:{last} (UID RFC822.SIZE BODY.PEEK[]<0.{most}>)")).await?;
        let mut taken = Vec::new();
        loop {
            match self.answer(most).await? {
                Answer::Untagged(Untagged::Brought(Brought { uid, size, octets })) => {
                    sink.take(&octets, size).await.map_err(Trouble::Sink)?;
                    taken.push(uid);
                }
                Answer::Untagged(_) => {}
                Answer::Continue => return Err(Trouble::Strange("FETCH")),
                Answer::Done(_) => break,
            }
        }
        let all = taken.len() as u64 == u64::from(last - first) + 1;
        Ok((taken, all))
    }

    /// Removes mails that were taken.
    pub(super) async fn remove(&mut self, taken: &[u32], then: &Then) -> Result<(), Trouble> {
        if taken.is_empty() {
            return Ok(());
        }
        let before = self.expunged;
        let mut uids = String::new();
        for uid in taken {
            let _ = write!(uids, "{}{uid}", if uids.is_empty() { "" } else { "," });
        }
        match then {
            Then::Delete => {
                self.ask(&format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)"), "to mark mails").await?;
                self.ask(&format!("UID EXPUNGE {uids}"), "to remove mails").await?;
            }
            Then::Move(folder) => {
                let folder = quoted(folder);
                let moving = format!("UID MOVE {uids} {folder}");
                if self.command(&moving).await?.is_err() {
                    // It may not exist yet; where it does, this is refused.
                    let _ = self.command(&format!("CREATE {folder}")).await?;
                    self.ask(&moving, "to move mails").await?;
                }
            }
        }
        // It must not go round for ever where the server keeps them.
        if self.expunged > before { Ok(()) } else { Err(Trouble::Strange("it keeps what it removed")) }
    }

    /// Says goodbye. Nothing depends on the answer.
    pub(super) async fn part(mut self) {
        let _ = self.ask("LOGOUT", "to part").await;
    }

    async fn ask(&mut self, words: &str, what: &'static str) -> Result<(), Trouble> {
        self.command(words).await?.map_err(|code| Trouble::Refused(what, code))
    }

    async fn command(&mut self, words: &str) -> Result<Result<(), Code>, Trouble> {
        self.link.say(&format!("{TAG} {words}")).await?;
        self.done().await
    }

    async fn done(&mut self) -> Result<Result<(), Code>, Trouble> {
        loop {
            match self.answer(0).await? {
                Answer::Done(done) => return Ok(done),
                Answer::Continue => return Err(Trouble::Strange("it waits for more")),
                Answer::Untagged(_) => {}
            }
        }
    }

    /// Reads an answer, its literals among it; of the largest of them so many octets are kept.
    async fn answer(&mut self, most: usize) -> Result<Answer, Trouble> {
        let mut text = Vec::new();
        let mut body: Option<(Vec<u8>, u64)> = None;
        for _ in 0..LITERALS {
            let line = self.link.line().await?;
            if text.len() + line.len() > LONGEST {
                return Err(Trouble::Strange("an answer without end"));
            }
            text.extend_from_slice(line);
            let Some(length) = literal(&text) else {
                let answer = parse(&String::from_utf8_lossy(&text), TAG, body);
                let answer = answer.ok_or(Trouble::Strange("an answer"))?;
                match &answer {
                    Answer::Untagged(Untagged::Exists(count)) => self.exists = *count,
                    Answer::Untagged(Untagged::Expunged) => {
                        self.exists = self.exists.saturating_sub(1);
                        self.expunged += 1;
                    }
                    Answer::Untagged(Untagged::Capabilities(able)) => self.capabilities.clone_from(able),
                    _ => {}
                }
                return Ok(answer);
            };
            let octets = self.link.octets(length, most).await?;
            if body.as_ref().is_none_or(|(_, known)| length > *known) {
                body = Some((octets, length));
            }
        }
        Err(Trouble::Strange("an answer without end"))
    }
}

/// As a string that a command may hold; control characters were refused before.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
