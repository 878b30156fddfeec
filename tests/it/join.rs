//! Joining with confirmation, over real sockets, on both engines.

mod abuse;
mod api;
mod browsing;
mod commands;
mod confirming;
mod desk;
mod erased;
