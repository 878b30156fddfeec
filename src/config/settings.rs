//! What belongs to a machine, its services and its relays, not to the content of mail.

use std::net::SocketAddr;

use super::dkim;
use super::machine::{self, Machine, Web};
use super::problem::Complaint;
use super::reader::Section;
use super::relay;
use super::value::Field;
use crate::domain::dkim::DkimConfig;
use crate::domain::relay::RelayConfig;

/// The settings of a project.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How this machine takes part.
    pub machine: Machine,
    /// In the file's order; at least one.
    pub relays: Vec<RelayConfig>,
    /// Name servers that are asked for mail hosts; none: the system's.
    pub name_servers: Vec<SocketAddr>,
    /// Keys that sign, in the file's order.
    pub dkim: Vec<DkimConfig>,
}

/// Reads all sections of settings but `[web]`, whose keys have two owners. `zone` is the sender's.
pub(super) fn read(root: &Section<'_>, web: Web, zone: &str) -> Settings {
    let servers = |dns: &Section<'_>| dns.field("servers").map(|field| servers(&field)).unwrap_or_default();
    Settings {
        machine: machine::read(root, root, web),
        relays: relay::relays(root, zone),
        name_servers: root.section("dns", servers),
        dkim: dkim::read(root),
    }
}

fn servers(field: &Field<'_>) -> Vec<SocketAddr> {
    let hint = "write IP and port, as in [\"192.0.2.53:53\"]";
    let one = |text: &str| {
        let complaint = || Complaint::new(format!("'{text}' is not the address of a name server")).hint(hint);
        text.parse().map_err(|_| field.error(complaint())).ok()
    };
    field.texts().into_iter().flatten().filter_map(one).collect()
}
