//! `colloquy join`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use clap::Subcommand;
use secrecy::ExposeSecret as _;

use crate::app::{App, Refused, Site};
use crate::config::secrets::new_api_key;
use crate::pages::join::snippet;

/// Joining from the sender's own site: the form's HTML, or a key for POST /api/subscribe.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Form(Form),
    Key(Key),
}

/// Print the join form as plain HTML, for a page of one's own.
///
/// What is sent with it comes back on the hosted page, filled in, where it is sent once more: that page knows when it
/// was shown, which keeps programs out. Wording, topics and fields are those of the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy join form\n  colloquy join form --language de >> site/index.html\n  \
    colloquy join form --topic news")]
pub struct Form {
    /// Language of the labels; default: the sender's.
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// For this topic, or for several of them; default: all that one can join.
    #[arg(long, value_name = "NAME")]
    topic: Vec<String>,
}

/// Make a key for POST /api/subscribe, and let it in.
///
/// The key is printed once and kept nowhere: the secrets file gets its SHA-256. A running service takes it after a
/// restart. To withdraw a key, remove its lines from the secrets file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy join key shop\n  \
    curl -H 'Authorization: Bearer KEY' -H 'Content-Type: application/json' \\\n    \
    -d '{\"address\": \"anna@example.org\", \"form_url\": \"https://shop.example/join\"}' \\\n    \
    https://t.shop.example/api/subscribe")]
pub struct Key {
    /// What it is for; names it in the secrets file.
    #[arg(value_name = "NAME")]
    name: String,
}

pub fn form(args: &Form, app: &App) -> Result<ExitCode> {
    let language = args.language.as_deref().unwrap_or(&app.loaded.project.sender.locale);
    let Some(html) = snippet(&app.loaded, language, &args.topic) else {
        let hint = "add [join] with topics = [\"…\"] to config/colloquy.toml";
        return Err(Refused(format!("nobody can join this project\n  hint: {hint}")).into());
    };
    let topics = app.loaded.join.as_ref().map(|join| &join.topics[..]).unwrap_or_default();
    if let Some(other) = args.topic.iter().find(|topic| !topics.contains(topic)) {
        let hint = format!("[join] has {}", topics.join(", "));
        return Err(Refused(format!("nobody can join '{other}'\n  hint: {hint}")).into());
    }
    std::io::stdout().write_all(html.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub fn key(args: &Key, site: &Site) -> Result<ExitCode> {
    let fits = !args.name.is_empty() && args.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !fits {
        let hint = "letters a-z, digits, - and _, as in shop";
        return Err(Refused(format!("'{}' cannot be a key's name\n  hint: {hint}", args.name)).into());
    }
    // Whatever is wrong with the file is said before anything is added to it.
    if site.secrets()?.api_keys().names().any(|name| name == args.name) {
        let hint = "choose another name, or remove its lines from the secrets file first";
        return Err(anyhow!(Refused(format!("there is a key '{}' already\n  hint: {hint}", args.name))));
    }
    let (key, lines) = new_api_key(&args.name, &SystemRandom::new()).context("no key could be made")?;
    let path = site.root.join(&site.machine.secrets_file);
    let mut file = OpenOptions::new().append(true).open(&path).with_context(|| path.display().to_string())?;
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).with_context(|| path.display().to_string())?;
    println!("{}", key.expose_secret());
    eprintln!("this key is shown once; restart a running service to let it in");
    Ok(ExitCode::SUCCESS)
}
