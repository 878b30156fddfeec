//! `colloquy check`.

mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};

use self::samples::Samples;
use crate::app::{App, Refused};
use crate::clock::Clock;
use crate::config;
use crate::config::watch::Watch;
use crate::domain::campaign::Campaign;
use crate::domain::hindrance::hindrance;
use crate::lifecycle::Stop;
use crate::pages;
use crate::render::{Explained, Mailing, Notices};
use crate::store::Store;

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
    let samples = Samples::new(app, None);
    for campaign in app.loaded.campaigns.values() {
        let found = check_campaign(&samples, app, campaign, &texts).await?;
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
/// of a campaign that is about to be sent, the `only` one or any; warns where some would get none. The database may be
/// `held` open already.
///
/// # Errors
/// [`Refused`] with every problem.
pub async fn refuse_errors(app: &App, held: Option<&Store>, only: Option<&str>) -> Result<()> {
    pages::check(&app.loaded.look).map_err(|problems| Refused(problems.to_string()))?;
    let texts = app.texts()?;
    let mut mailings = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    for campaign in app.loaded.campaigns.values() {
        match Mailing::compile(campaign, &app.loaded.project, &texts) {
            Ok(mailing) if only.is_none_or(|only| campaign.name == only) => mailings.push((campaign, mailing)),
            Ok(_) => {}
            Err(found) => problems.extend(found.iter().map(ToString::to_string)),
        }
    }
    let notices = Notices::compile(&app.loaded.project, &texts).err();
    problems.extend(notices.iter().flatten().map(ToString::to_string));
    if problems.is_empty() {
        let samples = Samples::new(app, held);
        for (campaign, mailing) in &mailings {
            let tried = samples.try_on(campaign, mailing, |_| {}).await?;
            let told = tried.errors.iter().map(|error| format!("{}: {error}", campaign.name));
            if tried.reaches {
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
}

async fn check_campaign(
    samples: &Samples<'_>,
    app: &App,
    campaign: &Campaign,
    texts: &BTreeMap<String, String>,
) -> Result<Found> {
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
    let Found { errors, warnings } = &mut found;
    warnings.extend(mailing.lint_template().iter().map(ToString::to_string));
    let lint = |explained: &Explained| {
        warnings.extend(mailing.lint(explained).iter().map(|lint| format!("{lint} ({})", lint.hint())));
    };
    errors.extend(samples.try_on(campaign, &mailing, lint).await?.errors);
    Ok(found)
}
