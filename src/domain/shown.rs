//! What somebody saw when they decided, and from where they did: part of the proof of a permission.

use serde::Serialize;

/// A page, and who answered it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What it said; none where a program decided for the person (RFC 8058).
    #[serde(flatten)]
    pub words: Option<Words>,
    /// Where it is, without the token by which it was opened.
    pub form_url: String,
    /// Who answered it.
    pub request: Request,
}

/// The words that somebody agreed to, or took back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Words {
    /// As the page said them.
    pub wording: String,
    /// Which files they come from.
    pub wording_version: String,
    /// In which language (BCP 47).
    pub language: String,
}

/// Who answered a page, as far as a request tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The client's network, truncated; empty for unknown.
    pub network: String,
    /// What the client calls itself.
    pub user_agent: String,
}
