//! Ports of loopback for programs that are told where to listen.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use rand::RngExt as _;

/// A port on which nobody listens and that nobody else is given until this process ends: below those that Linux takes
/// by itself for connections and for port 0 (`ip_local_port_range`), and locked against other tests.
pub fn free_port() -> u16 {
    let locks = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut random = colloquy::clock::random();
    loop {
        let port = random.random_range(10_000..30_000);
        let lock = File::create(locks.join(format!("port-{port}"))).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            std::mem::forget(lock);
            return port;
        }
    }
}

/// Its address.
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}
