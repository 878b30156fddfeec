//! People in and out: import, consent, suppression, actions, export, erasure.

mod actions;
mod erasure;
mod export;
mod import;
mod moving;
mod show;
mod support;
mod suppress;
