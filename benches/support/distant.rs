//! A server that is some way off: what is sent to it and what it answers arrives later, as over a long line.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// In each direction.
const AWAY: Duration = Duration::from_millis(10);

/// A port of loopback behind which another one is, far away.
pub struct Distant {
    /// Where it listens.
    pub port: u16,
    /// When something was sent to the server: first and last.
    sent: Arc<Mutex<Option<(Instant, Instant)>>>,
}

impl Distant {
    /// Starts one; it ends with the benchmark.
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::<Mutex<Option<(Instant, Instant)>>>::default();
        let times = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server))) else { return };
                let (Ok(back), Ok(answers)) = (client.try_clone(), server.try_clone()) else { return };
                let times = Arc::clone(&times);
                carry(client, server, move || {
                    let (mut times, now) = (times.lock().unwrap(), Instant::now());
                    *times = Some((times.map_or(now, |(first, _)| first), now));
                });
                carry(answers, back, || ());
            }
        });
        Self { port, sent }
    }

    /// From the first octet to the last that was sent to the server since this was asked before.
    pub fn busy(&self) -> Duration {
        let (first, last) = self.sent.lock().unwrap().take().unwrap();
        last - first
    }
}

/// Takes what comes from one side to the other, each piece in its time.
fn carry(mut from: TcpStream, mut to: TcpStream, seen: impl Fn() + Send + 'static) {
    let _ = to.set_nodelay(true);
    let (send, pieces) = channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = [0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            seen();
            if send.send((Instant::now() + AWAY, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in pieces {
            let (_never, clock) = channel::<()>();
            let _ = clock.recv_timeout(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
