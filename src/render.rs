//! Floor 2: (frozen campaign, profile, seed) → bytes.
//!
//! [`Mailing::compile`] does all work that is the same for every recipient: it puts layouts and
//! partials in place, makes HTML of MJML, inlines the styles, finds and numbers the links, derives
//! the text part, checks every name. Per message only rendering, signing and encoding are left. Nothing here reads files, the clock or
//! random numbers: equal input gives equal bytes.

mod body;
mod compile;
mod dkim;
mod draft;
mod edition;
mod flatten;
mod headers;
mod helpers;
mod html;
mod images;
mod inline;
mod job;
mod links;
mod lint;
mod local_helpers;
mod locale;
mod mailing;
mod message;
mod message_helpers;
mod mime;
mod mjml;
mod notice;
mod offers;
mod opening;
mod paths;
mod problem;
mod program;
mod signatures;
mod tag;
mod target;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod traced;
mod utm;
mod variables;
mod written;

pub use dkim::{Signer, SigningError};
pub use lint::Lint;
pub use locale::day_in_words;
pub use mailing::{Envelope, Explained, Mailing, Rendered, RenderedLink, Scratch};
pub use message::message_key;
pub use notice::Notices;
pub use problem::{RenderError, TemplateProblem};
