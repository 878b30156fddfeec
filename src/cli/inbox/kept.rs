//! `colloquy inbox list`, `show`, `retry` and `status`: what was taken in.

use std::io::{Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use crate::app::{Refused, Site};
use crate::console;
use crate::domain::id::InboundId;
use crate::domain::time::{Micros, parse_duration};
use crate::store::inbound::{self, Listed};
use crate::store::returns::{By, rates};

/// Domains in a status.
const MOST_DOMAINS: usize = 20;

/// List what came back by mail and what was done about it, the latest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy inbox list\n  colloquy inbox list --state failed\n  \
    colloquy inbox list --done nobody --json | jq .id\n\n\
    What was done: dead and complained (suppressed), soft, blocked, left (unsubscribed), replied, noted, unsigned (a report that\n\
    anybody may have written: nothing follows), nobody (it is not known whose it is), ours.")]
pub struct List {
    /// In this state.
    #[arg(long, value_parser = ["waiting", "handled", "failed"])]
    state: Option<String>,
    /// Of this kind: bounce, delay, complaint, auto-reply, unsubscribe, reply, other.
    #[arg(long, value_parser = ["bounce", "delay", "complaint", "auto-reply", "unsubscribe", "reply", "other"])]
    kind: Option<String>,
    /// About which this was done.
    #[arg(long, value_name = "WHAT", value_parser = ["dead", "complained", "soft", "blocked", "left", "replied", "noted", "unsigned", "nobody", "ours"])]
    done: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// One JSON object a mail.
    #[arg(long)]
    json: bool,
}

pub async fn list(args: List, site: &Site) -> Result<ExitCode> {
    let store = site.store().await?;
    let which = [args.state.as_deref(), args.kind.as_deref(), args.done.as_deref()];
    let mails = inbound::list(&mut store.read().await?, which, args.limit.into()).await?;
    let text = match args.json {
        true => mails.iter().map(|mail| format!("{}\n", object(mail))).collect(),
        false => console::inbox_list_text(&mails),
    };
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Show a mail that came back: what is known of it, or the mail itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy inbox show 17\n  colloquy inbox show 17 --raw > answer.eml\n  \
    colloquy inbox show 17 --raw | colloquy inbox classify -")]
pub struct Show {
    /// Its number, as in `inbox list`.
    mail: i64,
    /// The mail as it came, as long as it is kept.
    #[arg(long)]
    raw: bool,
}

pub async fn show(args: Show, site: &Site) -> Result<ExitCode> {
    let store = site.store().await?;
    let mut session = store.read().await?;
    let id = InboundId(args.mail);
    let unknown = || anyhow!(Refused(format!("there is no mail {}\n  hint: colloquy inbox list", args.mail)));
    let mail = inbound::find(&mut session, id).await?.ok_or_else(unknown)?;
    if args.raw {
        let raw = inbound::raw(&mut session, id).await?;
        let raw = raw.ok_or_else(|| {
            anyhow!("mail {} is not kept any more: its time is over, or its person erased", args.mail)
        })?;
        stdout().write_all(&raw)?;
    } else {
        println!("{:#}", object(&mail));
    }
    Ok(ExitCode::SUCCESS)
}

/// Handle mails again that could not be handled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy inbox retry 17\n  colloquy inbox retry --all\n\n\
    The service with the role inbox handles them.")]
#[command(group = clap::ArgGroup::new("which").required(true).args(["mail", "all"]))]
pub struct Retry {
    /// Its number, as in `inbox list --state failed`.
    mail: Option<i64>,
    /// All that failed.
    #[arg(long)]
    all: bool,
}

pub async fn retry(args: Retry, site: &Site) -> Result<ExitCode> {
    let store = site.store().await?;
    let mut tx = store.write().await?;
    let retried = inbound::retry(&mut tx, args.mail.map(InboundId), site.clock.now()).await?;
    tx.commit().await?;
    if let (Some(mail), 0) = (args.mail, retried) {
        return Err(anyhow!(Refused(format!(
            "mail {mail} has not failed\n  hint: colloquy inbox list --state failed"
        ))));
    }
    println!("{retried} wait again");
    Ok(ExitCode::SUCCESS)
}

/// Show how much comes back, by campaign, relay and domain, and what was done about it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy inbox status\n  colloquy inbox status --within 7d --json")]
pub struct Status {
    /// Of messages that left in this time.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_duration)]
    within: Duration,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub async fn status(args: Status, site: &Site) -> Result<ExitCode> {
    let store = site.store().await?;
    let mut session = store.read().await?;
    let counts = inbound::counts(&mut session).await?;
    let since = site.clock.now().minus(args.within);
    let campaigns = rates(&mut session, By::Campaign, since).await?;
    let relays = rates(&mut session, By::Relay, since).await?;
    let domains = rates(&mut session, By::Domain, since).await?;
    let text = if args.json {
        let count = |own: &inbound::Count| json!({"state": own.state, "kind": own.kind, "done": own.effect, "mails": own.count});
        let all = json!({
            "mails": counts.iter().map(count).collect::<Vec<_>>(),
            "by_campaign": campaigns, "by_relay": relays, "by_domain": domains,
        });
        format!("{all:#}\n")
    } else {
        let rates = [("campaign", &campaigns), ("relay", &relays), ("domain", &domains)];
        let rates = rates.map(|(title, rates)| console::rates_text(title, rates, MOST_DOMAINS));
        console::inbox_counts_text(&counts) + &rates.concat()
    };
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn object(mail: &Listed) -> Value {
    json!({
        "id": mail.id,
        "way": mail.way,
        "arrived_at": Micros(mail.arrived_at).to_string(),
        "size": mail.size,
        "state": mail.state,
        "tries": mail.tries,
        "kind": mail.kind,
        "done": mail.effect,
        "because": mail.told,
        "run": mail.run_id,
        "recipient": mail.recipient_id,
    })
}
