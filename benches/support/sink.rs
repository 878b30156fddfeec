//! Postfix's test server and test client.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Daemon, Usage, free_port, program};

/// `smtp-sink`: takes every message and forgets it.
pub struct Sink {
    /// Where it listens on loopback.
    pub port: u16,
    _daemon: Daemon,
}

impl Sink {
    /// Starts one that counts what it takes.
    pub fn start() -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut sink = program("smtp-sink");
        // It does not run as root.
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            sink.args(["-u", "nobody"]);
        }
        let daemon = Daemon::start(sink.args(["-c", &address, "1024"]), port);
        Self { port, _daemon: daemon }
    }

    /// Sends a prepared message many times over kept connections, by `smtp-source -d`.
    pub fn source(&self, message: &Path, count: usize, sessions: usize) -> Usage {
        let (count, sessions) = (count.to_string(), sessions.to_string());
        let address = format!("127.0.0.1:{}", self.port);
        let options = ["-d", "-s", &sessions, "-m", &count, "-f", "news@bench.example", "-t", "reader@domain.example"];
        Usage::of(program("smtp-source").args(options).arg("-F").arg(message).arg(&address))
    }
}
