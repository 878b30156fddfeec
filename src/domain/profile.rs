//! What composing a mail knows of its recipient.

use super::address::Address;
use super::id::RecipientId;

/// A recipient at one instant, as templates see them.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Who.
    pub recipient: RecipientId,
    /// Where the mail goes.
    pub address: Address,
    /// Attributes by name: strings, numbers, booleans; dates are ISO strings.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// Which of the person's attributes these are: how often they had changed.
    pub revision: i64,
    /// The score at that instant.
    pub score: f64,
    /// The cluster at that instant.
    pub cluster: Option<String>,
    /// Shares by category, each above zero, summing to one; empty when nothing is known.
    pub affinities: Vec<(String, f64)>,
    /// Whether hits may be kept with the person. Without it: plain links, no pixel.
    pub tracking: bool,
}

impl Profile {
    /// The recipient's share for a category, zero when nothing is known.
    #[must_use]
    pub fn affinity(&self, category: &str) -> f64 {
        self.affinities.iter().find(|(c, _)| c == category).map_or(0.0, |(_, share)| *share)
    }
}
