//! What a mailing should not go out with.

/// Something in a rendered mailing that a marketer should repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lint {
    /// A click on this link would say nothing about interests.
    LinkWithoutCategory {
        /// The link's number.
        number: u16,
        /// Where it leads.
        url: String,
    },
    /// The HTML part has no link to unsubscribe.
    NoUnsubscribeInHtml,
    /// The text part has no link to unsubscribe.
    NoUnsubscribeInText,
    /// The HTML is larger than what Gmail shows.
    HtmlClipped {
        /// Octets of the HTML part.
        size: usize,
    },
    /// The sender's postal address is not in the mailing.
    NoPostalAddress,
    /// Nothing stands in the subject.
    EmptySubject,
}
