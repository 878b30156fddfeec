//! Faults, staged at random, and the account that must be right after each of them: what the sink took, what the
//! database says, what the spool holds.
//!
//! The short form runs with all tests, but for what takes root. `make faults` runs everything in the long form and prints a
//! table of what was done. What is random follows from a seed, which is printed; `COLLOQUY_SEED=7 make faults` plays that
//! one alone, as far as processes and the machine's load let it be the same.

mod account;
mod cells;
mod clocks;
mod delays;
mod disks;
pub mod form;
mod frozen;
mod kills;
mod leaving;
mod network;
mod readers;
mod restarts;
mod service;
mod sink;
mod staged;
mod takeover;
mod twins;
mod wall;
