//! The command line: one file per command.

/// Instead of the standard ones, which panic when nobody reads what they print.
macro_rules! println {
    ($($words:tt)*) => { $crate::cli::out::print(format_args!($($words)*), "\n") };
}
macro_rules! print {
    ($($words:tt)*) => { $crate::cli::out::print(format_args!($($words)*), "") };
}
macro_rules! eprintln {
    ($($words:tt)*) => { $crate::cli::out::tell(format_args!($($words)*)) };
}

mod actions;
mod apply;
mod backup;
#[cfg(target_os = "linux")]
mod batch;
mod calendar;
mod check;
mod consent;
mod demo;
mod dkim;
mod doctor;
mod export;
mod import;
mod inbox;
mod init;
mod join;
mod migrate;
mod out;
mod pages;
mod plan;
mod preview;
mod recipient;
mod report;
mod resend;
mod restore;
mod runs;
mod schema;
mod score;
mod send;
mod service;
mod status;
mod suppress;
mod test;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::app::{App, Refused, Site};
use crate::clock::Clock;
use crate::config::Reach;
use crate::people;

/// Email dialog-marketing campaign runner: send, listen, learn, send better.
#[derive(Debug, Parser)]
#[command(name = "colloquy", version, about, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    /// The project's directory.
    #[arg(short = 'C', long = "directory", value_name = "DIR", default_value = ".", global = true)]
    directory: PathBuf,
    /// Logs as text or as JSON lines, on standard error; `RUST_LOG` sets the level.
    #[arg(long, value_name = "FORM", default_value = "text", value_parser = ["text", "json"], global = true)]
    log: String,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  colloquy demo                          watch the loop turn, in less than a minute
  colloquy init shop && cd shop          a small, commented, working project
  colloquy import recipients.csv --topic news --source 'form on shop.example'
  colloquy plan spring-running           who would get it, who not and why
  colloquy send spring-running           send it now, with a progress bar
  colloquy apply && colloquy run         the service: campaigns at their time, tracking, scores

Exit codes: 0 done, 1 failed, 2 wrong usage or a refused file.";

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Schema(schema::Args),
    Import(import::Args),
    Export(export::Args),
    Actions(actions::Args),
    Recipient(recipient::Args),
    Suppress(suppress::Args),
    Consent(consent::Args),
    Plan(plan::Args),
    Preview(preview::Args),
    Test(test::Args),
    Apply(apply::Args),
    Calendar(calendar::Args),
    Send(send::Args),
    Resend(resend::Args),
    Run(service::Args),
    Status(status::Args),
    Report(report::Args),
    Pause(runs::Pause),
    Resume(runs::Resume),
    Cancel(runs::Cancel),
    Score(score::Args),
    Pages(pages::Args),
    Join(join::Args),
    Dkim(dkim::Args),
    Inbox(inbox::Args),
    Doctor(doctor::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Migrate(migrate::Args),
    Demo(demo::Args),
}

impl Command {
    /// Whether nobody but operators waits for an answer of this process.
    fn only_sends(&self) -> bool {
        match self {
            Self::Send(_) | Self::Resend(_) => true,
            Self::Run(args) => args.only_sends(),
            _ => false,
        }
    }
}

/// Runs the command line of this process and reports an error once.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where nobody reads it, the exit code still says it.
            let _ = error.print();
            let usual = || ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            return inbox::accept::misread(&error).unwrap_or_else(usual);
        }
    };
    // The demo tells its own story, and to a mail server a word is a failure; only what goes wrong is worth one.
    let quiet = matches!(cli.command, Command::Demo(_) | Command::Inbox(_));
    start_logs(&cli.log, if quiet { "warn" } else { "info" });
    #[cfg(target_os = "linux")]
    if cli.command.only_sends() {
        batch::work_in_batches();
    }
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    if cli.command.only_sends() {
        // SQLite's own thread takes a processor. On a machine of two, a second thread here is woken and put to sleep
        // again more often than it helps.
        threads.worker_threads(available_parallelism().map_or(1, |all| all.get().saturating_sub(1).max(1)));
    }
    let runtime = match threads.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(_) if !out::is_whole() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) if is_refusal(&error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", out::told(&error));
            ExitCode::FAILURE
        }
    }
}

