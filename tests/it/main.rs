//! Integration tests: one binary, one module per subject.

mod permissions;
mod schema;
mod support;
