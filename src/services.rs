//! The services of a process: which run, on what, and how they end.

mod renewed;
mod ways;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::app::{Follower, Governed, Site};
use crate::clock::{Clock, Spell};
use crate::console::{self, Console};
use crate::domain::token::Keyring;
use crate::inbox::{Parts, Reader, Rules};
use crate::lifecycle::Stop;
use crate::metrics::Metrics;
use crate::pages::join::Desk;
use crate::people::retention::Janitor;
use crate::send::Sender;
use crate::store::spool::Spool;
use crate::store::{self, Store};
use crate::track::{self, Clients, Forwarder, ForwarderOptions, Intake, Judge, JudgeOptions, Limited, Tracker};
use crate::web::{self, Limits, Proxies};
use renewed::RenewedPages;

/// How often a database that is away at the start is looked for.
const AWAY: Duration = Duration::from_secs(1);

/// A part of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Runs campaigns at their time.
    Sender,
    /// Answers pixel and links, forwards and judges hits.
    Tracker,
    /// Answers the recipient's pages, on the tracker's listener.
    Pages,
    /// Takes in mail that comes back, and does what follows.
    Inbox,
    /// Turns actions into scores and clusters.
    Scorer,
    /// Answers metrics and health.
    Console,
}

impl Role {
    /// All parts.
    pub const ALL: [Self; 6] = [Self::Sender, Self::Tracker, Self::Pages, Self::Inbox, Self::Scorer, Self::Console];
}

/// The running services of this process.
pub struct Services {
    /// Where recipients reach this process, if they do.
    pub web: Option<SocketAddr>,
    /// Where mail that comes back reaches this process by LMTP or SMTP, if it does.
    pub inbox: Option<SocketAddr>,
    /// Where operators reach this process, if they do.
    pub console: Option<SocketAddr>,
    /// The sender, if it runs.
    pub sender: Option<Arc<Sender>>,
    /// The database, which is closed when the services have ended.
    pub store: Store,
    spool: Option<Spool>,
    tasks: TaskTracker,
    scheduler: Option<JoinHandle<()>>,
    /// Set once sending has ended: the tracker and the scorer listen until then.
    last: CancellationToken,
    /// The soft stop.
    asked: CancellationToken,
}

impl Services {
    /// Starts the services of these roles. They end by `stop`. While the database is away, those that recipients
    /// reach serve already, and all else waits; without these it is an error.
    ///
    /// # Errors
    /// When the database, the keys, a relay or a listener cannot be used.
    pub async fn start(site: Site, roles: &[Role], stop: Stop) -> Result<Self> {
        let store = site.store_from_afar()?;
        let metrics = Metrics::new();
        let secrets = site.secrets()?;
        let keyring = Arc::new(secrets.keyring());
        let (mut follower, governed) = Follower::new(&store, site.clock.clone(), metrics.clone());
        let mut services = Self {
            web: None,
            inbox: None,
            console: None,
            sender: None,
            store: store.clone(),
            spool: None,
            tasks: TaskTracker::new(),
            scheduler: None,
            last: CancellationToken::new(),
            asked: stop.soft.clone(),
        };
        let has = |role| roles.contains(&role);
        let serves = has(Role::Tracker) || has(Role::Pages);
        let away = match services.reach_database(&site, &mut follower).await {
            Err(error) if serves && may_pass(&error) => Some(error),
            reached => {
                reached?;
                None
            }
        };
        let mut arrived = None;
        if serves {
            let pages = has(Role::Pages).then(|| services.pages(&site, &keyring, governed.clone())).transpose()?;
            arrived = services.listen(&site, Arc::clone(&keyring), &metrics, pages, has(Role::Tracker)).await?;
        }
        if has(Role::Console) {
            services.console(&site, metrics.clone(), stop.soft.clone()).await?;
        }
        if let Some(error) = away
            && !services.wait_for_database(&site, error, &mut follower).await?
        {
            services.tasks.close();
            return Ok(services);
        }
        services.tasks.spawn(follower.run(services.last.clone()));
        if let Some(arrived) = arrived {
            services.take_hits(arrived, &site.clock, &metrics);
        }
        if has(Role::Inbox) {
            let reader = Reader::new(Parts {
                store: store.clone(),
                clock: site.clock.clone(),
                keyring: Arc::clone(&keyring),
                suppression_key: secrets.suppression_key(),
                metrics: metrics.clone(),
            });
            let current = governed.clone();
            let rules = move || current.borrow().as_ref().map(|it| Rules::from(&it.loaded.project)).unwrap_or_default();
            services.tasks.spawn(reader.run(rules, services.last.clone()));
            let (tasks, last) = (&services.tasks, services.last.clone());
            let ways = ways::open(&site, (&store, &metrics), Arc::clone(&keyring), governed.clone(), tasks, last);
            services.inbox = ways.await?;
        }
        if has(Role::Scorer) {
            let (clock, last) = (site.clock.clone(), services.last.clone());
            services.tasks.spawn(renewed::score(store.clone(), clock, metrics.clone(), governed.clone(), last));
        }
        if has(Role::Sender) {
            let janitor = Janitor::new(store, site.clock.clone(), metrics.clone());
            let current = governed.clone();
            let periods = move || current.borrow().as_ref().map(|it| it.loaded.project.retention);
            services.tasks.spawn(janitor.run(periods, services.last.clone()));
            services.send(&site, metrics, governed).await?;
        }
        services.tasks.close();
        info!(web = ?services.web, inbox = ?services.inbox, console = ?services.console, roles = ?roles, "started");
        Ok(services)
    }

