//! Clients that take their answer slowly, or not at all, over real sockets.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use colloquy::web::{Answer, Handler, Limits, Reading};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::Server;

/// More than the kernel keeps for both ends of a connection.
const SIZE: usize = 16 * 1_024 * 1_024;

/// Answers with very much, and counts.
#[derive(Clone, Default)]
struct Much {
    /// Answers so far.
    answers: Arc<AtomicUsize>,
    /// Those that are in memory.
    kept: Arc<AtomicUsize>,
}

struct Kept(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Handler for Much {
    async fn answer(&self, _: Request<Incoming>, _: IpAddr) -> Answer {
        self.answers.fetch_add(1, Ordering::SeqCst);
        self.kept.fetch_add(1, Ordering::SeqCst);
        Answer::new(Bytes::from_owner(Kept(vec![b'x'; SIZE], Arc::clone(&self.kept))).into())
    }
}

impl Much {
    /// Once there was an answer, and none is in memory any more: how many there were.
    async fn let_go(&self) -> usize {
        loop {
            let answers = self.answers.load(Ordering::SeqCst);
            if answers > 0 && self.kept.load(Ordering::SeqCst) == 0 {
                return answers;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn ask(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.unwrap();
    stream
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_let_go() {
    let much = Much::default();
    let reading = Reading { patience: Duration::from_millis(200), rate: u32::MAX };
    let server = Server::start(much.clone(), Limits { reading, ..Limits::default() }).await;
    let mut silent = ask(&server).await;
    assert_eq!(much.let_go().await, 1);
    let mut taken = Vec::new();
    let _ = silent.read_to_end(&mut taken).await;
    assert!(taken.len() < SIZE, "all of it was sent");
}

#[tokio::test]
async fn whoever_reads_slowly_and_steadily_gets_all_of_it() {
    let much = Much::default();
    let reading = Reading { patience: Duration::from_secs(2), rate: 64 * 1_024 };
    let server = Server::start(much.clone(), Limits { reading, ..Limits::default() }).await;
    let mut steady = ask(&server).await;
    let (mut taken, mut part) = (0, vec![0; 64 * 1_024]);
    loop {
        match steady.read(&mut part).await.unwrap() {
            0 => break,
            octets => taken += octets,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(taken > SIZE, "{taken} octets");
    assert_eq!(much.let_go().await, 1);
}

#[tokio::test]
async fn whoever_asks_for_more_and_more_without_reading_is_answered_no_further() {
    let much = Much::default();
    let reading = Reading { patience: Duration::from_millis(500), rate: u32::MAX };
    let server = Server::start(much.clone(), Limits { reading, ..Limits::default() }).await;
    let mut greedy = TcpStream::connect(server.address).await.unwrap();
    greedy.write_all("GET / HTTP/1.1\r\nHost: t\r\n\r\n".repeat(50).as_bytes()).await.unwrap();
    let answers = much.let_go().await;
    assert!(answers < 10, "{answers} answers were made");
}
