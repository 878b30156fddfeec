//! `colloquy preview`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result, anyhow};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Refused, Site};
use crate::config::watch::Watch;
use crate::domain::address::Address;
use crate::domain::campaign::Campaign;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::profile::Profile;
use crate::domain::time::Micros;
use crate::lifecycle::Stop;
use crate::preview::{self, Preview, throwaway_keys};
use crate::render::{Envelope, Scratch};
use crate::store::audience::{self, Audience};
use crate::store::{profiles, recipients};
use crate::web;

/// Look at a campaign's mail in the browser, renewed at every change of its files.
///
/// A page on this machine shows the mail as HTML, text and source, with headers, links and size, or
/// what is wrong with the files. With --print, --part, or where the output is no terminal, the mail
/// is printed instead. Nothing is written, and links of such a mail lead nowhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy preview spring-running\n  \
    colloquy preview spring-running --as anna@example.org --at 2026-12-24T09:00:00+01:00\n  \
    colloquy preview spring-running --listen 127.0.0.1:8090 --no-open\n  \
    colloquy preview spring-running > mail.eml\n  \
    colloquy preview spring-running --part links")]
pub struct Args {
    /// The campaign's name.
    campaign: String,
    /// For this recipient; default: the first whom the campaign would reach.
    #[arg(long = "as", value_name = "ADDRESS")]
    recipient: Option<String>,
    /// As it would be at this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Micros::parse_rfc3339)]
    at: Option<Micros>,
    /// Where the page is served: an address of this machine itself.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// Do not open the browser; only say where the page is.
    #[arg(long)]
    no_open: bool,
    /// Print the mail instead of serving a page.
    #[arg(long)]
    print: bool,
    /// What to print: source, html, text, or the numbered links as JSON.
    #[arg(long, value_enum)]
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Part {
    /// The whole message as a relay gets it.
    Source,
    /// The HTML part.
    Html,
    /// The text part.
    Text,
    /// The numbered links with their categories, as JSON.
    Links,
}

/// The page shows recipients' data, so that no other machine may reach it.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write IP and port, as in 127.0.0.1:8090".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("the preview is for this machine alone: 127.0.0.1 or [::1]; from elsewhere, ssh -L 8090:127.0.0.1:8090".into())
}

pub async fn run(args: Args, site: Site) -> Result<ExitCode> {
    let served = args.no_open || std::io::stdout().is_terminal();
    if args.print || args.part.is_some() || !served {
        return print(&args, &App::open(&site.root, site.clock.clone())?).await;
    }
    serve(&args, site).await
}

async fn serve(args: &Args, site: Site) -> Result<ExitCode> {
    let store = match site.has_database() {
        true => site.store().await.inspect_err(|error| eprintln!("note: {error:#}; a made-up recipient is shown")).ok(),
        false => None,
    };
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("{} is taken", args.listen))?;
    let address = listener.local_addr()?;
    let watch = Watch::start(&site.root).context("the files cannot be watched")?;
    let stop = Stop::on_signals()?;
    let end = CancellationToken::new();
    let preview = Preview::new(preview::Options { root: site.root, store, clock: site.clock }, end.clone());
    let path = preview.path(&args.campaign, args.recipient.as_deref(), args.at);
    println!("http://{address}{path}\nCtrl-C ends it.");
    if !args.no_open {
        open(&format!("http://{address}{}", preview.once(path)));
    }
    let work = async {
        tokio::join!(web::serve(listener, preview.clone(), preview::limits(), end.clone()), preview.follow(watch))
    };
    tokio::select! {
        _ = work => {}
        () = async {
            stop.soft.cancelled().await;
            end.cancel();
            stop.hard.cancelled().await;
        } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the desktop's browser, if there is a desktop.
fn open(url: &str) {
    if std::env::var_os("DISPLAY").is_none() && std::env::var_os("WAYLAND_DISPLAY").is_none() {
        return;
    }
    let mut command = tokio::process::Command::new("xdg-open");
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.spawn().is_err() {
        eprintln!("note: xdg-open is not there; open the address by hand");
    }
}

async fn print(args: &Args, app: &App) -> Result<ExitCode> {
    let campaign = app.campaign(&args.campaign)?;
    let mailing = app.compile(campaign)?;
    let at = args.at.unwrap_or_else(|| app.clock.now());
    let parse = |typed: &String| Address::parse(typed).map_err(|why| anyhow!(Refused(format!("'{typed}': {why}"))));
    let asked = args.recipient.as_ref().map(parse).transpose()?;
    let profile = match app.site().has_database() {
        true => stored(app, campaign, asked.as_ref(), at).await?,
        false => {
            let made_up = preview::made_up(&app.loaded.project, &mailing);
            let other = asked.filter(|address| *address != made_up.address);
            other.map_or(Ok(made_up), |address| Err(nobody(&address)))?
        }
    };
    let envelope = Envelope { run: RunId(0), occasion: "preview", at };
    let shown = mailing
        .render_explained(&profile, &envelope, &throwaway_keys(), &mut Scratch::default())
        .with_context(|| format!("{} would get no message", profile.address))?;
    match args.part.unwrap_or(Part::Source) {
        Part::Source => {
            let signer = app.site().signer(&app.loaded)?;
            let signed = signer.sign(shown.message.bytes, mailing.from_domain(), at)?;
            print!("{}", String::from_utf8_lossy(&signed));
        }
        Part::Html => println!("{}", shown.html),
        Part::Text => println!("{}", shown.text),
        Part::Links => {
            let links = shown
                .links
                .iter()
                .map(|l| json!({"number": l.number, "item": l.item, "url": l.url, "category": l.category}));
            println!("{}", serde_json::to_string_pretty(&links.collect::<Vec<_>>())?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whom the database has under that address, or the first whom the campaign reaches.
async fn stored(app: &App, campaign: &Campaign, asked: Option<&Address>, at: Micros) -> Result<Profile> {
    let store = app.store().await?;
    let mut session = store.read().await?;
    let scale = app.scale(&mut session).await?;
    let recipient = match asked {
        Some(address) => recipients::find(&mut session, address).await?.ok_or_else(|| nobody(address))?.id,
        None => {
            let audience = Audience {
                condition: campaign.audience.as_ref(),
                at,
                joined_by: at,
                scale: &scale,
                zones: None,
                resend: None,
            };
            let first = audience::page(&mut session, &audience, RecipientId(0), 1).await?.into_iter().next();
            first.context("the campaign reaches nobody now; --as ADDRESS previews it for anybody")?
        }
    };
    let profile = profiles::profiles_at(&mut session, &[recipient], at, &scale, true).await?.into_iter().next();
    profile.context("the recipient has just been erased")
}

fn nobody(address: &Address) -> anyhow::Error {
    anyhow!(Refused(format!("there is no recipient {address}")))
}
