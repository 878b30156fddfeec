//! The scorer over a real database: what comes in, late, moved, twice, from people who forbid it.

mod concurrency;
mod ledger;
mod rebuild;
pub mod support;
