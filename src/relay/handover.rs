//! Handing one message over on an open connection, in two steps.
//!
//! Before the first step a connection is usable, and it is so again after a clean end. In between
//! it is not, so that a cancelled or half-finished conversation is never taken up by the next
//! message.

use std::fmt::Write as _;
use std::pin::pin;

use tokio::time::timeout;

use super::answer::{self, Lost};
use super::connection::Connection;
use super::message::{Envelope, Message};
use crate::domain::outcome::{Outcome, Reply, Stage};

/// The server closes the connection (RFC 5321 §3.8).
const CLOSING: u16 = 421;

/// The server waits for the text.
const GO_AHEAD: u16 = 354;

/// Writes ASCII as `xtext` (RFC 3461 §4).
fn xtext(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => out.push_str(if byte == b'+' { "+2B" } else { "+3D" }),
            _ => out.push(char::from(byte)),
        }
    }
}

const STAGES: [Stage; 3] = [Stage::Mail, Stage::Rcpt, Stage::Data];

impl Connection {
    /// Names the message and asks for the word to send it: `MAIL`, `RCPT`, `DATA`, in one write
    /// where the server takes that (RFC 2920). What [`Self::deliver`] has announced is not said
    /// again. After `Ok`, [`Self::deliver`] is all that may follow.
    pub(super) async fn offer(&mut self, envelope: &Envelope<'_>, message: &Message) -> Result<(), Outcome> {
        if !self.usable {
            let words = "the connection is closed".to_owned();
            return Err(Outcome::NotSent { stage: Stage::Mail, words });
        }
        let announced = std::mem::take(&mut self.announced);
        if !announced {
            self.meter.expect_answers(0);
        }
        let mut commands = String::new();
        if !announced {
            self.write_commands(envelope, message, &mut commands)?;
        }
        let mut each = commands.split_inclusive('\n');
        self.usable = false;
        let mut refusal: Option<Outcome> = None;
        let mut waits_for_text = false;
        for stage in STAGES {
            let answer = match (self.features.pipelining, stage) {
                (false, _) => self.ask(stage, each.next().unwrap_or_default()).await,
                (true, Stage::Mail) if !announced => self.ask(stage, &commands).await,
                (true, _) => self.listen(stage).await,
            };
            let reply = match answer {
                Ok(reply) => reply,
                Err(Lost { words }) => return Err(refusal.unwrap_or(Outcome::NotSent { stage, words })),
            };
            let code = reply.code;
            waits_for_text = stage == Stage::Data && code == GO_AHEAD;
            if waits_for_text || stage != Stage::Data && code / 100 == 2 {
                continue;
            }
            let Some(outcome) = Outcome::of_refusal(stage, reply) else {
                let words = format!("{code} is no answer to this command");
                return Err(refusal.unwrap_or(Outcome::NotSent { stage, words }));
            };
            let first = refusal.get_or_insert(outcome);
            if code == CLOSING {
                return Err(first.clone());
            }
            if !self.features.pipelining {
                break;
            }
        }
        let Some(refusal) = refusal else { return Ok(()) };
        if waits_for_text {
            self.send_nothing(&refusal).await;
        } else {
            self.reset().await;
        }
        Err(refusal)
    }

