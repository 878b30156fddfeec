//! Campaigns of one project, each through a relay of its own that keeps a journal and does what a script says.

use std::time::Duration;

use colloquy::app::App;
use colloquy::clock::Clock;
use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::relay::{RelayConfig, RelayUrl, Tls};
use colloquy::metrics::Metrics;
use colloquy::relay::{Exchanges, Options, Relay, Timeouts};
use colloquy::send::{Ended, Error, Limits, Rules, Sender};
use colloquy::store::runs::Run;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::sink::{Journal, sink};
use crate::hours::{HEAD, open};
use crate::project::{Project, Settings};
use crate::support::Database;

/// Longer than a message waits after its first attempts.
const PAUSE: Duration = Duration::from_secs(20 * 60);

/// A project with so many people, whose own relay takes no part.
pub async fn project(db: Database, people: usize) -> Project {
    let project = Project::new(db, Settings::default(), |_, _| None).await;
    project.import(people).await;
    project
}

/// A campaign and its relay, gone with its value.
pub struct Staged<'a> {
    pub journal: Journal,
    project: &'a Project,
    name: String,
    config: RelayConfig,
    timeouts: Timeouts,
    _stop: DropGuard,
}

impl<'a> Staged<'a> {
    /// A campaign of this name to everybody, whose relay acts by this script.
    pub async fn begin(
        project: &'a Project,
        name: String,
        (connections, timeouts): (u16, Timeouts),
        script: impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static,
    ) -> Self {
        let directory = project.db.dir.path();
        std::fs::write(directory.join(format!("config/campaigns/{name}.toml")), HEAD).unwrap();
        let (catcher, journal) = sink(directory, &name);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(catcher.with_script(script).run(listener, stop.clone()));
        let url = RelayUrl::Smtp { host: "127.0.0.1".into(), port, tls: Tls::Opportunistic };
        let quiet = Duration::from_millis(200);
        let config = RelayConfig { connections, slow_down_quiet: quiet, ..RelayConfig::new(&name, url) };
        Self { journal, project, name, config, timeouts, _stop: stop.drop_guard() }
    }

    /// Sends until everything has its final state: what is deferred is tried again as soon as nothing else remains, and
    /// after a relay that refuses for good somebody sends again.
    pub async fn send(&self) -> Run {
        let clock = Clock::fast(Clock::system().now(), 1.0);
        let app = open(self.project, &clock);
        let store = &self.project.db.store;
        let run = app.begin(store, app.campaign(&self.name).unwrap(), false).await.unwrap();
        loop {
            let sender = self.sender(&app).await;
            let prepared = sender.prepare(&run).await.unwrap();
            let ended = sender.send(run.clone(), &prepared, false).await;
            sender.finish().await;
            match ended {
                Ok(Ended::Done) => return run,
                Ok(Ended::OnlyDeferred(_)) => clock.set(clock.now().plus(PAUSE)),
                Err(Error::Relay { .. }) => {}
                other => panic!("{}: {other:?}", self.name),
            }
        }
    }

    async fn sender(&self, app: &App) -> Sender {
        let site = app.site();
        let sender = site.sender(&self.project.db.store, Metrics::new(), CancellationToken::new(), None).await.unwrap();
        let options = Options { timeouts: self.timeouts, ..Options::new("shop.example") };
        let relays = vec![Relay::new(self.config.clone(), None, options).unwrap()];
        let signer = site.signer(&app.loaded).unwrap();
        sender.govern(Rules { limits: Limits::default(), relays, exchanges: Exchanges::default(), signer }).await;
        sender
    }
}
