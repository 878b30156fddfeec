//! What the version that governs says about mail that comes back.

use crate::domain::address::Address;
use crate::domain::project::Project;
use crate::domain::returns::ReturnLimits;

/// What counts at the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The address that mailings come from.
    pub sender: Option<Address>,
    /// Where answers go that came to an address of ours.
    pub reply_to: Option<Address>,
    /// The language of who reads answers (BCP 47).
    pub locale: String,
    /// Where mailing ends by itself.
    pub returns: ReturnLimits,
}

/// While no version governs: reports count, and answers wait with whoever looks at them.
impl Default for Rules {
    fn default() -> Self {
        Self { sender: None, reply_to: None, locale: "en".to_owned(), returns: ReturnLimits::default() }
    }
}

impl From<&Project> for Rules {
    fn from(project: &Project) -> Self {
        let sender = &project.sender;
        Self {
            sender: Address::parse(&sender.from_address).ok(),
            reply_to: sender.reply_to.as_deref().and_then(|address| Address::parse(address).ok()),
            locale: sender.locale.clone(),
            returns: project.returns,
        }
    }
}
