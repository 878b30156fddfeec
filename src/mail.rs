//! Mail that comes back, read with mail-parser: delivery reports, standard or not, feedback reports, automatic
//! answers, requests to unsubscribe, replies. What the words mean is in [`crate::domain::inbound`].
//!
//! It touches no database, never fails, and its cost is bounded: of a message it reads the first
//! [`MOST_BYTES`], of each text the first 64 KiB.

mod address;
mod answer;
mod classify;
mod feedback;
mod fields;
mod headers;
mod letter;
mod notification;
mod reply;
mod report;
mod told;

#[cfg(test)]
mod tests;

pub use self::classify::{Classified, Evidence, MOST_BYTES, Recipient, classify};
pub use self::headers::{Headers, headers};
pub use self::reply::{MOST_REPLY, reply_text};
