//! What rendering adds to a message: the personalised 20 KB mail of `send`, built in-process by the
//! library, from a recipient's profile to the bytes for the relay.

use std::time::Instant;

use colloquy::config::{self, ProjectFiles, Secrets};
use colloquy::domain::address::Address;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::profile::Profile;
use colloquy::domain::time::Micros;
use colloquy::render::{Envelope, Mailing, Scratch};
use serde_json::json;

use crate::send::template;
use crate::support::{Figure, Project, Target, median};

const MESSAGES: i64 = 20_000;
const ROUNDS: usize = 5;

pub fn run() -> Vec<Figure> {
    let project = Project::new("file:outbox", 1, &template());
    let files = ProjectFiles::Disk(project.path(""));
    let loaded = config::load(&files).unwrap_or_else(|problems| panic!("{problems}"));
    let mailing = Mailing::compile(&loaded.campaigns["bench"], &loaded.project, &files.freeze().unwrap()).unwrap();
    let keyring = Secrets::load(&project.path("config/secrets.toml")).unwrap().keyring();
    let envelope = Envelope { run: RunId(1), occasion: "1", at: Micros(1_796_115_600_000_000) };
    let attributes = json!({"first_name": "Anna", "city": "Innsbruck", "customer_number": "4711"});
    let mut profile = Profile {
        recipient: RecipientId(0),
        address: Address::from_normalised("anna@bench.example".into()),
        attributes: attributes.as_object().cloned().unwrap(),
        revision: 0,
        score: 12.5,
        cluster: None,
        affinities: Vec::new(),
        tracking: true,
    };
    let mut scratch = Scratch::default();
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let mut bytes = 0;
        let begun = Instant::now();
        for recipient in 1..=MESSAGES {
            profile.recipient = RecipientId(recipient);
            bytes += mailing.render(&profile, &envelope, &keyring, &mut scratch).unwrap().bytes.len();
        }
        let cost = begun.elapsed().as_secs_f64() * 1e6 / MESSAGES as f64;
        println!("  render {cost:.1} µs for a message of {} bytes", bytes / MESSAGES as usize);
        costs.push(cost);
    }
    vec![Figure { name: "render, µs a message of 20 KB".into(), value: median(costs), target: Target::AtMost(15.0) }]
}
