//! Actions: what a hit, an answer or an imported event means once judged.

use super::time::Micros;

/// Kinds that the house itself records. Imported actions may bring kinds of their own; whether a
/// kind scores is decided by `[score.points]` alone.
pub mod kind {
    /// A message was opened; once per message.
    pub const OPEN: &str = "open";
    /// A link was followed; once per message and link.
    pub const CLICK: &str = "click";
    /// A person wrote back.
    pub const REPLY: &str = "reply";
    /// A program of the person answered, such as one that tells of a holiday.
    pub const AUTO_REPLY: &str = "auto_reply";
    /// A message came back: there is no such mailbox any more.
    pub const BOUNCE: &str = "bounce";
    /// A message came back: it may work later.
    pub const SOFT_BOUNCE: &str = "soft_bounce";
    /// A message came back: the sender is at fault or distrusted.
    pub const BLOCK: &str = "block";
    /// A message was reported as unwanted.
    pub const COMPLAINT: &str = "complaint";
    /// A topic was left.
    pub const UNSUBSCRIBE: &str = "unsubscribe";
    /// A hit that turned out not to be human after all. No rule should give it points.
    pub const VOID: &str = "void";
    /// Something was bought, booked, signed: imported.
    pub const CONVERSION: &str = "conversion";
}

/// What scoring needs of an action. The ledger of a person is ordered by (`at`, `id`).
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerEntry {
    /// When it happened.
    pub at: Micros,
    /// Tells apart actions of the same instant.
    pub id: i64,
    /// The action's kind.
    pub kind: String,
    /// What it was about.
    pub category: Option<String>,
}
