//! `colloquy inbox classify`.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use crate::mail::{self, Classified, Evidence, MOST_BYTES, Recipient};

/// Say what a message is, about whom, what follows, and by which rule.
///
/// It reads delivery reports, feedback reports, automatic answers, requests to unsubscribe and replies, one message a
/// file. It touches no database and needs no project.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy inbox classify bounce.eml\n  \
    colloquy inbox classify --json returned/*.eml | jq -r '.recipients[] | select(.consequence == \"dead\") | .address'\n  \
    ssh mail cat /var/mail/report | colloquy inbox classify -\n\n\
    Exit codes: 0 done, 1 a file could not be read (the others are still classified).")]
pub struct Args {
    /// Messages as they arrived; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// One JSON object a message.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut failed = false;
    for file in &args.files {
        let raw = match read(file) {
            Ok(raw) => raw,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                failed = true;
                continue;
            }
        };
        let classified = mail::classify(&raw);
        match args.json {
            true => writeln!(out, "{}", object(file, &classified))?,
            false => write!(out, "{}", text(file, &classified))?,
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// As much of a message as is looked at, whatever its length.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    let limit = MOST_BYTES as u64;
    match file.as_os_str() == "-" {
        true => io::stdin().lock().take(limit).read_to_end(&mut raw)?,
        false => File::open(file)?.take(limit).read_to_end(&mut raw)?,
    };
    Ok(raw)
}

fn object(file: &Path, classified: &Classified) -> Value {
    let recipients: Vec<Value> = classified.recipients.iter().map(recipient).collect();
    json!({
        "file": file.to_string_lossy(),
        "kind": classified.kind.as_str(),
        "recipients": recipients,
        "evidence": evidence(&classified.evidence),
    })
}

fn recipient(own: &Recipient) -> Value {
    let mut value = json!({
        "address": own.address,
        "status": own.status.map(|status| status.to_string()),
        "reply_code": own.reply_code,
        "reason": own.reason.as_str(),
        "hard": own.hard,
        "consequence": own.consequence.as_str(),
        "evidence": evidence(&own.evidence),
    });
    if let Some(original) = &own.original {
        value["original"] = json!(original);
    }
    value
}

fn evidence(own: &Evidence) -> Value {
    json!({"part": own.part, "rule": own.rule, "words": own.words})
}

fn text(file: &Path, classified: &Classified) -> String {
    let mut text = format!("{}: {}\n  {}\n", file.display(), classified.kind.as_str(), because(&classified.evidence));
    for own in &classified.recipients {
        let address: String = own.address.chars().filter(|c| !c.is_control()).collect();
        let status = own.status.map(|status| format!(" {status}")).unwrap_or_default();
        let reply = own.reply_code.map(|reply| format!(" {reply}")).unwrap_or_default();
        let hard = if own.hard { ", hard" } else { "" };
        text += &format!("  {address}:{reply}{status} {}{hard}: {}\n", own.reason.as_str(), own.consequence.as_str());
        if let Some(original) = &own.original {
            let original: String = original.chars().filter(|c| !c.is_control()).collect();
            text += &format!("    sent to {original}\n");
        }
        text += &format!("    {}\n", because(&own.evidence));
    }
    text
}

fn because(own: &Evidence) -> String {
    let words = if own.words.is_empty() { String::new() } else { format!(": {}", own.words) };
    format!("by {} in {}{words}", own.rule, own.part)
}
