//! What comes back by mail: its kinds, the reasons that reports give, and what follows from each for the
//! recipient. How mail is read is in `mail`.

mod code;
mod effect;
mod judge;
mod rules;
mod signs;

pub use self::code::{EnhancedStatus, enhanced, reply_code};
pub use self::effect::{Author, Effect, Found, effect};
pub use self::judge::{Account, Stage, judge};
pub use self::signs::{Sign, sign};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A report that delivery failed.
    Bounce,
    /// A report that delivery takes longer, and is still tried.
    Delay,
    /// A feedback report: somebody called the mail unwanted (RFC 5965).
    Complaint,
    /// A program answered: out of office, receipts, challenges, notices of a change of address (RFC 3834).
    AutoReply,
    /// Somebody asks by mail to get no more.
    Unsubscribe,
    /// A person answered.
    Reply,
    /// Anything else.
    Other,
}

impl Kind {
    /// The word for it in results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Delay => "delay",
            Self::Complaint => "complaint",
            Self::AutoReply => "auto-reply",
            Self::Unsubscribe => "unsubscribe",
            Self::Reply => "reply",
            Self::Other => "other",
        }
    }
}

/// What follows for the recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The address is gone: never mail it again.
    Dead,
    /// It may work later; only a long run of failures says more.
    Retry,
    /// The sender is at fault or distrusted; the recipient stays.
    Block,
    /// The recipient does not want the mail: never mail it again.
    Complaint,
    /// Nothing.
    None,
}

impl Consequence {
    /// The word for it in results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Retry => "retry",
            Self::Block => "block",
            Self::Complaint => "complaint",
            Self::None => "none",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident $word:literal $consequence:ident;)+) => {
        /// Why a message came back. The words are those of `reasons.txt`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason { $($(#[$doc])+ $name,)+ }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word for it in rules and results.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// What follows from it when the failure is permanent.
            #[must_use]
            pub fn consequence(self) -> Consequence {
                match self { $(Self::$name => Consequence::$consequence),+ }
            }
        }
    };
}

reasons! {
    /// There is no such mailbox.
    UserUnknown "user-unknown" Dead;
    /// There is no such domain.
    HostUnknown "host-unknown" Dead;
    /// The mailbox has moved elsewhere.
    Moved "moved" Dead;
    /// The domain exists, and takes no mail at all (RFC 7505).
    NoMail "no-mail" None;
    /// The mailbox is full.
    MailboxFull "mailbox-full" Retry;
    /// The mailbox is disabled, suspended or unused.
    Inactive "inactive" Retry;
    /// Delivery was tried for too long.
    Expired "expired" Retry;
    /// The receiver asks every stranger to come again.
    Greylisted "greylisted" Retry;
    /// A fault on the way: name service, connection, route.
    Network "network" Retry;
    /// A fault in the receiving system.
    System "system" Retry;
    /// A fault that will pass.
    Temporary "temporary" Retry;
    /// SPF, DKIM, DMARC, TLS or a login failed.
    Authentication "authentication" Block;
    /// What the mail says or carries is taken for spam or a virus, or is forbidden.
    Content "content" Block;
    /// The sending host, network or domain is distrusted.
    Reputation "reputation" Block;
    /// Too much, too fast.
    Rate "rate" Block;
    /// A rule of the receiver against the sender or the mail.
    Policy "policy" Block;
    /// The server does not relay for us.
    Relaying "relaying" Block;
    /// The mail is larger than the receiver takes.
    TooBig "too-big" None;
    /// The mail or the dialogue broke a standard.
    Syntax "syntax" None;
    /// Refused as unknown, but not where the address alone is judged: after the content, or nobody says where.
    Unconfirmed "unconfirmed" None;
    /// The status says that the address is wrong; the words do not say the same.
    BadAddress "bad-address" None;
    /// Refused without a reason that says more.
    Refused "refused" None;
    /// A program that handles the recipient's mail failed.
    Mailer "mailer" None;
    /// The report gives no reason that is known.
    Unknown "unknown" None;
    /// The recipient complained.
    Complaint "complaint" Complaint;
    /// The mail arrived.
    Delivered "delivered" None;
    /// The recipient's side answered by itself.
    AutoReply "auto-reply" None;
}

impl Reason {
    /// The reason of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
    }

    /// Whether it lies in this address or host, and stays.
    #[must_use]
    pub fn is_hard(self) -> bool {
        matches!(self, Self::UserUnknown | Self::HostUnknown | Self::Moved | Self::NoMail | Self::BadAddress)
    }
}

/// What one recipient's part of a report comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Why.
    pub reason: Reason,
    /// Whether the fault lies in this address or host, and stays.
    pub hard: bool,
    /// What follows.
    pub consequence: Consequence,
    /// The rule that decided.
    pub rule: &'static str,
}
