//! Colloquy, an email dialog-marketing campaign runner: send, listen, learn, send better.
//!
//! The house has floors, and imports go down only, never sideways between siblings:
//!
//! | floor | rooms |
//! |---|---|
//! | 5 front | `cli` |
//! | 4 assembly | `app`, `lifecycle`, `services`, `demo` |
//! | 3 services | `plan`, `send`, `track`, `pages`, `inbox`, `people`, `score`, `console`, `preview`, `doctor`, `backup` |
//! | 2 adapters | `clock`, `config`, `mail`, `mailbox`, `metrics`, `store`, `render`, `relay` |
//! | 1 domain | `domain` |
//!
//! `tests/it/floors.rs` reads the `use crate::` lines and fails on one that goes up or sideways.

// What commands print goes through `cli::out`; nothing else prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod app;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod demo;
pub mod doctor;
pub mod domain;
pub mod inbox;
pub mod lifecycle;
pub mod mail;
pub mod mailbox;
pub mod metrics;
pub mod pages;
pub mod people;
pub mod plan;
pub mod preview;
pub mod relay;
pub mod render;
pub mod score;
pub mod send;
pub mod services;
pub mod store;
pub mod track;
pub mod web;
