//! Integration tests: one binary, one module per subject.

mod deploy;
mod floors;
mod console;
mod hits;
mod http;
mod pages;
mod people;
mod permissions;
mod plan;
mod relay;
mod reports;
mod schema;
mod score;
mod segments;
mod support;
mod tracking;
