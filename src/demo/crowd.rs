//! The simulated readers: who they are, what they care about without telling anybody, and the files
//! in which they come.

use std::collections::HashMap;
use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// What a reader may care about, and how many of a hundred do; the project's categories.
const INTERESTS: [(&str, u32); 4] = [("running", 34), ("trail", 26), ("hiking", 22), ("cycling", 18)];

const FIRST_NAMES: [&str; 24] = [
    "Anna", "Ben", "Chiara", "Dariusz", "Elif", "Finn", "Greta", "Hugo", "Ida", "Jonas", "Katja", "Luca", "Marta",
    "Nils", "Olga", "Paul", "Quirin", "Rosa", "Sami", "Thea", "Ugo", "Vera", "Wim", "Zoe",
];
const LAST_NAMES: [&str; 20] = [
    "adler", "bauer", "conti", "dietz", "ernst", "fuchs", "gruber", "hofer", "ivanov", "jansen", "kern", "lang",
    "moser", "novak", "ott", "pichler", "roth", "steiner", "vogt", "winter",
];
const COUNTRIES: [&str; 4] = ["DE", "AT", "CH", "IT"];

/// How a reader's mail is read, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// A mail program that loads pictures itself.
    Program,
    /// A provider whose proxy loads pictures when the mail is opened, as Gmail's does.
    ImageProxy,
    /// A provider that loads all pictures on delivery, as Apple's Mail Privacy Protection does.
    Prefetched,
    /// Behind a gateway that follows every link on delivery.
    Scanned,
    /// A server that defers what it does not know (greylisting).
    Greylisted,
    /// A mailbox that is closed.
    Closed,
}

impl Mailbox {
    /// All of them, with how many of a thousand readers have one.
    const ALL: [(Self, u32); 6] = [
        (Self::Program, 510),
        (Self::ImageProxy, 250),
        (Self::Prefetched, 150),
        (Self::Scanned, 60),
        (Self::Greylisted, 20),
        (Self::Closed, 10),
    ];

    /// The domain that stands for it.
    #[must_use]
    pub fn domain(self) -> &'static str {
        match self {
            // Mailboxes are closed at every provider; a domain of their own would go out first.
            Self::Program | Self::Closed => "post.example",
            Self::ImageProxy => "webmail.example",
            Self::Prefetched => "cloud.example",
            Self::Scanned => "company.example",
            Self::Greylisted => "careful.example",
        }
    }
}

/// A simulated reader.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Where mail goes, in its normal form.
    pub address: String,
    /// What the mail is opened with.
    pub mailbox: Mailbox,
    /// The category that this reader cares about. The system is not told.
    pub interest: &'static str,
    /// The probability that a mail is opened.
    pub opens: f64,
    /// The probability that an opened mail's link about the interest is followed.
    pub follows: f64,
    /// Whether hits may be kept with the person.
    pub tracking: bool,
    /// Seeds what this reader does.
    pub seed: u64,
    first_name: &'static str,
    country: &'static str,
}

/// All readers, by address.
#[derive(Debug)]
pub struct Crowd {
    readers: Vec<Reader>,
    places: HashMap<String, usize>,
}

impl Crowd {
    /// Draws a crowd; the same seed draws the same one.
    #[must_use]
    pub fn draw(size: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let readers: Vec<_> = (1..=size).map(|number| reader(number, &mut random)).collect();
        let places = readers.iter().enumerate().map(|(place, reader)| (reader.address.clone(), place)).collect();
        Self { readers, places }
    }

    /// The readers, in the order of the files.
    #[must_use]
    pub fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// The reader of an address.
    #[must_use]
    pub fn find(&self, address: &str) -> Option<&Reader> {
        self.places.get(address).map(|place| &self.readers[*place])
    }

    /// The CSV file of those who allow tracking, or of those who do not. Like any list that has
    /// grown over years it holds a few rows twice and a few that are wrong.
    #[must_use]
    pub fn csv(&self, tracking: bool) -> String {
        let mut csv = String::from("address,first_name,country\n");
        for (place, reader) in self.readers.iter().filter(|reader| reader.tracking == tracking).enumerate() {
            let Reader { address, first_name, country, .. } = reader;
            let _ = writeln!(csv, "{address},{first_name},{country}");
            match place % 1_000 {
                97 => {
                    let _ = writeln!(csv, "{},{first_name},{country}", address.replace('@', " at "));
                }
                397 => {
                    let (local, domain) = address.split_once('@').unwrap_or((address, ""));
                    let _ = writeln!(csv, "{local}@{},{first_name},{country}", domain.to_uppercase());
                }
                _ => {}
            }
        }
        csv
    }
}

fn reader(number: usize, random: &mut StdRng) -> Reader {
    let first_name = FIRST_NAMES[random.random_range(0..FIRST_NAMES.len())];
    let last_name = LAST_NAMES[random.random_range(0..LAST_NAMES.len())];
    let mailbox = pick(&Mailbox::ALL, random);
    let (opens, follows) = pick(&[((0.0, 0.0), 22), ((0.45, 0.35), 33), ((0.92, 0.6), 45)], random);
    Reader {
        address: format!("{}.{last_name}{number}@{}", first_name.to_lowercase(), mailbox.domain()),
        mailbox,
        interest: pick(&INTERESTS, random),
        opens,
        follows,
        tracking: random.random_bool(0.9),
        seed: random.random(),
        first_name,
        country: COUNTRIES[random.random_range(0..COUNTRIES.len())],
    }
}

/// Draws one of several by weight.
fn pick<T: Copy>(choices: &[(T, u32)], random: &mut StdRng) -> T {
    let mut place = random.random_range(0..choices.iter().map(|(_, weight)| weight).sum());
    for (choice, weight) in choices {
        if place < *weight {
            return *choice;
        }
        place -= weight;
    }
    choices[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_crowd_and_another_seed_another() {
        let csv = |seed| Crowd::draw(500, seed).csv(true);
        assert_eq!(csv(1), csv(1));
        assert_ne!(csv(1), csv(2));
    }

    #[test]
    fn every_interest_and_every_mailbox_has_its_readers() {
        let crowd = Crowd::draw(3_000, 1);
        for (interest, hundredths) in INTERESTS {
            let found = crowd.readers().iter().filter(|reader| reader.interest == interest).count();
            let expected = hundredths as usize * 30;
            assert!(found.abs_diff(expected) < expected / 5, "{interest}: {found}");
        }
        for (mailbox, _) in Mailbox::ALL {
            assert!(crowd.readers().iter().any(|reader| reader.mailbox == mailbox), "{mailbox:?}");
        }
    }

    #[test]
    fn a_reader_is_found_by_address() {
        let crowd = Crowd::draw(10, 7);
        let reader = &crowd.readers()[3];
        assert_eq!(crowd.find(&reader.address).unwrap().seed, reader.seed);
        assert!(crowd.find("nobody@post.example").is_none());
    }
}
