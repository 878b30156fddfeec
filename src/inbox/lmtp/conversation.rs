//! One client's conversation.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::command::{Command, parse};
use super::{Host, SMALL};
use crate::inbox::{Arrival, MOST_KEPT};
use crate::mailbox::wire::{Text, read_line};

/// Octets of a command line, its end included (RFC 5321 §4.5.3.1.4, and what extensions add).
const LONGEST_LINE: usize = 2_048;
/// Recipients of one mail (RFC 5321 §4.5.3.1.8 asks for 100).
const RECIPIENTS: usize = 100;
/// A client that is wrong so often does not speak our language.
const MISTAKES: u32 = 20;

/// Which language is spoken; before the greeting none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Smtp,
    Lmtp,
}

impl Language {
    fn way(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
        }
    }
}

/// How a conversation goes on.
enum Next {
    Goes,
    Ends,
}

pub(super) struct Conversation<'a> {
    stream: BufReader<BufWriter<TcpStream>>,
    host: &'a Host,
    language: Option<Language>,
    sender: Option<String>,
    recipients: Vec<String>,
    mistakes: u32,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(stream: TcpStream, host: &'a Host) -> Self {
        let stream = BufReader::with_capacity(64 << 10, BufWriter::new(stream));
        Self { stream, host, language: None, sender: None, recipients: Vec::new(), mistakes: 0 }
    }

    /// Talks until either side ends it.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let host = self.host;
        self.say(&format!("220 {} ESMTP LMTP", host.name)).await?;
        let mut line = Vec::new();
        loop {
            // Pipelined commands are answered together (RFC 2920 §3.2).
            if self.stream.buffer().is_empty() {
                self.flush().await?;
            }
            let reading = within(host.limits.silence, &host.soft, read_line(&mut self.stream, &mut line, LONGEST_LINE));
            let length = match reading.await {
                Some(length) => length?,
                None => {
                    self.say("421 4.3.2 closing").await?;
                    return self.flush().await;
                }
            };
            if length == 0 {
                return Ok(());
            }
            if let Next::Ends = self.line(&line, length).await? {
                return self.flush().await;
            }
        }
    }

    async fn line(&mut self, line: &[u8], length: usize) -> io::Result<Next> {
        let Some(text) = line.strip_suffix(b"\r\n").filter(|text| !text.contains(&b'\r') || length > line.len()) else {
            if length > line.len() {
                return self.wrong("500 5.5.2 the line is too long").await;
            }
            // Servers that end lines otherwise would disagree about where a mail ends.
            self.say("521 5.5.2 lines end with CR LF").await?;
            return Ok(Next::Ends);
        };
        let Ok(text) = std::str::from_utf8(text) else { return self.wrong("500 5.5.2 the line is not UTF-8").await };
        match parse(text) {
            Command::Smtp(extended) => self.greeted(Language::Smtp, extended).await,
            Command::Lmtp => self.greeted(Language::Lmtp, true).await,
            Command::Mail(path) => self.mail(path).await,
            Command::Rcpt(path) => self.rcpt(path).await,
            Command::Data => self.data().await,
            Command::Reset => {
                self.reset();
                self.answer("250 2.0.0 done").await
            }
            Command::Nothing => self.answer("250 2.0.0 nothing done").await,
            Command::Verify => self.answer("252 2.1.5 try it").await,
            Command::Quit => {
                self.say("221 2.0.0 goodbye").await?;
                Ok(Next::Ends)
            }
            Command::Wrong(words) => self.wrong(words).await,
        }
    }

    async fn greeted(&mut self, language: Language, extended: bool) -> io::Result<Next> {
        self.reset();
        self.language = Some(language);
        let name = &self.host.name;
        let offers = format!(
            "250-{name}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE"
        );
        let answer = if extended { offers } else { format!("250 {name}") };
        self.answer(&answer).await
    }

    async fn mail(&mut self, path: &str) -> io::Result<Next> {
        if self.language.is_none() {
            return self.wrong("503 5.5.1 say EHLO or LHLO first").await;
        }
        if self.sender.is_some() {
            return self.wrong("503 5.5.1 there is a sender already").await;
        }
        self.sender = Some(path.to_owned());
        self.answer("250 2.1.0 sender taken").await
    }

    async fn rcpt(&mut self, path: &str) -> io::Result<Next> {
        if self.sender.is_none() {
            return self.wrong("503 5.5.1 MAIL comes first").await;
        }
        if !self.host.addresses.are_ours(path) {
            self.host.metrics.inbox_refused();
            return self.wrong("550 5.1.1 nobody here by that name").await;
        }
        if self.recipients.len() >= RECIPIENTS {
            return self.answer("452 4.5.3 too many recipients").await;
        }
        self.recipients.push(path.to_owned());
        self.answer("250 2.1.5 recipient taken").await
    }

    async fn data(&mut self) -> io::Result<Next> {
        let (Some(language), Some(_)) = (self.language, &self.sender) else {
            return self.wrong("503 5.5.1 MAIL comes first").await;
        };
        if self.recipients.is_empty() {
            return self.wrong("503 5.5.1 no valid recipients").await;
        }
        self.say("354 end with a dot").await?;
        self.flush().await?;
        let (limits, hard) = (self.host.limits, self.host.hard.clone());
        let Some(read) = within(limits.mail, &hard, self.read_mail()).await else {
            // Its server keeps a mail that was not answered.
            return Ok(Next::Ends);
        };
        let (text, _permit) = read?;
        let recipients = std::mem::take(&mut self.recipients);
        let mut all = true;
        for recipient in &recipients {
            let taken = self.take(language, recipient, &text).await;
            all &= taken;
            if language == Language::Lmtp {
                self.say(answer(taken)).await?;
            }
        }
        if language == Language::Smtp {
            self.say(answer(all)).await?;
        }
        self.reset();
        Ok(Next::Goes)
    }

    async fn read_mail(&mut self) -> io::Result<(Text, Option<SemaphorePermit<'a>>)> {
        let host = self.host;
        let mut text = Text::new(MOST_KEPT);
        let mut permit = None;
        loop {
            let piece = timeout(host.limits.silence, self.stream.fill_buf()).await??;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (used, ended) = text.take(piece);
            self.stream.consume(used);
            if ended {
                return Ok((text, permit));
            }
            if permit.is_none() && text.head.len() > SMALL {
                permit = host.large.acquire().await.ok();
            }
        }
    }

    /// Nothing cancels this: a statement in flight must end.
    async fn take(&self, language: Language, recipient: &str, text: &Text) -> bool {
        let arrival = Arrival {
            way: language.way(),
            sender: self.sender.as_deref(),
            recipient: Some(recipient),
            raw: &text.head,
            size: text.size,
        };
        let taken = self.host.intake.take(arrival).await;
        if let Err(error) = &taken {
            tracing::warn!(way = language.way(), %error, "a mail could not be taken in; its server was told to try again");
        }
        taken.is_ok()
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    /// Answers a mistake; after too many of them the conversation is over.
    async fn wrong(&mut self, words: &str) -> io::Result<Next> {
        self.mistakes += 1;
        if self.mistakes < MISTAKES {
            return self.answer(words).await;
        }
        self.say("421 4.7.0 too many mistakes").await?;
        Ok(Next::Ends)
    }

    async fn answer(&mut self, words: &str) -> io::Result<Next> {
        self.say(words).await?;
        Ok(Next::Goes)
    }

    async fn say(&mut self, words: &str) -> io::Result<()> {
        let writing = async {
            self.stream.write_all(words.as_bytes()).await?;
            self.stream.write_all(b"\r\n").await
        };
        timeout(self.host.limits.silence, writing).await?
    }

    async fn flush(&mut self) -> io::Result<()> {
        timeout(self.host.limits.silence, self.stream.flush()).await?
    }
}

fn answer(taken: bool) -> &'static str {
    if taken { "250 2.6.0 it is on disk" } else { "451 4.3.0 it cannot be kept now, try again later" }
}

/// What `work` brings, unless it takes too long or the listener stops.
async fn within<T>(time: Duration, stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    timeout(time, stop.run_until_cancelled(work)).await.ok().flatten()
}
