//! A stream that counts what the kernel has taken, so that "did it leave?" has an exact answer, and
//! that acknowledges at once where the other side may wait for that.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::compat::Compat;

/// What the conversation and its [`Metered`] stream tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    more_answers: AtomicBool,
}

impl Meter {
    /// Octets that the stream has handed down.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Whether answers follow each other with nothing said in between. Then each is acknowledged at
    /// once: a server that gathers small packets (RFC 896) waits for that, and the kernel's own
    /// acknowledgement comes up to 40 ms later.
    pub(super) fn expect_more_answers(&self, more: bool) {
        self.0.more_answers.store(more, Ordering::Relaxed);
    }
}

/// A stream that can be told to acknowledge what it has received.
pub(super) trait Acknowledge {
    /// Does so, where the system can.
    fn acknowledge(&self) {}
}

impl Acknowledge for TcpStream {
    #[cfg(target_os = "linux")]
    fn acknowledge(&self) {
        // Only slower without it.
        let _ = socket2::SockRef::from(self).set_tcp_quickack(true);
    }
}

impl<S> Acknowledge for Compat<S> {}

/// The stream. Beneath TLS it counts ciphertext, which is never shorter than what it carries, so
/// that a count below a text's length still proves that the text's end has not left.
#[derive(Debug)]
pub(super) struct Metered<S> {
    inner: S,
    peer: SocketAddr,
    meter: Meter,
}

impl<S> Metered<S> {
    pub(super) fn new(inner: S, peer: SocketAddr, meter: Meter) -> Self {
        Self { inner, peer, meter }
    }
}

impl<S: AsyncRead + Acknowledge + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if polled.is_ready() && self.meter.0.more_answers.load(Ordering::Relaxed) {
            self.inner.acknowledge();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = polled {
            self.meter.0.written.fetch_add(count as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Acknowledge + Send + Sync + Unpin + std::fmt::Debug> AsyncTokioStream for Metered<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
