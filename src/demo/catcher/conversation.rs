//! One client's conversation with the catcher.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;

use super::lines::{Line, read_command};
use super::{Act, Catcher, Caught, MAX_MESSAGE, Step};
use crate::mailbox::wire::read_text;

/// A client that says nothing for so long is left (RFC 5321 §4.5.3.2.7).
const IDLE: Duration = Duration::from_secs(300);

const MAX_RECIPIENTS: usize = 1_000;

pub(super) struct Conversation {
    stream: BufReader<BufWriter<TcpStream>>,
    catcher: Catcher,
    return_path: Option<String>,
    recipients: Vec<String>,
}

impl Conversation {
    pub(super) fn new(stream: TcpStream, catcher: Catcher) -> Self {
        Self { stream: BufReader::new(BufWriter::new(stream)), catcher, return_path: None, recipients: Vec::new() }
    }

    /// Talks until either side ends it.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.stream.get_ref().get_ref().set_nodelay(true)?;
        if self.answer(Step::Greeting, "", "220 catcher.invalid ESMTP").await?.is_break() {
            return self.stream.flush().await;
        }
        loop {
            // Pipelined commands are answered together (RFC 2920 §3.2).
            if self.stream.buffer().is_empty() {
                self.stream.flush().await?;
            }
            let line = tokio::time::timeout(IDLE, read_command(&mut self.stream)).await??;
            let ends = match &line {
                Line::Command(line) => self.command(line).await?.is_break(),
                Line::Unreadable => {
                    self.say("500 5.5.2 this line cannot be read").await?;
                    false
                }
                Line::End => true,
            };
            if ends {
                return self.stream.flush().await;
            }
        }
    }

    async fn command(&mut self, line: &str) -> io::Result<ControlFlow<()>> {
        let verb = line.split(' ').next().unwrap_or("").to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                self.reset();
                let offers = format!(
                    "250-catcher.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {MAX_MESSAGE}"
                );
                self.answer(Step::Ehlo, line, &offers).await.map(goes_on)
            }
            "HELO" => {
                self.reset();
                self.answer(Step::Ehlo, line, "250 catcher.invalid").await.map(goes_on)
            }
            "MAIL" => self.mail(line).await,
            "RCPT" => self.rcpt(line).await,
            "DATA" => self.data(line).await,
            "RSET" => {
                self.reset();
                self.answer(Step::Rset, line, "250 2.0.0 done").await.map(goes_on)
            }
            "NOOP" => self.answer(Step::Other, line, "250 2.0.0 nothing done").await.map(goes_on),
            "QUIT" => {
                let _ = self.answer(Step::Quit, line, "221 2.0.0 goodbye").await?;
                Ok(ControlFlow::Break(()))
            }
            _ => self.answer(Step::Other, line, "500 5.5.1 unknown command").await.map(goes_on),
        }
    }

    async fn mail(&mut self, line: &str) -> io::Result<ControlFlow<()>> {
        let path = path(line, "FROM:");
        let usual = match (&path, &self.return_path) {
            (_, Some(_)) => "503 5.5.1 there is a sender already",
            (None, _) => "501 5.5.4 expected MAIL FROM:<path>",
            (Some(_), None) => "250 2.1.0 sender taken",
        };
        let answer = self.answer(Step::Mail, line, usual).await?;
        if is_class(&answer, '2') {
            self.return_path = path;
        }
        Ok(goes_on(answer))
    }

    async fn rcpt(&mut self, line: &str) -> io::Result<ControlFlow<()>> {
        let path = path(line, "TO:").filter(|path| !path.is_empty());
        let usual = match (&path, &self.return_path) {
            (_, None) => "503 5.5.1 MAIL comes first",
            (None, _) => "501 5.5.4 expected RCPT TO:<path>",
            _ if self.recipients.len() >= MAX_RECIPIENTS => "452 4.5.3 too many recipients",
            _ => "250 2.1.5 recipient taken",
        };
        let answer = self.answer(Step::Rcpt, line, usual).await?;
        if is_class(&answer, '2') {
            self.recipients.extend(path);
        }
        Ok(goes_on(answer))
    }

    async fn data(&mut self, line: &str) -> io::Result<ControlFlow<()>> {
        let usual = match (&self.return_path, self.recipients.is_empty()) {
            (None, _) => "503 5.5.1 MAIL comes first",
            (_, true) => "554 5.5.1 no valid recipients",
            _ => "354 end with a dot",
        };
        let answer = self.answer(Step::Data, line, usual).await?;
        if !is_class(&answer, '3') {
            return Ok(goes_on(answer));
        }
        self.stream.flush().await?;
        if let Some(act) = (self.catcher.script)(Step::Text, "") {
            return self.perform(act).await.map(goes_on);
        }
        let text = tokio::time::timeout(IDLE, read_text(&mut self.stream, MAX_MESSAGE)).await??;
        let return_path = self.return_path.take().unwrap_or_default();
        let recipients = std::mem::take(&mut self.recipients);
        if text.size > MAX_MESSAGE as u64 {
            self.say("552 5.3.4 the message is too large").await?;
            return Ok(ControlFlow::Continue(()));
        }
        let message = text.head;
        let act = (self.catcher.script)(Step::Dot, "");
        let act = act.unwrap_or_else(|| Act::Say("250 2.0.0 taken".into()));
        if act.takes() && !(self.catcher.keep)(Caught { return_path, recipients, message }).await {
            self.say("451 4.3.0 nobody takes the mail").await?;
            return Ok(ControlFlow::Continue(()));
        }
        self.perform(act).await.map(goes_on)
    }

    fn reset(&mut self) {
        self.return_path = None;
        self.recipients.clear();
    }

    /// Gives the usual answer or what the script has instead. Returns what was said, or that the
    /// conversation is over.
    async fn answer(&mut self, step: Step, line: &str, usual: &str) -> io::Result<ControlFlow<(), String>> {
        let act = (self.catcher.script)(step, line).unwrap_or_else(|| Act::Say(usual.to_owned()));
        self.perform(act).await
    }

    async fn perform(&mut self, mut act: Act) -> io::Result<ControlFlow<(), String>> {
        loop {
            act = match act {
                Act::After(pause, then) => {
                    self.stream.flush().await?;
                    tokio::time::sleep(pause).await;
                    *then
                }
                Act::Take(then) => *then,
                act => return self.finally(act).await,
            };
        }
    }

    async fn finally(&mut self, act: Act) -> io::Result<ControlFlow<(), String>> {
        match act {
            Act::Say(words) => {
                self.say(&words).await?;
                Ok(ControlFlow::Continue(words))
            }
            Act::SayAndClose(words) => {
                self.say(&words).await?;
                Ok(ControlFlow::Break(()))
            }
            Act::Close => Ok(ControlFlow::Break(())),
            _ => {
                self.stream.flush().await?;
                std::future::pending().await
            }
        }
    }

    async fn say(&mut self, words: &str) -> io::Result<()> {
        self.stream.write_all(words.as_bytes()).await?;
        self.stream.write_all(b"\r\n").await
    }
}

fn goes_on(answer: ControlFlow<(), String>) -> ControlFlow<()> {
    answer.map_continue(drop)
}

fn is_class(answer: &ControlFlow<(), String>, digit: char) -> bool {
    matches!(answer, ControlFlow::Continue(words) if words.starts_with(digit))
}

/// The path of `MAIL FROM:<path> PARAMETERS` or `RCPT TO:<path> PARAMETERS`.
fn path(line: &str, keyword: &str) -> Option<String> {
    let rest = line.get(5..)?.trim_start();
    let head = rest.get(..keyword.len()).filter(|head| head.eq_ignore_ascii_case(keyword))?;
    let rest = rest[head.len()..].trim_start().strip_prefix('<')?;
    rest.split_once('>').map(|(path, _)| path.to_owned())
}
