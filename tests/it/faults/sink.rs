//! A relay that keeps a journal: a mail is in it, on the disk, before the relay says that it has taken the mail.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use colloquy::demo::catcher::{Catcher, Caught};
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::Keyring;
use colloquy::store::{Error, Group};

const LINK: &str = "List-Unsubscribe:";

/// What a relay has taken.
#[derive(Clone)]
pub struct Journal {
    path: PathBuf,
    taken: Arc<AtomicUsize>,
}

/// A relay that keeps its journal in this directory under this name.
pub fn sink(directory: &Path, name: &str) -> (Catcher, Journal) {
    let path = directory.join(format!("{name}.journal"));
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let journal = Journal { path, taken: Arc::default() };
    let taken = Arc::clone(&journal.taken);
    let (group, _) = Group::spawn(512, move |lines: Vec<String>| {
        let written = file.write_all(lines.concat().as_bytes()).and_then(|()| file.sync_data());
        let taken = taken.fetch_add(lines.len(), Ordering::SeqCst);
        async move {
            written.map_err(|error| Error::Corrupt(format!("mail {taken} is not in the journal: {error}")))?;
            Ok(vec![(); lines.len()])
        }
    });
    let catcher = Catcher::that_keeps(move |mail| {
        let group = group.clone();
        async move { group.commit(line(&mail)).await.is_ok() }
    });
    (catcher, journal)
}

/// The token of the link by which its recipient leaves, which says whose message of which run it is.
fn line(mail: &Caught) -> String {
    let text = String::from_utf8_lossy(&mail.message);
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let (_, rest) = head.split_once(LINK).unwrap();
    let (link, _) = rest.split_once('>').unwrap();
    let token = link.rsplit_once('/').unwrap().1;
    format!("{token}\n")
}

impl Journal {
    /// How many mails were taken so far.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// Whose messages of which runs were taken, in order.
    pub fn read(&self, keys: &Keyring) -> Vec<(RunId, RecipientId)> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        let tokens = text.lines().map(|token| keys.verify(token).unwrap());
        tokens.map(|token| (token.run, token.recipient)).collect()
    }
}
