//! Integration tests: one binary, one module per subject.

mod permissions;
mod relay;
mod schema;
mod support;
