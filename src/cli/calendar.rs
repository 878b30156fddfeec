//! `colloquy calendar`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::app::{App, Refused, Site};
use crate::config::{self, Loaded, ProjectFiles};
use crate::domain::time::Micros;
use crate::plan::Calendar;
use crate::store::{Store, versions};

/// Show what is coming: the occasions of all campaigns, days without mail, and what collides.
///
/// Campaigns are those of the applied version, which the service sends; while none is applied, those of the files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy calendar\n  colloquy calendar --days 60\n  \
    colloquy calendar --from 2026-12-01T00:00:00+01:00 --json | jq '.occasions[] | {at, campaign, notes}'")]
pub struct Args {
    /// How many days ahead.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    days: u32,
    /// From this time on (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME", value_parser = Micros::parse_rfc3339)]
    from: Option<Micros>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let store = site.store().await?;
    let loaded = loaded(site, &store).await?;
    let from = args.from.unwrap_or_else(|| site.clock.now());
    let (project, campaigns) = (&loaded.project, &loaded.campaigns);
    let coming = Calendar { store: &store, project, campaigns, from, days: args.days }.coming().await?;
    let text = if args.json { format!("{}\n", serde_json::to_string_pretty(&coming)?) } else { format!("{coming}\n") };
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn loaded(site: &Site, store: &Store) -> Result<Loaded> {
    let mut session = store.read().await?;
    let Some((version, _)) = versions::applied(&mut session).await? else {
        eprintln!("note: nothing is applied, so the service sends nothing; these are the files as they are");
        return Ok(App::open(&site.root, site.clock.clone())?.loaded);
    };
    let files = versions::files(&mut session, version).await?;
    config::load(&ProjectFiles::Frozen(files)).map_err(|problems| {
        anyhow!(Refused(format!("the applied version {version} cannot be used; `colloquy apply` another\n{problems}")))
    })
}
