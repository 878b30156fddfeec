//! `colloquy schema`.

use std::process::ExitCode;

use anyhow::Result;

use crate::config::schema::Schema;

/// Print the JSON Schema of the project's files, by which editors complete and check them.
///
/// `init` writes both under `config/schema/`, and the line that names them at the top of the files.
/// After an update of colloquy, write them again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy schema project > config/schema/project.json\n  \
    colloquy schema campaign > config/schema/campaign.json\n\n\
    The first line of a file names its schema, seen from there:\n  \
    #:schema schema/project.json           in config/colloquy.toml\n  \
    #:schema ../schema/campaign.json       in config/campaigns/*.toml")]
pub struct Args {
    /// Of which file.
    #[arg(value_enum, default_value_t = File::Project)]
    file: File,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum File {
    /// `config/colloquy.toml`.
    Project,
    /// `config/campaigns/NAME.toml`.
    Campaign,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let schema = match args.file {
        File::Project => Schema::Project,
        File::Campaign => Schema::Campaign,
    };
    print!("{}", schema.text());
    Ok(ExitCode::SUCCESS)
}
