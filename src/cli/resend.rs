//! `colloquy resend`.

use std::io::{IsTerminal as _, Write as _, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::app::{App, Refused, Site};
use crate::domain::resend::{Resend, ResendTo};
use crate::plan::Planner;

/// Send a run's mail again, to those who did not click, or whose message failed.
///
/// It is a run of its own, with the campaign and the templates as they are now. Everybody's permission is
/// asked as for any mail; the condition of `[audience]` is not asked again. The plan comes first: nothing is
/// sent before it was confirmed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  colloquy resend spring-running --to not-clicked --subject 'Still here, {{first_name}}'\n  \
    colloquy resend spring-running --to unknown --run 3 --plan\n  \
    colloquy resend spring-running --to failed --yes"
)]
pub struct Args {
    /// The campaign's name.
    campaign: String,
    /// not-clicked, not-opened (accepted, and no human's click or open is known), unknown, or failed (rejected).
    #[arg(long, value_name = "WHOM", value_parser = ResendTo::parse)]
    to: ResendTo,
    /// Of this run; without it the last that was sent and is no resend. `status` shows the numbers.
    #[arg(long, value_name = "NUMBER")]
    run: Option<i64>,
    /// Another subject than the campaign's, which has but one language then.
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Once more, although the same was resent before.
    #[arg(long)]
    again: bool,
    /// Only show the plan.
    #[arg(long)]
    plan: bool,
    /// Only print the plan, as JSON.
    #[arg(long)]
    json: bool,
    /// Go without asking.
    #[arg(long, short)]
    yes: bool,
}

pub async fn run(args: Args, site: &Site) -> Result<ExitCode> {
    let app = App::open(&site.root, site.clock.clone())?;
    let mut campaign = app.campaign(&args.campaign)?.clone();
    if let Some(subject) = &args.subject {
        if subject.trim().is_empty() || subject.contains(char::is_control) {
            return Err(anyhow!(Refused("--subject must be one line that is not empty".to_owned())));
        }
        if !campaign.languages.is_empty() {
            let hint = "hint: write the other subjects into the campaign's file, and leave --subject out";
            let why = format!("'{}' has a subject for each language", args.campaign);
            return Err(anyhow!(Refused(format!("{why}\n  {hint}"))));
        }
        campaign.content.subject.clone_from(subject);
    }
    let store = app.store().await?;
    super::check::refuse_errors(&app, Some(&store), Some(&args.campaign)).await?;
    let mailing = app.compile(&campaign)?;
    let source = app.resendable(&store, &args.campaign, args.run).await?;
    let resend = Resend { run: source.id, to: args.to, subject: args.subject.clone() };
    let occasion = app.resend_occasion(&store, &args.campaign, &resend, args.again).await?;
    let planner = Planner {
        store: &store,
        project: &app.loaded.project,
        campaign: &campaign,
        mailing: &mailing,
        relays: &app.loaded.settings.relays,
        keyring: &app.secrets()?.keyring(),
        now: app.clock.now(),
        at: None,
        resend: Some((&resend, &occasion)),
    };
    let plan = planner.plan().await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&plan)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("run {} ({}), again to {}\n{plan}", source.id, source.occasion, args.to.as_str());
    if args.plan {
        return Ok(ExitCode::SUCCESS);
    }
    if plan.messages == 0 {
        println!("nobody gets a message; nothing was sent");
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirmed(plan.messages)? {
        println!("nothing was sent");
        return Ok(ExitCode::FAILURE);
    }
    super::send::refuse_unusable(site, &store, &app).await?;
    let run = app.begin_resend(&store, &campaign, &resend, &occasion).await?;
    println!("run {} ({}) begins", run.id, run.occasion);
    super::send::carry_out(site, &store, &run).await
}

/// Asks at a terminal; where nobody can answer, `--yes` must have been given.
fn confirmed(messages: i64) -> Result<bool> {
    if !stdin().is_terminal() {
        let hint = "hint: --yes sends without asking, --plan only shows the plan";
        return Err(anyhow!(Refused(format!("nobody can be asked whether to send {messages} messages\n  {hint}"))));
    }
    print!("send {messages} messages? [y/N] ");
    stdout().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