    /// Brings the schema up to date, sees that the keys are its own, and looks which version governs, and which time it
    /// is.
    async fn reach_database(&self, site: &Site, follower: &mut Follower) -> Result<()> {
        self.store.get_ready().await?;
        site.refuse_foreign_keys(&self.store).await?;
        Ok(follower.look().await?)
    }

    /// Waits for a database that is away; `false` at the soft stop.
    async fn wait_for_database(&self, site: &Site, mut error: Error, follower: &mut Follower) -> Result<bool> {
        let mut spell = Spell::default();
        while may_pass(&error) {
            if spell.failed() {
                warn!(%error, "the database is away; links and pixel are answered, all else waits for it");
            }
            tokio::select! {
                () = self.asked.cancelled() => return Ok(false),
                () = tokio::time::sleep(AWAY) => {}
            }
            match self.reach_database(site, follower).await {
                Ok(()) => return Ok(true),
                Err(other) => error = other,
            }
        }
        Err(error)
    }

    fn pages(&self, site: &Site, keyring: &Arc<Keyring>, governed: Governed) -> Result<RenewedPages> {
        let secrets = site.secrets()?;
        let proxies = Proxies::new(site.machine.web.trusted_proxies.clone());
        let desk = Desk::new(secrets.suppression_key(), secrets.api_keys(), proxies);
        let (store, last) = (self.store.clone(), self.last.clone());
        let (pages, renewal) = renewed::pages(Arc::clone(keyring), desk, store, site.clock.clone(), governed, last);
        self.tasks.spawn(renewal);
        Ok(pages)
    }

    async fn send(&mut self, site: &Site, metrics: Metrics, mut governed: Governed) -> Result<()> {
        let governing = governed.borrow_and_update().clone();
        if governing.is_none() {
            warn!("no version is applied yet; nothing is sent or scored before `colloquy apply`");
        }
        let loaded = governing.as_ref().map(|it| &it.loaded);
        let sender = Arc::new(site.sender(&self.store, metrics, self.asked.clone(), loaded).await?);
        self.scheduler = Some(tokio::spawn({
            let (sender, site) = (Arc::clone(&sender), site.clone());
            async move {
                tokio::join!(sender.serve(), site.govern(&sender, governed, sender.stopping().clone()));
            }
        }));
        self.sender = Some(sender);
        Ok(())
    }

    async fn listen(
        &mut self,
        site: &Site,
        keyring: Arc<Keyring>,
        metrics: &Metrics,
        pages: Option<RenewedPages>,
        tracks: bool,
    ) -> Result<Option<Arc<Notify>>> {
        let web = &site.machine.web;
        let at = web.listen;
        let listener = TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at} ([web] listen)"))?;
        self.web = Some(listener.local_addr()?);
        let limits = Limits::default();
        if !tracks {
            let clients = Clients::new(web.trusted_proxies.clone(), web.per_network, web.burst);
            let pages = Limited::new(clients, pages);
            self.tasks.spawn(web::serve(listener, pages, limits, self.last.clone()));
            return Ok(None);
        }
        let spool = Spool::open(&site.root.join("spool.db")).await?;
        self.spool = Some(spool.clone());
        let (intake, writer) = Intake::spawn(spool.clone(), metrics.clone());
        let arrived = intake.arrived();
        let options = track::Options {
            trusted_proxies: web.trusted_proxies.clone(),
            per_network: web.per_network,
            burst: web.burst,
        };
        let tracker = Tracker::new(keyring, intake, site.clock.clone(), metrics.clone(), options, pages);
        self.tasks.spawn(web::serve(listener, tracker, limits, self.last.clone()));
        self.tasks.spawn(async move { drop(writer.await) });
        Ok(Some(arrived))
    }

    /// Takes hits from the spool to the database, and judges them there. `arrived` tells of new ones.
    fn take_hits(&self, arrived: Arc<Notify>, clock: &Clock, metrics: &Metrics) {
        let Some(spool) = self.spool.clone() else { return };
        let forwarder = Forwarder::new(spool, self.store.clone(), metrics.clone(), ForwarderOptions::default());
        let judge = Judge::new(self.store.clone(), clock.clone(), metrics.clone(), JudgeOptions::default());
        self.tasks.spawn(forwarder.run(arrived, self.last.clone()));
        self.tasks.spawn(judge.run(self.last.clone()));
    }

    async fn console(&mut self, site: &Site, metrics: Metrics, stopping: CancellationToken) -> Result<()> {
        let at = site.machine.console_listen;
        let listener =
            TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at} ([console] listen)"))?;
        self.console = Some(listener.local_addr()?);
        let console = Console::new(self.store.clone(), self.spool.clone(), metrics, stopping, &self.tasks);
        self.tasks.spawn(web::serve(listener, console, console::limits(), self.last.clone()));
        Ok(())
    }

    /// Waits until the soft stop has been obeyed: what was in flight is finished and written.
    /// `false` when the services ended without being asked to, because the lease was lost.
    pub async fn finished(self) -> bool {
        match self.scheduler {
            Some(scheduler) => drop(scheduler.await),
            None => self.asked.cancelled().await,
        }
        if let Some(sender) = self.sender.and_then(Arc::into_inner) {
            sender.finish().await;
        }
        self.last.cancel();
        self.tasks.wait().await;
        self.store.close().await;
        self.asked.is_cancelled()
    }
}

/// Whether a database that is away is the cause.
fn may_pass(error: &Error) -> bool {
    error.downcast_ref().is_some_and(store::Error::may_pass)
}
