//! The simulated readers at work: caught mail becomes letters, letters become visits, and each visit
//! is made when its time has come on the demonstration's clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::browser::{Browser, Visited};
use super::catcher::Caught;
use super::crowd::Crowd;
use super::habits::{Visit, visits};
use super::letter::{Letter, Vocabulary};
use crate::clock::Clock;
use crate::domain::time::Micros;

/// What a reader keeps of a letter, for the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whose it was.
    pub address: String,
    /// The campaign.
    pub campaign: String,
    /// The subject line.
    pub subject: String,
    /// What its first offer was about.
    pub first_offer: Option<String>,
}

/// What the readers share with those who watch them.
#[derive(Debug)]
pub struct Readers {
    received: Arc<Mutex<Vec<Received>>>,
    visited: Arc<Visited>,
}

/// What readers act by.
pub struct World {
    /// Who they are.
    pub crowd: Arc<Crowd>,
    /// What they understand of links.
    pub words: Vocabulary,
    /// Titles of offers.
    pub offers: Vocabulary,
    /// Where the service is.
    pub service: SocketAddr,
    /// The time.
    pub clock: Clock,
}

impl Readers {
    /// Lets the readers act on what is caught, until the catcher has gone.
    #[must_use]
    pub fn start(world: World, mails: mpsc::Receiver<Caught>) -> Self {
        let browser = Browser::new(world.service);
        let (received, visited) = (Arc::default(), browser.visited());
        let agenda = Agenda {
            base: format!("http://{}/", world.service),
            world,
            browser,
            due: BinaryHeap::new(),
            received: Arc::clone(&received),
        };
        tokio::spawn(agenda.run(mails));
        Self { received, visited }
    }

    /// What was received so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many letters were received so far.
    #[must_use]
    pub fn letters(&self) -> usize {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What came of their visits so far.
    #[must_use]
    pub fn visited(&self) -> &Visited {
        &self.visited
    }
}

/// A visit in the queue; the earliest is the greatest.
#[derive(Debug, PartialEq, Eq)]
struct Planned {
    at: Reverse<Micros>,
    person: u64,
    visit: Visit,
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.person, &self.visit.url).cmp(&(other.at, other.person, &other.visit.url))
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct Agenda {
    world: World,
    base: String,
    browser: Browser,
    due: BinaryHeap<Planned>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Agenda {
    async fn run(mut self, mut mails: mpsc::Receiver<Caught>) {
        loop {
            let now = self.world.clock.now();
            while self.due.peek().is_some_and(|planned| planned.at.0 <= now)
                && let Some(Planned { person, visit, .. }) = self.due.pop()
            {
                self.browser.visit(person, visit);
            }
            let next = self.due.peek().map(|planned| planned.at.0.since(now));
            tokio::select! {
                mail = mails.recv() => match mail {
                    Some(mail) => self.open(&mail),
                    None => return,
                },
                () = self.world.clock.sleep(next.unwrap_or_default()), if next.is_some() => {}
            }
        }
    }

    /// Looks into a mail, and plans what its readers do about it.
    fn open(&mut self, mail: &Caught) {
        let now = self.world.clock.now();
        let letter = match Letter::read(&mail.message) {
            Ok(letter) => letter,
            Err(error) => return tracing::warn!(%error, "a caught mail cannot be read"),
        };
        for address in &mail.recipients {
            let Some(reader) = self.world.crowd.find(address) else { continue };
            let visits = visits(reader, &letter, &self.world.words, &self.base);
            self.due.extend(visits.into_iter().map(|visit| Planned {
                at: Reverse(now.plus(visit.after)),
                person: reader.seed,
                visit,
            }));
            let first_offer = letter.links.iter().find_map(|link| self.world.offers.about(link)).map(str::to_owned);
            let (campaign, subject) = (letter.campaign.clone(), letter.subject.clone());
            let received = Received { address: address.clone(), campaign, subject, first_offer };
            self.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        }
    }
}
