//! Who reads a page, as far as a request tells.

use std::net::IpAddr;

use hyper::header::{ACCEPT_LANGUAGE, HeaderMap, HeaderValue, USER_AGENT};

use crate::domain::hit::MAX_USER_AGENT;
use crate::domain::network::Network;
use crate::domain::shown::Request;
use crate::web::Proxies;

/// The reader of one page.
pub(super) struct Reader {
    /// None behind a proxy that names nobody.
    pub(super) client: Option<IpAddr>,
    /// What is kept of it as proof.
    pub(super) request: Request,
    /// The languages that the browser likes.
    pub(super) accepted: String,
}

impl Reader {
    pub(super) fn new(proxies: &Proxies, peer: IpAddr, headers: &HeaderMap) -> Self {
        let client = proxies.client(peer, headers);
        let mut user_agent = word(headers, USER_AGENT);
        user_agent.truncate(user_agent.floor_char_boundary(MAX_USER_AGENT));
        let network = client.map(|client| Network::from(client).to_string()).unwrap_or_default();
        Self { client, request: Request { network, user_agent }, accepted: accepted(headers) }
    }
}

/// The languages that a browser likes.
pub(super) fn accepted(headers: &HeaderMap) -> String {
    word(headers, ACCEPT_LANGUAGE)
}

fn word(headers: &HeaderMap, name: hyper::header::HeaderName) -> String {
    String::from_utf8_lossy(headers.get(name).map_or(b"", HeaderValue::as_bytes)).into_owned()
}
