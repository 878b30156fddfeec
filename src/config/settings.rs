//! What belongs to a machine, its services and its relays, not to the content of mail.

use super::dkim;
use super::machine::{self, Machine, Web};
use super::reader::Section;
use super::relay;
use crate::domain::dkim::DkimConfig;
use crate::domain::relay::RelayConfig;

/// The settings of a project.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How this machine takes part.
    pub machine: Machine,
    /// In the file's order; at least one.
    pub relays: Vec<RelayConfig>,
    /// Keys that sign, in the file's order.
    pub dkim: Vec<DkimConfig>,
}

/// Reads all sections of settings but `[web]`, whose keys have two owners. `zone` is the sender's.
pub(super) fn read(root: &Section<'_>, web: Web, zone: &str) -> Settings {
    Settings { machine: machine::read(root, root, web), relays: relay::relays(root, zone), dkim: dkim::read(root) }
}
