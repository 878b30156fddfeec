//! The other end of a connection has to read: whoever leaves an answer lying is hung up on, so that no answer is kept in
//! memory for somebody who does not take it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How fast a client has to take an answer.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// So long it may take in any case.
    pub patience: Duration,
    /// And a second more for so many octets.
    pub rate: u32,
}

impl Default for Reading {
    /// Half a minute, and 16 KB a second.
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), rate: 16 * 1_024 }
    }
}

/// A connection that ends when its other end reads too slowly.
pub(super) struct Read {
    stream: TcpStream,
    reading: Reading,
    /// When it ends, while something waits to be taken.
    due: Option<Pin<Box<Sleep>>>,
}

impl Read {
    pub(super) fn new(stream: TcpStream, reading: Reading) -> Self {
        Self { stream, reading, due: None }
    }

    fn judge(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                let due = self.due.get_or_insert_with(|| Box::pin(sleep(self.reading.patience)));
                due.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(Ok(octets)) => {
                if let Some(due) = &mut self.due {
                    let more = Duration::from_secs(octets as u64) / self.reading.rate.max(1);
                    let until = due.deadline() + more;
                    due.as_mut().reset(until);
                }
                Poll::Ready(Ok(octets))
            }
            failed => failed,
        }
    }
}

impl AsyncRead for Read {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Read {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, octets);
        this.judge(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, octets);
        this.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// All of an answer was taken once this is done.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        if flushed.is_ready() {
            this.due = None;
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
