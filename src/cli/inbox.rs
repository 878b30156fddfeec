//! `colloquy inbox`.

pub mod accept;
pub mod classify;
pub mod kept;

/// What comes back by mail.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Accept(accept::Args),
    Classify(classify::Args),
    List(kept::List),
    Show(kept::Show),
    Retry(kept::Retry),
    Status(kept::Status),
}
