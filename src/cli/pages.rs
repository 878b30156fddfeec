//! `colloquy pages`.

use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::app::Refused;
use crate::config::problem::name_hint;
use crate::{config, pages};

/// The look and the words of the pages that recipients reach.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Show(Show),
}

/// Print a built-in file, to start one of your own from.
///
/// Files of these names under `templates/pages/` take the place of the built-in ones; of a language
/// file the sentences that it has, and `style.css` comes behind the built-in style. A language is
/// added with a file named after it, such as `fr.toml`. `check` tries them all, `apply` puts them in force.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  colloquy pages show                    the names\n  \
    colloquy pages show style.css          the colours and sizes, some as variables\n  \
    colloquy pages show en.toml > templates/pages/fr.toml\n  \
    colloquy pages show page.hbs > templates/pages/page.hbs")]
pub struct Show {
    /// Which; without it, their names.
    file: Option<String>,
}

pub fn show(args: &Show) -> Result<ExitCode> {
    let files = built_in();
    let Some(file) = &args.file else {
        files.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    };
    let Some((_, text)) = files.iter().find(|(name, _)| name == file) else {
        let hint = name_hint(file, files.iter().map(|(name, _)| name.as_str())).unwrap_or_default();
        return Err(anyhow!(Refused(format!("no built-in file is called '{file}'\n  hint: {hint}"))));
    };
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// Names under `templates/pages/`, and texts.
fn built_in() -> Vec<(String, &'static str)> {
    let languages = config::BUILT_IN_LANGUAGES.map(|(tag, text)| (format!("{tag}.toml"), text));
    let templates = pages::TEMPLATES.map(|(name, text)| (format!("{name}.hbs"), text));
    let style = [("style.css".to_owned(), pages::BUILT_IN_STYLE)];
    languages.into_iter().chain(style).chain(templates).collect()
}
