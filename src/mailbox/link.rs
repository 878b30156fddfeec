//! A connection to a mailbox's server: lines in both directions, each read with patience and a bound.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::sync::CancellationToken;

use super::wire::{Text, read_line};
use super::{Access, Trouble};
use crate::domain::mailbox::Security;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// Octets of a line that are kept; what servers say is shorter, but for lists of capabilities.
const LONGEST_LINE: usize = 64 << 10;

trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// The connection.
pub(super) struct Link {
    stream: BufReader<Box<dyn Transport>>,
    line: Vec<u8>,
    stop: CancellationToken,
}

impl Link {
    /// Connects, with TLS where it comes first.
    pub(super) async fn open(access: &Access, stop: &CancellationToken) -> Result<Self, Trouble> {
        let server = &access.server;
        let stream = waiting(stop, TcpStream::connect((&*server.host, server.port))).await;
        let stream = stream.map_err(|trouble| match trouble {
            Trouble::Lost(error) => Trouble::Connect(error),
            other => other,
        })?;
        stream.set_nodelay(true)?;
        let is_here = stream.peer_addr()?.ip().to_canonical().is_loopback();
        if server.security == Security::None && !is_here {
            return Err(Trouble::Tls("a password is not sent in the clear".into()));
        }
        let link = Self { stream: BufReader::new(Box::new(stream)), line: Vec::new(), stop: stop.clone() };
        if server.security == Security::Implicit { link.secure(&server.host, &access.tls).await } else { Ok(link) }
    }

    /// Goes on by TLS. What was said before it in the clear counts for nothing.
    pub(super) async fn secure(self, host: &str, tls: &TlsConnector) -> Result<Self, Trouble> {
        if !self.stream.buffer().is_empty() {
            return Err(Trouble::Tls("the server spoke before its handshake".into()));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|error| Trouble::Tls(error.to_string()))?;
        let handshake = waiting(&self.stop, tls.connect(name, self.stream.into_inner())).await;
        let stream = handshake.map_err(|trouble| match trouble {
            Trouble::Lost(error) => Trouble::Tls(error.to_string()),
            other => other,
        })?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), line: self.line, stop: self.stop })
    }

    /// Sends a line.
    pub(super) async fn say(&mut self, words: &str) -> Result<(), Trouble> {
        let stream = &mut self.stream;
        let saying = async {
            stream.write_all(words.as_bytes()).await?;
            stream.write_all(b"\r\n").await?;
            stream.flush().await
        };
        waiting(&self.stop, saying).await
    }

    /// The next line, without its end.
    pub(super) async fn line(&mut self) -> Result<&[u8], Trouble> {
        let length = waiting(&self.stop, read_line(&mut self.stream, &mut self.line, LONGEST_LINE)).await?;
        if length == 0 {
            return Err(Trouble::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The next octets, of which at most so many are kept.
    pub(super) async fn octets(&mut self, mut count: u64, most: usize) -> Result<Vec<u8>, Trouble> {
        let mut kept = Vec::new();
        while count > 0 {
            let piece = waiting(&self.stop, self.stream.fill_buf()).await?;
            if piece.is_empty() {
                return Err(Trouble::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            let used = piece.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            kept.extend_from_slice(&piece[..used.min(most - kept.len())]);
            self.stream.consume(used);
            count -= used as u64;
        }
        Ok(kept)
    }

    /// The next text that a dot alone ends.
    pub(super) async fn text(&mut self, most: usize) -> Result<Text, Trouble> {
        let mut text = Text::new(most);
        loop {
            let piece = waiting(&self.stop, self.stream.fill_buf()).await?;
            if piece.is_empty() {
                return Err(Trouble::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            let (used, ended) = text.take(piece);
            self.stream.consume(used);
            if ended {
                return Ok(text);
            }
        }
    }
}

/// What `work` brings, unless it takes too long or we are asked to stop.
async fn waiting<T>(stop: &CancellationToken, work: impl Future<Output = io::Result<T>>) -> Result<T, Trouble> {
    match stop.run_until_cancelled(timeout(PATIENCE, work)).await {
        None => Err(Trouble::Stopped),
        Some(Err(_)) => Err(Trouble::Lost(io::ErrorKind::TimedOut.into())),
        Some(Ok(done)) => Ok(done?),
    }
}
