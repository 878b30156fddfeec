//! What may happen.

/// A step of a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A node claims the next part of the audience.
    ClaimNext,
    /// A node claims what waits or was deferred.
    ClaimDue,
    /// A node writes marks down, some of them wrong.
    Mark,
    /// A node is declared dead; another one starts.
    Bury,
    /// A node's round: whoever holds messages without a lease is buried, runs that are over are cleared.
    LookAround,
    /// A living node finds that it holds what it does not have in hand.
    ReleaseStrays,
    /// Somebody leaves, comes back, is suppressed or no longer, or pauses.
    Decide,
    /// Somebody pauses, resumes or cancels a run.
    Govern,
    /// A node finds nothing left of a run.
    End,
    /// Time passes.
    Time,
}

/// All steps, with how often each is played: the more it brings about, the more often.
pub const STEPS: [(Step, u32); 10] = [
    (Step::ClaimNext, 2),
    (Step::ClaimDue, 3),
    (Step::Mark, 6),
    (Step::Bury, 1),
    (Step::LookAround, 1),
    (Step::ReleaseStrays, 1),
    (Step::Decide, 2),
    (Step::Govern, 1),
    (Step::End, 2),
    (Step::Time, 2),
];
