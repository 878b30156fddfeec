//! `colloquy check`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};

use crate::app::{App, Refused};
use crate::clock::Clock;
use crate::config;
use crate::config::watch::Watch;
use crate::domain::campaign::Campaign;
use crate::domain::hindrance::hindrance;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::profile::Profile;
use crate::lifecycle::Stop;
use crate::pages;
use crate::preview::made_up;
use crate::render::{Envelope, Explained, Mailing, Notices, Scratch};
use crate::store::audience::Audience;
use crate::store::eligibility::Permission;
use crate::store::{self, forecast, profiles};

/// Check all files and render every template with sample recipients.
///
/// Samples are recipients of the campaign's topic; without any, made-up ones that have every
/// attribute. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy check\n  colloquy -C shop check && colloquy -C shop apply\n  \
    colloquy check --watch     beside the editor")]
pub struct Args {
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
    /// Check again at every change of the files, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

/// Empties a terminal and what it has scrolled out of sight.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Recipients that each campaign is rendered for.
const SAMPLES: u32 = 20;

pub async fn run(args: Args, directory: &Path) -> Result<ExitCode> {
    let open = || App::open(directory, Clock::system());
    if !args.watch {
        return once(&args, &open()?).await;
    }
    // Watched before the first look, so that no change falls between.
    let mut watch = Watch::start(&std::path::absolute(directory)?).context("the files cannot be watched")?;
    let stop = Stop::on_signals()?;
    loop {
        if std::io::stdout().is_terminal() {
            print!("{CLEAR}");
        }
        let checked = match open() {
            Ok(app) => once(&args, &app).await,
            Err(refusal) => Err(refusal),
        };
        let code = checked.unwrap_or_else(|error| {
            println!("{error:#}");
            ExitCode::from(2)
        });
        println!("\nwatching the files; Ctrl-C ends it");
        if stop.soft.run_until_cancelled(watch.changed()).await.is_none() {
            return Ok(code);
        }
    }
}

async fn once(args: &Args, app: &App) -> Result<ExitCode> {
    let mut warnings = 0;
    for warning in &app.loaded.warnings {
        println!("{warning}");
        warnings += 1;
    }
    let mut broken = 0;
    for problem in config::dkim::problems(&app.files) {
        println!("{problem}");
        broken += 1;
    }
    for problem in pages::check(&app.loaded.look).err().map_or_else(Vec::new, |problems| problems.0) {
        println!("{problem}");
        broken += 1;
    }
    let texts = app.texts()?;
    for problem in Notices::compile(&app.loaded.project, &texts).err().into_iter().flatten() {
        println!("error: {problem}");
        broken += 1;
    }
    for campaign in app.loaded.campaigns.values() {
        let found = check_campaign(app, campaign, &texts).await?;
        broken += found.errors.len();
        warnings += found.warnings.len();
        for error in &found.errors {
            println!("error: {}: {error}", campaign.name);
        }
        for warning in &found.warnings {
            println!("warning: {}: {warning}", campaign.name);
        }
    }
    let campaigns = app.loaded.campaigns.len();
    println!("{campaigns} campaigns checked: {broken} errors, {warnings} warnings");
    Ok(if broken > 0 || args.strict && warnings > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// Refuses to go on when a campaign's or a page's templates do not work, or when no sample recipient would get a message
/// of a campaign that is `about` to be sent; warns where some would get none.
///
/// # Errors
/// [`Refused`] with every problem.
pub async fn refuse_errors(app: &App, about: impl IntoIterator<Item = &Campaign>) -> Result<()> {
    pages::check(&app.loaded.look).map_err(|problems| Refused(problems.to_string()))?;
    let texts = app.texts()?;
    let campaigns = app.loaded.campaigns.values();
    let mut problems: Vec<String> = campaigns
        .filter_map(|campaign| Mailing::compile(campaign, &app.loaded.project, &texts).err())
        .chain(Notices::compile(&app.loaded.project, &texts).err())
        .flatten()
        .map(|problem| problem.to_string())
        .collect();
    if problems.is_empty() {
        for campaign in about {
            let Found { errors, reaches, .. } = check_campaign(app, campaign, &texts).await?;
            let told = errors.into_iter().map(|error| format!("{}: {error}", campaign.name));
            if reaches {
                told.for_each(|error| eprintln!("warning: {error}"));
            } else {
                problems.extend(told);
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(anyhow!(Refused(problems.join("\n")))) }
}

#[derive(Default)]
struct Found {
    errors: BTreeSet<String>,
    warnings: BTreeSet<String>,
    /// Whether any sample recipient gets a message.
    reaches: bool,
}

async fn check_campaign(app: &App, campaign: &Campaign, texts: &BTreeMap<String, String>) -> Result<Found> {
    let mut found = Found::default();
    if let Some(schedule) = &campaign.schedule
        && let Some(hindrance) = hindrance(schedule, &campaign.timing, app.clock.now())
    {
        found.warnings.insert(format!("{hindrance} ({})", hindrance.hint()));
    }
    let mailing = match Mailing::compile(campaign, &app.loaded.project, texts) {
        Ok(mailing) => mailing,
        Err(problems) => {
            found.errors.extend(problems.iter().map(ToString::to_string));
            return Ok(found);
        }
    };
    found.warnings.extend(mailing.lint_template().iter().map(ToString::to_string));
    let keyring = app.secrets()?.keyring();
    let mut scratch = Scratch::default();
    let envelope = Envelope { run: RunId(0), occasion: "check", at: app.clock.now() };
    let real = sample_recipients(app, campaign).await?;
    let samples = if real.is_empty() { vec![made_up(&app.loaded.project, &mailing)] } else { real };
    let mut failed = 0;
    let mut languages = BTreeSet::new();
    for profile in &samples {
        match mailing.render_explained(profile, &envelope, &keyring, &mut scratch) {
            Ok(explained) => {
                lint(&mailing, &explained, &mut found);
                languages.insert(explained.language);
            }
            Err(error) => {
                failed += 1;
                found.errors.insert(error.to_string());
            }
        }
    }
    for language in mailing.languages().filter(|language| !languages.contains(*language)) {
        // Who reads another language need not have what this one asks for.
        let mut profile = made_up(&app.loaded.project, &mailing);
        profile.attributes.insert("language".to_owned(), language.into());
        match mailing.render_explained(&profile, &envelope, &keyring, &mut scratch) {
            Ok(explained) => lint(&mailing, &explained, &mut found),
            Err(error) => drop(found.errors.insert(error.to_string())),
        }
    }
    found.reaches = failed < samples.len();
    if failed > 0 {
        found.errors.insert(format!("{failed} of {} sample recipients would get no message", samples.len()));
    }
    Ok(found)
}

fn lint(mailing: &Mailing, explained: &Explained, found: &mut Found) {
    found.warnings.extend(mailing.lint(explained).iter().map(|lint| format!("{lint} ({})", lint.hint())));
}

/// Some of those whom the campaign may reach now. A database that does not exist is not made.
async fn sample_recipients(app: &App, campaign: &Campaign) -> Result<Vec<Profile>> {
    if !app.site().has_database() {
        return Ok(Vec::new());
    }
    let store = app.store().await?;
    let mut session = store.read().await?;
    let at = app.clock.now();
    let scale = match app.scale(&mut session).await {
        Err(error) if matches!(error.downcast_ref(), Some(store::Error::Rebuilding)) => return Ok(Vec::new()),
        scale => scale?,
    };
    let everybody =
        Audience { condition: campaign.audience.as_ref(), at, joined_by: at, scale: &scale, zones: None, resend: None };
    let permission = Permission { topic: &campaign.topic, at, run: None, cap: None };
    let people = forecast::eligible(&mut session, &everybody, &permission, RecipientId(0), SAMPLES).await?;
    Ok(profiles::profiles_at(&mut session, &people, at, &scale, true).await?)
}