/// Whether the fault lies in what was asked for.
fn is_refusal(error: &anyhow::Error) -> bool {
    error.is::<Refused>() || error.downcast_ref::<people::Error>().is_some_and(people::Error::is_refusal)
}

/// Whether the reader of our output has seen enough, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|e| e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let open = || App::open(&cli.directory, Clock::system());
    let site = |reach| Site::open(&cli.directory, Clock::system(), reach);
    match cli.command {
        Command::Init(args) => init::run(&args, &cli.directory),
        Command::Check(args) => check::run(args, &cli.directory).await,
        Command::Schema(args) => schema::run(&args),
        Command::Import(args) => import::run(args, &open()?).await,
        Command::Export(args) => export::run(args, &open()?).await,
        Command::Actions(args) => actions::run(args, &open()?).await,
        Command::Recipient(args) => recipient::run(args, &site(Reach::Database)?).await,
        Command::Suppress(args) => suppress::run(args, &site(Reach::Database)?).await,
        Command::Consent(args) => consent::run(args, &site(Reach::Database)?).await,
        Command::Plan(args) => plan::run(args, &open()?).await,
        Command::Preview(args) => preview::run(args, site(Reach::Database)?).await,
        Command::Test(args) => test::run(args, &open()?).await,
        Command::Apply(args) => apply::run(args, &open()?).await,
        Command::Send(args) => send::run(args, &site(Reach::Database)?).await,
        Command::Resend(args) => resend::run(args, &site(Reach::Database)?).await,
        Command::Run(args) => service::run(args, site(Reach::Services)?).await,
        Command::Calendar(args) => calendar::run(args, &site(Reach::Database)?).await,
        Command::Status(args) => status::run(args, &site(Reach::Database)?).await,
        Command::Report(args) => report::run(args, &open()?).await,
        Command::Pause(args) => runs::pause(args, &site(Reach::Database)?).await,
        Command::Resume(args) => runs::resume(args, &site(Reach::Database)?).await,
        Command::Cancel(args) => runs::cancel(args, &site(Reach::Database)?).await,
        Command::Score(args) => score::run(args, &site(Reach::Database)?).await,
        Command::Pages(pages::Args { command: pages::Command::Show(args) }) => pages::show(&args),
        Command::Join(join::Args { command: join::Command::Form(args) }) => join::form(&args, &open()?),
        Command::Join(join::Args { command: join::Command::Key(args) }) => join::key(&args, &site(Reach::Database)?),
        Command::Dkim(dkim::Args { command: dkim::Command::New(args) }) => dkim::new(&args, &site(Reach::Database)?),
        Command::Dkim(dkim::Args { command: dkim::Command::Show(_) }) => dkim::show(&open()?),
        Command::Inbox(inbox::Args { command }) => match command {
            inbox::Command::Accept(args) => Ok(inbox::accept::run(args, &cli.directory).await),
            inbox::Command::Classify(args) => inbox::classify::run(&args),
            inbox::Command::List(args) => inbox::kept::list(args, &site(Reach::Database)?).await,
            inbox::Command::Show(args) => inbox::kept::show(args, &site(Reach::Database)?).await,
            inbox::Command::Retry(args) => inbox::kept::retry(args, &site(Reach::Database)?).await,
            inbox::Command::Status(args) => inbox::kept::status(args, &site(Reach::Database)?).await,
        },
        Command::Doctor(args) => doctor::run(args, &open()?).await,
        Command::Backup(args) => backup::run(args, &site(Reach::Database)?).await,
        Command::Restore(args) => restore::run(args, &cli.directory).await,
        Command::Migrate(args) => migrate::run(args, &site(Reach::Database)?).await,
        Command::Demo(args) => demo::run(args, &cli.directory).await,
    }
}

fn start_logs(form: &str, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        // Telling of a line that cannot be written would end the program.
        .log_internal_errors(false);
    match form {
        "json" => logs.json().init(),
        _ => logs.init(),
    }
}
