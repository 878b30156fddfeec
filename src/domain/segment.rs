//! The condition language of segments and audiences.

/// A checked condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As written.
    pub text: String,
}
