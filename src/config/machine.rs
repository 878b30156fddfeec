//! What this machine needs to reach the database and the network: the part of `config/colloquy.toml` that counts as it
//! stands on the disk, whatever was applied and whatever the rest of the files looks like.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check;
use super::files::{PROJECT_FILE, ProjectFiles, stays_inside};
use super::inbox::{self, Inbox};
use super::keys;
use super::problem::{Complaint, Problems, nearest};
use super::reader::{Doc, Section};
use crate::domain::network::Block;
use crate::domain::rate::Rate;

/// Without a key of its own, a burst is as much as these many seconds allow.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::new(5).unwrap();

/// How a machine takes part. Paths and the `SQLite` file are relative to the project's root.
#[derive(Clone, PartialEq)]
pub struct Machine {
    /// `sqlite:FILE` or `postgres://…`; may hold a password, so it is not for logs.
    pub database_url: String,
    /// Where its servers are reached without the pooler that `database_url` names, if it names one; the same goes for it.
    pub database_direct_url: Option<String>,
    /// The file of [`super::secrets::Secrets`].
    pub secrets_file: PathBuf,
    /// Where pixel, links and pages are served.
    pub web: Web,
    /// Where metrics, health and the live view are served.
    pub console_listen: SocketAddr,
    /// The ways in for mail that comes back.
    pub inbox: Inbox,
}

impl Machine {
    /// The file of an embedded database, as the project names it; `None` where the database is a server.
    #[must_use]
    pub fn database_file(&self) -> Option<&Path> {
        self.database_url.strip_prefix("sqlite:").map(|file| Path::new(file.trim_start_matches("//")))
    }
}

/// The listener for recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Proxies whose `X-Forwarded-For` is believed, besides those on loopback.
    pub trusted_proxies: Vec<Block>,
    /// Requests a second from one client network.
    pub per_network: NonZeroU32,
    /// Requests at once from one client network.
    pub burst: NonZeroU32,
}

/// Leaves out the database's URLs, which may hold a password.
impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { database_url: _, database_direct_url: _, secrets_file, web, console_listen, inbox } = self;
        f.debug_struct("Machine")
            .field("secrets_file", secrets_file)
            .field("web", web)
            .field("console_listen", console_listen)
            .field("inbox", inbox)
            .finish_non_exhaustive()
    }
}

/// How much of a machine a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The database and the secrets.
    Database,
    /// These, and where services listen.
    Services,
}

/// Reads what a command needs of the machine. Mistakes elsewhere do not matter, be they in the syntax of other lines.
///
/// # Errors
/// What is wrong with the sections that are needed; with the syntax, where it hides which database is meant.
pub fn machine(files: &ProjectFiles, reach: Reach) -> Result<Machine, Problems> {
    let mut problems = Vec::new();
    let Some(text) = super::read(files, PROJECT_FILE, &mut problems) else {
        problems.extend(problems.is_empty().then(super::no_project));
        return Err(Problems(problems));
    };
    let doc = Doc::new(PROJECT_FILE, &text, keys::PROJECT);
    let (machine, named) = doc.read_recovered(|root| {
        let nothing = Section::absent(&doc, "");
        let web = match reach {
            Reach::Services => root.section("web", |section| {
                section.field("base_url");
                section.field("pictures");
                web(section)
            }),
            Reach::Database => web(&Section::absent(&doc, "web")),
        };
        let machine = read(root, if reach == Reach::Services { root } else { &nothing }, web);
        let named = root.field("database").is_some();
        let misspelt = root.fields().into_iter().find(|f| !named && nearest(f.key, ["database"]).is_some());
        if let Some(field) = misspelt {
            let complaint = Complaint::new(format!("unknown key `{}`", field.key));
            field.key_error(complaint.hint("did you mean `database`?"));
        }
        (machine, named)
    });
    if !named {
        // Whether the default database is meant cannot be told from a file that is read in part.
        let _: Option<()> = doc.check_syntax();
    }
    problems.extend(doc.into_problems());
    if problems.is_empty() { Ok(machine) } else { Err(Problems(problems)) }
}

/// Reads `[database]` and `[secrets]` of `root`, `[console]` and `[inbox]` of `services`; `[web]` was read before, as its keys
/// have two owners.
pub(super) fn read(root: &Section<'_>, services: &Section<'_>, web: Web) -> Machine {
    let (database_url, database_direct_url) = root.section("database", |database| {
        let url = database.parsed("url", database_url);
        let direct = database.field("direct_url").and_then(|field| {
            let direct = field.parsed(database_url_of_servers)?;
            if url.as_ref().is_some_and(|url| url.starts_with("sqlite:")) {
                field.error(Complaint::new("this goes with the `url` of a pooler before PostgreSQL"));
            }
            Some(direct)
        });
        (url, direct)
    });
    let console_listen = services.section("console", |console| console.parsed("listen", check::listen));
    let inbox = services.section("inbox", inbox::read);
    let secrets_file = root.section("secrets", |secrets| secrets.parsed("file", secrets_file));
    Machine {
        database_url: database_url.unwrap_or_else(|| "sqlite:colloquy.db".into()),
        database_direct_url,
        secrets_file: secrets_file.unwrap_or_else(|| "config/secrets.toml".into()),
        web,
        console_listen: console_listen.unwrap_or_else(|| local(8081)),
        inbox,
    }
}

/// Reads the machine's keys of `[web]`.
pub(super) fn web(section: &Section<'_>) -> Web {
    const PER_NETWORK: NonZeroU32 = NonZeroU32::new(2_000).unwrap();
    let trusted_proxies = section.field("trusted_proxies").and_then(|field| {
        let read = |text| Block::parse(text).map_err(|fault| field.error(fault)).ok();
        Some(field.texts()?.into_iter().filter_map(read).collect())
    });
    let per_network = section.field("per_network").and_then(|field| {
        let rate = field.parsed(Rate::parse)?;
        let count = NonZeroU32::new(rate.count).filter(|_| rate.per == Duration::from_secs(1));
        if count.is_none() {
            field.error(Complaint::new("this must be a rate per second").hint("as in 2000/s"));
        }
        count
    });
    let per_network = per_network.unwrap_or(PER_NETWORK);
    let burst = section.field("burst").and_then(|field| NonZeroU32::new(field.count(1)?));
    Web {
        listen: section.parsed("listen", check::listen).unwrap_or_else(|| local(8080)),
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        per_network,
        burst: burst.unwrap_or_else(|| per_network.saturating_mul(BURST_SECONDS)),
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
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

fn database_url_of_servers(text: &str) -> Result<String, Complaint> {
    database_url(text).and_then(|url| match url.starts_with("sqlite:") {
        true => Err(Complaint::new("this is not PostgreSQL's URL").hint("postgres://user@host/database")),
        false => Ok(url),
    })
}

fn secrets_file(text: &str) -> Result<PathBuf, Complaint> {
    let published = ["config/campaigns/", "templates/"].iter().any(|directory| text.starts_with(directory));
    if text.is_empty() || published || (!text.starts_with('/') && !stays_inside(text)) {
        let complaint = Complaint::new("secrets cannot be kept there");
        return Err(complaint.hint("config/secrets.toml, or an absolute path outside of the project"));
    }
    Ok(text.into())
}
