//! People in and out: import, consent, suppression, actions, export, erasure.

mod import;
mod support;
