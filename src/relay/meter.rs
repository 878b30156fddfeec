//! A stream that counts what the kernel has taken, so that "did it leave?" has an exact answer, and
//! that acknowledges at once where the other side may wait for that.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    answers: AtomicUsize,
}

impl Meter {
    /// Octets that the stream has handed down.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// How many answers follow each other with nothing said in between. All but the last are
    /// acknowledged at once: a server that gathers small packets (RFC 896) waits for that, and the
    /// kernel's own acknowledgement comes up to 40 ms later.
    pub(super) fn expect_answers(&self, count: usize) {
        self.0.answers.store(count, Ordering::Relaxed);
    }

    /// Whether more answers are expected after these octets.
    fn more_after(&self, read: &[u8]) -> bool {
        let expected = self.0.answers.load(Ordering::Relaxed);
        if expected == 0 {
            return false;
        }
        let left = expected.saturating_sub(answers(read));
        self.0.answers.store(left, Ordering::Relaxed);
        left > 0
    }
}

/// The answers that end in these octets. What does not begin with a digit is no text: beneath TLS
/// they cannot be told.
fn answers(read: &[u8]) -> usize {
    if !read.first().is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    let ends = |line: &&[u8]| line.ends_with(b"\n") && line.get(3) != Some(&b'-');
    read.split_inclusive(|octet| *octet == b'\n').filter(ends).count()
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
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if polled.is_ready() && self.meter.more_after(&buf.filled()[before..]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_answers_but_the_last_are_acknowledged() {
        let meter = Meter::default();
        assert!(!meter.more_after(b"250 ok\r\n"), "none was said to follow");
        meter.expect_answers(4);
        assert!(meter.more_after(b"250-first\r\n250 ok\r\n"));
        assert!(meter.more_after(b"250 sender\r\n250 recip"));
        assert!(meter.more_after(b"\x17\x03\x03\n\n"), "beneath TLS nothing can be told");
        meter.expect_answers(2);
        assert!(!meter.more_after(b"250 ok\r\n354 go\r\n"));
        assert!(!meter.more_after(b"421 bye\r\n"));
    }
}
