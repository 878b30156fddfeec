//! Why an address is suppressed, and who may take that back.

/// The reason of a person who was erased.
pub const ERASED: &str = "erased";
/// The reason of a person who left for good.
pub const UNSUBSCRIBED: &str = "unsubscribed";
/// The reason of an address that its person has given up for another one.
pub const MOVED: &str = "moved";

/// The reason of an address that a report has called dead.
pub const BOUNCED: &str = "bounced";
/// The reason of an address to which nothing could be delivered for long.
pub const UNREACHABLE: &str = "unreachable";
/// The reason of a person who has reported a mail as unwanted.
pub const COMPLAINED: &str = "complaint";

/// What persons set themselves.
pub const PERSONS_OWN: [&str; 3] = [ERASED, UNSUBSCRIBED, MOVED];

/// Whether a person may take a suppression back by joining anew: what persons have set, they may. What others have
/// set stays until an operator takes it back (`colloquy suppress --remove`): a hard bounce, a complaint, a list.
/// Such an address does not even get the mail that asks whether it wants to join, since anybody can have it sent,
/// and one more complaint harms the delivery of everybody's mail.
#[must_use]
pub fn is_persons_own(reason: &str) -> bool {
    PERSONS_OWN.contains(&reason)
}

/// Whether a suppression goes along when its person has another address confirmed: it does when others have set it about
/// the person (a complaint, a list), not when it says that the old address takes no mail.
#[must_use]
pub fn follows(reason: &str) -> bool {
    !is_persons_own(reason) && ![BOUNCED, UNREACHABLE].contains(&reason)
}
