//! Floor 2: (frozen campaign, profile, seed) → bytes.
//!
//! [`Mailing::compile`] does all work that is the same for every recipient: it puts layouts and
//! partials in place, finds and numbers the links, derives the text part, checks every name. Per
//! message only rendering, signing and encoding are left. Nothing here reads files, the clock or
//! random numbers: equal input gives equal bytes.

mod lint;
mod mailing;
mod problem;

pub use lint::Lint;
pub use mailing::{Envelope, Explained, Mailing, Rendered, RenderedLink, Scratch};
pub use problem::{RenderError, TemplateProblem};
