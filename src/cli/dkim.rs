//! `colloquy dkim`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::Subcommand;

use crate::app::{App, Refused, Site};
use crate::config;
use crate::domain::dkim::{Algorithm, DkimConfig, SigningKey, zone_strings};

/// Keys that sign mail (DKIM): make one, or show what DNS should say of those in use.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    New(New),
    Show(Show),
}

/// Make a key, and print its DNS record and the lines for config/colloquy.toml.
///
/// The key is written with mode 0600 and never overwrites a file. To rotate: make a key, publish its
/// record, put its lines before those of the old key and apply; keep the old record for a week.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy dkim new shop.example\n  \
                        colloquy dkim new shop.example --algorithm ed25519     a second signature beside RSA\n  \
                        colloquy dkim new shop.example --selector spring")]
pub struct New {
    /// The domain that signs: that of From, or one above it.
    domain: String,
    /// The key's name in DNS. Default: the month, as in c202611; c202611e for Ed25519.
    #[arg(long)]
    selector: Option<String>,
    /// RSA is what everybody verifies.
    #[arg(long, value_enum, default_value_t = Kind::Rsa)]
    algorithm: Kind,
}

/// Print the DNS records of the configured keys, and which of them sign the sender's mail.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy dkim show\n  colloquy -C shop dkim show")]
pub struct Show {}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// RSA with 2048 bits.
    Rsa,
    /// Ed25519 (RFC 8463).
    Ed25519,
}

pub fn new(args: &New, site: &Site) -> Result<ExitCode> {
    let refused = |complaint: config::problem::Complaint| {
        let hint = complaint.hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        anyhow!(Refused(format!("{}{hint}", complaint.message)))
    };
    let domain = config::dkim::domain(&args.domain).map_err(refused)?;
    let algorithm = match args.algorithm {
        Kind::Rsa => Algorithm::Rsa,
        Kind::Ed25519 => Algorithm::Ed25519,
    };
    let selector = match &args.selector {
        Some(selector) => config::dkim::selector(selector).map_err(refused)?,
        None => by_month(site, algorithm),
    };
    let key_file = format!("config/dkim-{domain}-{selector}.pem");
    let path = site.root.join(&key_file);
    if path.exists() {
        return Err(anyhow!(Refused(format!(
            "{key_file} exists\n  hint: --selector NAME gives the new key another name"
        ))));
    }
    let key = config::dkim::generate(algorithm, &path).with_context(|| format!("{key_file} cannot be written"))?;
    let config = DkimConfig { domain, selector, key_file: key_file.into() };
    println!("The private key is in {}. Keep it secret. Publish this record:\n", config.key_file.display());
    print_record(&config, &key);
    println!("\nWhen DNS answers with it, add to config/colloquy.toml, before other keys of the domain, and apply:\n");
    println!("[[dkim]]\ndomain = \"{}\"\nselector = \"{}\"", config.domain, config.selector);
    println!("key_file = \"{}\"", config.key_file.display());
    Ok(ExitCode::SUCCESS)
}

pub fn show(app: &App) -> Result<ExitCode> {
    let signer = app.site().signer(&app.loaded)?;
    let from = &app.loaded.project.sender.from_address;
    let from = from.rsplit_once('@').map_or(from.as_str(), |(_, domain)| domain);
    if signer.keys().is_empty() {
        println!("no [[dkim]] in config/colloquy.toml: the relay signs, or nobody\n  hint: colloquy dkim new {from}");
    }
    for (n, (config, key)) in signer.keys().iter().enumerate() {
        let signs = signer.of(from).any(|(signing, _)| signing == config);
        let verdict = if signs { "signs" } else { "does not sign" };
        println!("{}{}: {verdict} mail from {from}\n", if n == 0 { "" } else { "\n" }, config.key_file.display());
        print_record(config, key);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_record(config: &DkimConfig, key: &SigningKey) {
    println!("{}. IN TXT (\n    {} )", config.record_name(), zone_strings(&key.record()));
}

/// A name that says how old the key is; of the two algorithms each needs its own.
fn by_month(site: &Site, algorithm: Algorithm) -> String {
    let now = jiff::Timestamp::from(site.clock.now()).to_zoned(jiff::tz::TimeZone::UTC);
    let suffix = match algorithm {
        Algorithm::Rsa => "",
        Algorithm::Ed25519 => "e",
    };
    format!("c{}{suffix}", now.strftime("%Y%m"))
}
