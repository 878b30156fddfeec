//! Notices: transactional mails, which go to who asked for them a moment ago.

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// Asks whether somebody wants to be mailed.
    Confirm,
    /// Tells somebody who asked to join that they had joined before.
    AlreadySubscribed,
    /// Brings a link that opens what a forwarded mail must not open.
    FreshLink,
    /// Asks at a new address whether it shall take the place of the old one.
    ChangeAddress,
    /// Tells the old address that another one has taken its place.
    AddressChanged,
    /// Brings what a recipient has answered to whoever reads answers.
    ForwardedReply,
}

impl NoticeKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Confirm,
        Self::AlreadySubscribed,
        Self::FreshLink,
        Self::ChangeAddress,
        Self::AddressChanged,
        Self::ForwardedReply,
    ];

    /// The word in the database, in reports, and in the names of templates.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::AlreadySubscribed => "already_subscribed",
            Self::FreshLink => "fresh_link",
            Self::ChangeAddress => "change_address",
            Self::AddressChanged => "address_changed",
            Self::ForwardedReply => "forwarded_reply",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What its templates may use of its data, besides `sender`, `address` and `language`.
    #[must_use]
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Confirm => &["url", "topics", "wording", "tracking_wording", "hours"],
            Self::AlreadySubscribed => &["url", "topics"],
            Self::FreshLink | Self::ChangeAddress => &["url", "minutes"],
            Self::AddressChanged => &[],
            Self::ForwardedReply => &["from", "name", "recipient", "title", "text", "mail"],
        }
    }
}
