//! Joining with confirmation, over real sockets, on both engines.

mod abuse;
mod api;
mod commands;
mod confirming;
pub mod desk;
mod erased;
