//! Identifiers. Each is its own type, so that a run cannot be passed for a recipient.

/// Declares an identifier that wraps the database's `BIGINT`.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A person with an address.
    RecipientId
}
id! {
    /// One execution of a campaign. A message is one run's copy for one recipient, so that the
    /// pair (run, recipient) is the message's identity.
    RunId
}
id! {
    /// A frozen state of the project's files, made by `apply` or by `send`.
    VersionId
}
id! {
    /// A process that claims work, known by its lease.
    NodeId
}
id! {
    /// A transactional mail.
    NoticeId
}
id! {
    /// Somebody's request to be mailed.
    JoinId
}
id! {
    /// A mail that came back.
    InboundId
}

impl RunId {
    /// In the place of a run for all notices, so that they share what carries messages: a notice is the
    /// "message" of this run to the "recipient" of its own number. No run has this number.
    pub const NOTICES: Self = Self(0);
}
