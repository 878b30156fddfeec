//! What the version that governs says about all sending.

use crate::domain::rate::Rate;
use crate::domain::returns::ReturnLimits;
use crate::relay::{Exchanges, Relay};
use crate::render::Signer;

/// What a version of the files says about all sending.
pub struct Rules {
    /// What every run asks for.
    pub limits: Limits,
    /// Where the mail goes.
    pub relays: Vec<Relay>,
    /// Who tells which host takes a domain's mail.
    pub exchanges: Exchanges,
    /// Who signs it.
    pub signer: Signer,
}

/// The rules that every run asks for.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    /// At most so many messages to one person.
    pub frequency_cap: Option<Rate>,
    /// The share of rejections at which a run pauses itself.
    pub pause_at_rejections: Option<f64>,
    /// Where mail that comes back ends mailing.
    pub returns: ReturnLimits,
}