    /// Sends the text and the final dot in one write and waits for the answer. Follows an
    /// [`Self::offer`] that was taken. Where the server takes that, the same write announces the
    /// message that is offered `next` (RFC 2920 §3.1), which saves a round trip for each.
    pub(super) async fn deliver(&mut self, message: Message, next: Option<(&Envelope<'_>, &Message)>) -> Outcome {
        let mut wire = message.into_wire();
        let end = wire.len() as u64;
        let before = self.meter.written();
        let meter = self.meter.clone();
        // Nothing can have been taken as long as its end has not left.
        let kept_back = || meter.written() - before < end;
        let next = next.filter(|_| self.features.pipelining);
        self.announced =
            next.is_some_and(|(envelope, message)| self.write_commands(envelope, message, &mut wire).is_ok());
        self.meter.expect_answers(if self.announced { 1 + STAGES.len() } else { 0 });
        let mut answer = pin!(self.smtp.command(wire.as_str()));
        let answer = match timeout(self.timeouts.block, &mut answer).await {
            Ok(result) => answer::read(result),
            Err(_) if kept_back() => Err(answer::too_late(self.timeouts.block)),
            Err(_) => answer::within(self.timeouts.dot, answer).await,
        };
        let reply = match answer {
            Ok(reply) => reply,
            Err(Lost { words }) if kept_back() => return Outcome::NotSent { stage: Stage::Data, words },
            Err(Lost { words }) => return Outcome::Unknown { words },
        };
        match reply.code {
            200..=299 => {
                self.usable = true;
                Outcome::Accepted { reply }
            }
            code => {
                let words = format!("{reply} is no answer to the final dot");
                self.usable = code != CLOSING && code >= 400;
                Outcome::of_refusal(Stage::Dot, reply).unwrap_or(Outcome::Unknown { words })
            }
        }
    }

    /// Appends the commands of the three stages, a line each.
    ///
    /// # Errors
    /// The refusal of what this server cannot take; nothing is appended.
    fn write_commands(&self, envelope: &Envelope<'_>, message: &Message, out: &mut String) -> Result<(), Outcome> {
        let features = self.features;
        let recipient = envelope.recipient.as_str();
        let return_path = envelope.return_path.map_or("", |path| path.as_str());
        let breaks_out = |address: &str| address.contains(|c: char| c.is_control() || " <>".contains(c));
        if breaks_out(recipient) || breaks_out(return_path) {
            return Err(Outcome::refused_here(Stage::Mail, 553, "5.1.3 the address cannot be said in SMTP"));
        }
        let international = !recipient.is_ascii() || !return_path.is_ascii();
        if international && !features.smtp_utf8 {
            let words = "5.6.7 the address needs SMTPUTF8, which the relay does not offer";
            return Err(Outcome::refused_here(Stage::Mail, 553, words));
        }
        let eight_bit = message.is_eight_bit();
        if eight_bit && !features.eight_bit_mime {
            let words = "5.6.3 the message needs 8BITMIME, which the relay does not offer";
            return Err(Outcome::refused_here(Stage::Mail, 554, words));
        }
        if features.max_size.is_some_and(|max| message.size() as u64 > max) {
            return Err(Outcome::refused_here(Stage::Mail, 552, "5.3.4 the message is larger than the relay takes"));
        }
        out.extend(["MAIL FROM:<", return_path, ">"]);
        if features.size {
            let _ = write!(out, " SIZE={}", message.size());
        }
        if eight_bit {
            out.push_str(" BODY=8BITMIME");
        }
        if international {
            out.push_str(" SMTPUTF8");
        }
        if features.dsn {
            out.push_str(" RET=HDRS ENVID=");
            out.extend(envelope.safe_id());
        }
        out.extend(["\r\nRCPT TO:<", recipient, ">"]);
        if features.dsn {
            out.push_str(" NOTIFY=FAILURE,DELAY");
            // An international address would need a form of its own (RFC 6533), which few take.
            if recipient.is_ascii() {
                out.push_str(" ORCPT=rfc822;");
                xtext(recipient, out);
            }
        }
        out.push_str("\r\nDATA\r\n");
        Ok(())
    }

    /// Answers a `354` that came although the recipient was refused: a lone dot, a message to
    /// nobody (RFC 2920 §3.1). Had only the sender been refused, it would be an empty message to
    /// the recipient, so the connection is given up instead.
    async fn send_nothing(&mut self, refusal: &Outcome) {
        let refused_at =
            |at| matches!(refusal, Outcome::Deferred { stage, .. } | Outcome::Rejected { stage, .. } if *stage == at);
        if refused_at(Stage::Rcpt) {
            let answer = answer::within(self.timeouts.dot, self.smtp.command(".\r\n")).await;
            self.usable = answer.is_ok_and(|reply| reply.code != CLOSING);
        }
    }

    /// Clears what a refusal left behind.
    async fn reset(&mut self) {
        let answer = answer::within(self.timeouts.command, self.smtp.command("RSET\r\n")).await;
        self.usable = answer.is_ok_and(|reply| reply.code / 100 == 2);
    }

    async fn ask(&mut self, stage: Stage, command: &str) -> Result<Reply, Lost> {
        answer::within(self.limit(stage), self.smtp.command(command)).await
    }

    async fn listen(&mut self, stage: Stage) -> Result<Reply, Lost> {
        answer::within(self.limit(stage), self.smtp.read_response()).await
    }

    fn limit(&self, stage: Stage) -> std::time::Duration {
        match stage {
            Stage::Mail => self.timeouts.mail,
            Stage::Rcpt => self.timeouts.rcpt,
            _ => self.timeouts.data,
        }
    }
}
