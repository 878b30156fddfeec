//! People: bringing them in with their consent, showing what is known about them, letting them go.
//!
//! Files come in and out here; what is written to the database, and under which lock, stands in
//! [`crate::store`].

pub mod actions;
pub mod columns;
pub mod error;
pub mod export;
pub mod import;
pub mod proof;
pub mod records;
pub mod retention;
mod show;
pub mod suppress;
pub mod table;
pub mod verify;

pub use error::{Error, Result};
