//! What belongs to a machine and its services, not to the content of mail.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::check;
use super::files::stays_inside;
use super::problem::Complaint;
use super::reader::Section;
use super::relay;
use crate::domain::relay::{DkimConfig, RelayConfig};

/// The settings of this machine. Paths and the `SQLite` file are relative to the project's root.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// `sqlite:FILE` or `postgres://…`; may hold a password, so it is not for logs.
    pub database_url: String,
    /// Where pixel, links and pages are served.
    pub web_listen: SocketAddr,
    /// Where metrics, health and the live view are served.
    pub console_listen: SocketAddr,
    /// The file of [`super::secrets::Secrets`].
    pub secrets_file: PathBuf,
    /// In the file's order; at least one.
    pub relays: Vec<RelayConfig>,
    /// Keys that sign, in the file's order.
    pub dkim: Vec<DkimConfig>,
}

/// Leaves out the database's URL, which may hold a password.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { database_url: _, web_listen, console_listen, secrets_file, relays, dkim } = self;
        f.debug_struct("Settings")
            .field("web_listen", web_listen)
            .field("console_listen", console_listen)
            .field("secrets_file", secrets_file)
            .field("relays", relays)
            .field("dkim", dkim)
            .finish_non_exhaustive()
    }
}

/// Reads all sections of settings but `[web]`, whose keys have two owners.
pub(super) fn read(root: &Section<'_>, web_listen: Option<SocketAddr>) -> Settings {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let database_url = root.section("database", |database| database.parsed("url", database_url));
    let console_listen = root.section("console", |console| console.parsed("listen", check::listen));
    let secrets_file = root.section("secrets", |secrets| secrets.parsed("file", secrets_file));
    Settings {
        database_url: database_url.unwrap_or_else(|| "sqlite:colloquy.db".into()),
        web_listen: web_listen.unwrap_or_else(|| local(8080)),
        console_listen: console_listen.unwrap_or_else(|| local(8081)),
        secrets_file: secrets_file.unwrap_or_else(|| "config/secrets.toml".into()),
        relays: relay::relays(root),
        dkim: relay::dkim(root),
    }
}

fn database_url(text: &str) -> Result<String, Complaint> {
    let network = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    let file = text.strip_prefix("sqlite:").map(|file| file.strip_prefix("//").unwrap_or(file));
    match network.or(file) {
        Some("") | None => {
            Err(Complaint::new("this is not a database's URL")
                .hint("sqlite:colloquy.db, or postgres://user@host/database"))
        }
        Some(_) if text.contains("password=") => Err(Complaint::new("a password does not belong into the URL's query")
            .hint("set PGPASSWORD in the service's environment")),
        Some(_) => Ok(text.to_owned()),
    }
}

fn secrets_file(text: &str) -> Result<PathBuf, Complaint> {
    let published = ["config/campaigns/", "templates/"].iter().any(|directory| text.starts_with(directory));
    if text.is_empty() || published || (!text.starts_with('/') && !stays_inside(text)) {
        let complaint = Complaint::new("secrets cannot be kept there");
        return Err(complaint.hint("config/secrets.toml, or an absolute path outside of the project"));
    }
    Ok(text.into())
}
