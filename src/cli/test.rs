//! `colloquy test`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};

use crate::app::{App, Refused};
use crate::domain::address::Address;
use crate::domain::campaign::Pictures;
use crate::domain::profile::Profile;
use crate::domain::time::Micros;
use crate::preview::{self, Trial, Verdict};
use crate::render::Mailing;
use crate::store::Store;

/// Send real test mails of a campaign, which count nowhere.
///
/// They are rendered, signed and handed to the campaign's relays as in a run, in the name of one
/// recipient and to the addresses given. No run begins and nothing is stored: links are plain, there
/// is no pixel, and the recipient's pages (unsubscribe, preferences, browser view) lead nowhere. Pictures go with
/// the mail even where the campaign links them.
/// Suppressed addresses get none. Ends with 1 if any was not accepted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy test spring-running --to me@example.org\n  \
    colloquy test spring-running --to me@gmail.example,me@outlook.example --as anna@example.org\n  \
    colloquy test spring-running --to me@example.org --at 2026-12-24T09:00:00+01:00 --unmarked")]
pub struct Args {
    /// The campaign's name.
    campaign: String,
    /// Where to; several after each other, or with commas between them.
    #[arg(long, value_name = "ADDRESS", required = true, num_args = 1.., value_delimiter = ',')]
    to: Vec<String>,
    /// With the content that this recipient would get; default: the first whom the campaign would reach.
    #[arg(long = "as", value_name = "RECIPIENT")]
    recipient: Option<String>,
    /// As it would be at this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Micros::parse_rfc3339)]
    at: Option<Micros>,
    /// Leave the subject as it is, without `[Test]` before it.
    #[arg(long)]
    unmarked: bool,
}

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    let to: Vec<Address> = args.to.iter().map(|typed| address(typed)).collect::<Result<_>>()?;
    let mut campaign = app.campaign(&args.campaign)?.clone();
    let site = app.site();
    let store = if site.has_database() { Some(site.store().await?) } else { None };
    let at = args.at.unwrap_or_else(|| app.clock.now());
    if !args.unmarked {
        campaign.mark_subject("[Test] ");
    }
    // Nothing is stored that could be served.
    campaign.pictures = Pictures::Embedded;
    let mailing = app.compile(&campaign)?;
    let profile = profile(app, store.as_ref(), &args, &mailing, at).await?;
    let mut relays = site.relays(&app.loaded)?;
    relays.sort_by_key(|relay| relay.config().order);
    let signer = site.signer(&app.loaded)?;
    let trial =
        Trial { mailing: &mailing, profile: &profile, at, signer: &signer, relays: &relays, store: store.as_ref() };
    let key = app.secrets()?.suppression_key();
    let mut failed = false;
    for (number, to) in to.iter().enumerate() {
        let id = format!("test-{}-{number}", app.clock.now().0);
        let verdict = trial.send(to, &to.hash(&key), &id).await?;
        failed |= !matches!(verdict, Verdict::Accepted { .. });
        println!("{to}  {verdict}");
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn profile(app: &App, store: Option<&Store>, args: &Args, mailing: &Mailing, at: Micros) -> Result<Profile> {
    let (project, campaign) = (&app.loaded.project, app.campaign(&args.campaign)?);
    let people = store.map(|store| preview::People { store, project, campaign, at });
    let Some(typed) = &args.recipient else {
        let samples = match &people {
            Some(people) => people.samples().await?,
            None => Vec::new(),
        };
        return Ok(samples.into_iter().next().unwrap_or_else(|| {
            eprintln!("note: the campaign reaches nobody now; the mail is that of a made-up recipient");
            preview::made_up(project, mailing)
        }));
    };
    let address = address(typed)?;
    let found = people.context("there is no database yet, so there are no recipients")?.find(&address).await?;
    found.ok_or_else(|| anyhow!(Refused(format!("there is no recipient {address}"))))
}

fn address(typed: &str) -> Result<Address> {
    Address::parse(typed).map_err(|why| anyhow!(Refused(format!("'{typed}': {why}"))))
}
