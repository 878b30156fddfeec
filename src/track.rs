//! What readers do with a message: the pixel and the redirect, the spool that hits go to first,
//! the forwarder that takes them to the main database, and the judge.
//!
//! Answering needs neither the main database nor the network: a link carries its own signed target,
//! and its hit is on this machine's disk before the answer goes out.

mod agents;
mod client;
mod forwarder;
mod judge;
mod pace;
mod server;
mod spool;

pub use agents::agent;
pub use client::{Clients, Limited};
pub use forwarder::{Forwarder, ForwarderOptions};
pub use judge::{Judge, JudgeOptions};
pub use server::{Options, Tracker};
pub use spool::Intake;
