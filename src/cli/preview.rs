//! `colloquy preview`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use serde_json::json;

use crate::app::{App, Refused};
use crate::domain::address::Address;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;
use crate::render::{Envelope, Scratch};
use crate::store::audience::{self, Audience};
use crate::store::{profiles, recipients};

/// Render a campaign for one recipient and print it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy preview spring-running > mail.eml\n  \
    colloquy preview spring-running --as anna@example.org --part text\n  \
    colloquy preview spring-running --at 2026-12-24T09:00:00+01:00 --part links")]
pub struct Args {
    /// The campaign's name.
    campaign: String,
    /// For this recipient; default: the first whom the campaign would reach.
    #[arg(long = "as", value_name = "ADDRESS")]
    recipient: Option<String>,
    /// As it would be at this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Micros::parse_rfc3339)]
    at: Option<Micros>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Part::Source)]
    part: Part,
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

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    let campaign = app.campaign(&args.campaign)?;
    let mailing = app.compile(campaign)?;
    let store = app.store().await?;
    let mut session = store.read().await?;
    let at = args.at.unwrap_or_else(|| app.clock.now());
    let scale = app.scale(&mut session).await?;
    let recipient = match &args.recipient {
        Some(typed) => {
            let address = Address::parse(typed).map_err(|why| anyhow!(Refused(format!("'{typed}': {why}"))))?;
            let found = recipients::find(&mut session, &address).await?;
            found.ok_or_else(|| anyhow!(Refused(format!("there is no recipient {address}"))))?.id
        }
        None => {
            let audience = Audience { condition: campaign.audience.as_ref(), at, joined_by: at, scale: &scale };
            let first = audience::page(&mut session, &audience, RecipientId(0), 1).await?.into_iter().next();
            first.context("the campaign reaches nobody now; --as ADDRESS previews it for anybody")?
        }
    };
    let profile = profiles::profiles_at(&mut session, &[recipient], at, &scale, true).await?.into_iter().next();
    let profile = profile.context("the recipient has just been erased")?;
    let envelope = Envelope { run: RunId(0), occasion: "preview", at };
    let shown = mailing
        .render_explained(&profile, &envelope, &app.secrets()?.keyring(), &mut Scratch::default())
        .with_context(|| format!("{} would get no message", profile.address))?;
    match args.part {
        Part::Source => print!("{}", String::from_utf8_lossy(&shown.message.bytes)),
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
