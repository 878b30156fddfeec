//! Two nodes that start the same campaign at the same instant.

use colloquy::domain::run::RunState;
use colloquy::store::runs;

use super::account;
use super::form::{Row, form};
use super::sink::sink;
use crate::hours::HEAD;
use crate::project::{Project, Settings};
use crate::support::on_both_engines;
use crate::support::process::Process;

const PEOPLE: usize = 40;

on_both_engines! {
    async fn two_nodes_that_start_a_campaign_at_the_same_instant_make_one_run(db) {
        let mut row = Row::begin("two nodes start a campaign at once", db.store.kind());
        let (catcher, journal) = sink(db.dir.path(), "twins");
        let project = Project::before(db, Settings::default(), catcher).await;
        project.import(PEOPLE).await;
        let directory = project.db.dir.path();
        for number in 0..form(4, 100) {
            let name = format!("twin{number}");
            std::fs::write(directory.join(format!("config/campaigns/{name}.toml")), HEAD).unwrap();
            let start = || Process::start(directory, &["send", &name]).end();
            // One may come when the run is done, and is told so.
            let ended = tokio::join!(start(), start());
            assert!(matches!(ended, (0, 0 | 2) | (2, 0)), "{ended:?}");

            let runs = runs::recent(&mut project.db.store.read().await.unwrap(), Some(&name)).await.unwrap();
            let [run] = runs.as_slice() else { panic!("{runs:?}") };
            assert_eq!(run.state, RunState::Done);
            let account = account::settled(&project, &journal, run.id).await;
            assert_eq!((account.accepted, account.taken.len()), (PEOPLE, PEOPLE), "{account:?}");
            row.times += 1;
            row.messages += account.messages;
        }
    }
}
