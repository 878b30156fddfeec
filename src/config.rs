//! From files to checked values. Every complaint names file, line and column, shows the text, and proposes what was
//! probably meant; all complaints about all files are collected before any is reported.

mod attachment;
mod binary;
mod campaign;
mod check;
mod credentials;
pub mod dkim;
pub mod files;
mod inbox;
pub mod init;
mod join;
mod keys;
mod look;
pub mod machine;
mod preferences;
mod private;
pub mod problem;
mod project;
mod reader;
mod recurrence;
mod relay;
mod schedule;
pub mod schema;
pub mod secrets;
mod segments;
mod settings;
#[cfg(test)]
mod tests;
mod utm;
mod value;
pub mod watch;

use std::collections::BTreeMap;

pub use files::{FileError, ProjectFiles, hash};
pub use inbox::Inbox;
pub use init::init;
pub use look::{BUILT_IN_LANGUAGES, Look, PAGES, STYLE};
pub use machine::{Machine, Reach, machine};
pub use problem::{Problem, Problems};
pub(crate) use project::BUILT_IN;
pub use secrets::Secrets;
pub use settings::Settings;

use crate::domain::campaign::Campaign;
use crate::domain::join::Joining;
use crate::domain::project::Project;
use files::{CAMPAIGNS, PROJECT_FILE};
use problem::{Complaint, Severity};
use project::Base;
use reader::Doc;

/// A project whose files were all found right.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What campaigns, scoring and pages share.
    pub project: Project,
    /// The campaigns by name.
    pub campaigns: BTreeMap<String, Campaign>,
    /// What belongs to the machine and the relays.
    pub settings: Settings,
    /// How strangers join; none: they cannot.
    pub join: Option<Joining>,
    /// How pages look and what they say.
    pub look: Look,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

/// Reads and checks all files of a project.
///
/// # Errors
/// Everything that is wrong with any of the files, and the warnings beside it.
pub fn load(files: &ProjectFiles) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let text = read(files, PROJECT_FILE, &mut problems);
    if text.is_none() && problems.is_empty() {
        return Err(Problems(vec![no_project()]));
    }
    let sources = campaign_files(files, &mut problems);
    let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();

    let doc = Doc::new(PROJECT_FILE, text.as_deref().unwrap_or_default(), keys::PROJECT);
    let base = text.as_deref().and_then(|_| doc.read(|root| project::read(root, &names)));
    problems.extend(doc.into_problems());

    let mut campaigns = BTreeMap::new();
    for source in &sources {
        let doc = Doc::new(&source.path, &source.text, keys::CAMPAIGN);
        let campaign = match &base {
            Some(Base { project, names, utm, pictures, .. }) => {
                let around = campaign::Surroundings { project, files, names, utm: utm.as_ref(), pictures: *pictures };
                doc.read(|root| campaign::read(root, &source.name, &around)).flatten()
            }
            // Without a project there is nothing to check against but the syntax.
            None => doc.check_syntax(),
        };
        problems.extend(doc.into_problems());
        campaigns.extend(campaign.map(|campaign| (source.name.clone(), campaign)));
    }
    let look = look::read(files, &mut problems);
    match base {
        Some(Base { project, settings, join, .. })
            if problems.iter().all(|problem| problem.severity == Severity::Warning) =>
        {
            Ok(Loaded { project, campaigns, settings, join, look, warnings: problems })
        }
        _ => Err(Problems(problems)),
    }
}

fn no_project() -> Problem {
    let complaint = Complaint::new("there is no project here");
    Problem::about_file(PROJECT_FILE, complaint.hint("`colloquy init DIR` writes one, -C DIR finds one"))
}

struct CampaignFile {
    name: String,
    path: String,
    text: String,
}

fn campaign_files(files: &ProjectFiles, problems: &mut Vec<Problem>) -> Vec<CampaignFile> {
    let paths = files.list(CAMPAIGNS, "toml").unwrap_or_else(|error| {
        problems.push(Problem::about_file(&error.path, error.to_string()));
        Vec::new()
    });
    let mut sources = Vec::new();
    for path in paths {
        let stem = path.strip_prefix(CAMPAIGNS).and_then(|rest| rest.strip_prefix('/')?.strip_suffix(".toml"));
        let name = stem.unwrap_or_default().to_owned();
        if let Err(complaint) = check::name(&name) {
            let complaint =
                Complaint { message: format!("{}: the file's name is the campaign's", complaint.message), ..complaint };
            problems.push(Problem::about_file(&path, complaint));
        }
        if let Some(text) = read(files, &path, problems) {
            sources.push(CampaignFile { name, path, text });
        }
    }
    sources
}

fn read(files: &ProjectFiles, path: &str, problems: &mut Vec<Problem>) -> Option<String> {
    files.read(path).unwrap_or_else(|error| {
        problems.push(Problem::about_file(path, error.source.to_string()));
        None
    })
}
