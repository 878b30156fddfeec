//! Joining with confirmation, over real sockets, on both engines.

mod abuse;
mod api;
mod confirming;
mod desk;
