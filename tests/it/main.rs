//! Integration tests: one binary, one module per subject.

mod applied;
mod brake;
mod console;
mod demo;
mod deploy;
mod floors;
mod hits;
mod http;
mod kill;
mod pages;
mod peers;
mod people;
mod permissions;
mod plan;
mod project;
mod relay;
mod reports;
mod schema;
mod score;
mod segments;
mod sending;
mod service;
mod support;
mod tour;
mod tracking;
mod trouble;
