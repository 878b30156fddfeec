//! Tells when a project's files have changed: its configuration, templates and attachments, and nothing else beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::binary::FILES;
use super::files::TEMPLATES;

/// Editors write a file in several steps; a change is told once all has been still for so long.
const STILL: Duration = Duration::from_millis(80);
/// Steps of one change that are waited for; whoever writes without end is told of anyway.
const STEPS: usize = 25;

/// Watches `config/`, `templates/` and `files/` of a project, whether or not they exist already.
pub struct Watch {
    watcher: RecommendedWatcher,
    root: PathBuf,
    changes: Arc<Notify>,
}

impl Watch {
    /// Watches from now on.
    ///
    /// # Errors
    /// When the system has no more watches to give, or the project's directory is not there.
    pub fn start(root: &Path) -> notify::Result<Self> {
        let changes = Arc::new(Notify::new());
        let (told, places) = (Arc::clone(&changes), directories(root));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is told, too, and would never end.
            let tell = event.is_ok_and(|event| {
                let kind = event.kind;
                (kind.is_create() || kind.is_modify() || kind.is_remove())
                    && event.paths.iter().any(|path| concerns(&places, path))
            });
            if tell {
                told.notify_one();
            }
        })?;
        watcher.watch(root, RecursiveMode::NonRecursive)?;
        let mut watch = Self { watcher, root: root.to_owned(), changes };
        watch.look_into_directories();
        Ok(watch)
    }

    /// Waits for the next change; one since the last call counts.
    pub async fn changed(&mut self) {
        self.changes.notified().await;
        for _ in 0..STEPS {
            if timeout(STILL, self.changes.notified()).await.is_err() {
                break;
            }
        }
        self.look_into_directories();
    }

    /// A directory that was put in another's place is not watched any more.
    fn look_into_directories(&mut self) {
        for directory in directories(&self.root) {
            if let Err(error) = self.watcher.watch(&directory, RecursiveMode::Recursive) {
                tracing::debug!(%error, "a directory is not watched");
            }
        }
    }
}

fn directories(root: &Path) -> [PathBuf; 3] {
    ["config", TEMPLATES, FILES].map(|directory| root.join(directory))
}

/// Hidden files are editors' own.
fn concerns(directories: &[PathBuf], path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && directories.iter().any(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn project() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("config/campaigns")).unwrap();
        let file = dir.path().join("config/campaigns/a.toml");
        fs::write(&file, "topic").unwrap();
        (dir, file)
    }

    #[tokio::test]
    async fn a_file_written_replaced_made_or_removed_is_told() {
        let (dir, file) = project();
        let mut watch = Watch::start(dir.path()).unwrap();
        fs::write(&file, "topic = ").unwrap();
        watch.changed().await;
        // As editors save: another file takes the name.
        fs::write(dir.path().join("config/campaigns/4913"), "topic = 1").unwrap();
        fs::rename(dir.path().join("config/campaigns/4913"), &file).unwrap();
        watch.changed().await;
        fs::write(&file, "topic = 2").unwrap();
        watch.changed().await;
        fs::remove_file(&file).unwrap();
        watch.changed().await;
        fs::create_dir(dir.path().join("templates")).unwrap();
        watch.changed().await;
        fs::write(dir.path().join("templates/a.hbs"), "a").unwrap();
        watch.changed().await;
    }

    #[tokio::test]
    async fn reading_and_the_rest_of_the_project_are_not_told() {
        let (dir, file) = project();
        let mut watch = Watch::start(dir.path()).unwrap();
        fs::read_to_string(&file).unwrap();
        fs::write(dir.path().join("colloquy.db"), "rows").unwrap();
        fs::write(dir.path().join("config/campaigns/.a.toml.swp"), "mine").unwrap();
        fs::write(dir.path().join("config/last"), "told").unwrap();
        watch.changed().await;
        assert!(timeout(Duration::from_millis(300), watch.changed()).await.is_err(), "told twice");
    }
}
