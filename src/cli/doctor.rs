//! `colloquy doctor`.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::doctor::{Level, Patient, examine};

/// Check DNS, relays, mailboxes, database, disk, clock and keys, and say how to mend each.
///
/// It looks at what mail depends on beside the files: SPF, DKIM, DMARC, MX and PTR, whether each
/// relay takes our connection and login, whether mailboxes let us in, whether recipients reach us, room, clocks, keys.
/// Nothing is changed, no mail is sent. Ends with 1 when something fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy doctor\n  colloquy doctor --json\n  \
    colloquy doctor --dns 9.9.9.9:53     as another resolver sees it\n  \
    colloquy doctor --leaves-from 192.0.2.10     what SPF says of mail from this address")]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Ask this DNS server instead of the system's.
    #[arg(long, value_name = "IP:PORT")]
    dns: Option<SocketAddr>,
    /// See whether SPF lets mail leave from these addresses; default: from where the relays listen.
    #[arg(long, value_name = "IP", num_args = 1..)]
    leaves_from: Vec<IpAddr>,
}

pub async fn run(args: Args, app: &App) -> Result<ExitCode> {
    let site = app.site();
    let relays = &app.loaded.settings.relays;
    let relay = |config| site.relay(&app.loaded, config).map_err(|error| format!("{error:#}"));
    let mailboxes = &site.machine.inbox.mailboxes;
    let mailbox = |config| site.mailbox(config, CancellationToken::new()).map_err(|error| format!("{error:#}"));
    let patient = Patient {
        root: app.root.clone(),
        loaded: &app.loaded,
        keyring: app.secrets().map(|secrets| secrets.keyring()).map_err(|error| error.to_string()),
        relays: relays.iter().map(|config| (config.name.clone(), relay(config))).collect(),
        mailboxes: mailboxes.iter().map(|config| (config.name.clone(), mailbox(config))).collect(),
        clock: app.clock.clone(),
        dns: args.dns,
        leaves_from: args.leaves_from,
    };
    let findings = examine(&patient).await;
    let failed = findings.iter().any(|finding| finding.level == Level::Fail);
    if args.json {
        println!("{:#}", json!({"ok": !failed, "findings": findings}));
        return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    for finding in &findings {
        let level = match finding.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        println!("{level}  {}: {}", finding.check, finding.found);
        if let Some(mend) = &finding.mend {
            println!("      → {mend}");
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    println!("{} fail, {} warn, {} ok", count(Level::Fail), count(Level::Warn), count(Level::Ok));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
