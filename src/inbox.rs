//! What comes back by mail: the ways in, and what follows from each mail.
//!
//! Every way hands its mails to the [`Intake`], and tells whoever brought one that it was taken only once it is on disk.
//! A mail is known by its content, so that one which is brought again after a crash is taken once. The [`Reader`] handles
//! what was taken in. What a mail is, is decided in [`crate::mail`]; what follows, in [`crate::domain::inbound`].

mod addresses;
mod apply;
mod forward;
mod intake;
mod limits;
pub mod lmtp;
pub mod mailboxes;
mod read;
mod reader;
mod rules;
mod whose;

pub use addresses::Addresses;
pub use intake::{Arrival, Intake, MOST_KEPT, Taken};
pub use reader::{Parts, Reader};
pub use rules::Rules;
