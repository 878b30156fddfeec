//! Integration tests: one binary, one module per subject.

mod people;
mod permissions;
mod relay;
mod schema;
mod score;
mod support;
