//! Sets the stage: the project's files, the clock, the services, the readers, and the people in the
//! database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{DAY, DAYS, Stage};
use crate::app::App;
use crate::clock::Clock;
use crate::config::files::TEMPLATES;
use crate::demo::Options;
use crate::demo::catcher::Catcher;
use crate::demo::crowd::Crowd;
use crate::demo::deliveries;
use crate::demo::letter::Vocabulary;
use crate::demo::project::{DemoProject, Places, RECIPIENTS, UNTRACKED};
use crate::demo::readers::{Readers, World};
use crate::domain::address::Address;
use crate::lifecycle::Stop;
use crate::metrics::Metrics;
use crate::people::{import, suppress};
use crate::services::{Role, Services};
use crate::store::Store;

/// Caught mails that wait for their readers.
const MAILS: usize = 1_000;
/// One reader in so many has asked by telephone never to be written to.
const SUPPRESSED: usize = 400;

impl Stage {
    /// Sets everything up and lets the people in. The clock begins so early that it ends now.
    pub async fn set(options: &Options, say: &mut impl FnMut(&str)) -> Result<Self> {
        let begun = Instant::now();
        let (places, mailroom) = places().await?;
        let project = DemoProject::write(&options.directory, places)?;
        let crowd = Arc::new(Crowd::draw(options.recipients, options.seed));
        project.file(RECIPIENTS, &crowd.csv(true))?;
        project.file(UNTRACKED, &crowd.csv(false))?;

        let weeks = DAY * (2 * DAYS);
        let fast = weeks.div_duration_f64(options.duration);
        // A sleep on the fast clock ends a little late; a second of it in all keeps the end out of the future.
        let slack = Duration::from_secs_f64(fast);
        let clock = Clock::fast(Clock::system().now().minus(weeks + slack), 1.0);
        let app = Arc::new(App::open(&project.root, clock.clone())?);
        let (stop, catcher) = (Stop::default(), CancellationToken::new());
        let roles: Vec<_> = Role::ALL.into_iter().filter(|role| *role != Role::Sender).collect();
        let services = Services::start(app.site(), &roles, stop.clone()).await?;
        let store = services.store.clone();
        say(&format!("A project is in {}.", project.root.display()));
        admit(&app, &store, &crowd, say).await?;

        let (mails, caught) = mpsc::channel(MAILS);
        tokio::spawn(
            Catcher::new(mails).with_script(deliveries::script(Arc::clone(&crowd))).run(mailroom, catcher.clone()),
        );
        let (words, offers) = vocabulary(&app)?;
        let world = World { crowd: Arc::clone(&crowd), words, offers, service: places.web, clock };
        let readers = Readers::start(world, caught);
        let sender = app.sender(&store, Metrics::new(), stop.soft.clone()).await?;
        Ok(Self { app, project, store, services, sender, stop, crowd, readers, catcher, fast, begun })
    }
}

/// Free places on loopback, and the listener of the catcher.
async fn places() -> Result<(Places, TcpListener)> {
    let free = async |wanted: u16| match TcpListener::bind(("127.0.0.1", wanted)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind("127.0.0.1:0").await,
    };
    let listeners: [TcpListener; 3] = [free(8080).await?, free(8081).await?, free(0).await?];
    let [web, console, catcher] =
        [&listeners[0], &listeners[1], &listeners[2]].map(|l| l.local_addr().unwrap_or(SocketAddr::from(([0; 4], 0))));
    let [_, _, mailroom] = listeners;
    Ok((Places { web, console, catcher }, mailroom))
}

/// Imports both files, and suppresses a few addresses.
async fn admit(app: &App, store: &Store, crowd: &Crowd, say: &mut impl FnMut(&str)) -> Result<()> {
    let key = app.secrets()?.suppression_key();
    for (file, tracking) in [(RECIPIENTS, true), (UNTRACKED, false)] {
        let begun = Instant::now();
        let options = import::Options {
            file: app.root.join(file),
            topic: "news".to_owned(),
            source: "sample recipients of the demo".to_owned(),
            tracking,
            dry_run: false,
        };
        let summary = import::run(store, &app.loaded.project, &key, &app.clock, &options, |_| {}).await?;
        let import::Summary { tally, rejects } = summary;
        say(&format!(
            "  {file}: {} people {} tracking consent, {} rows twice, {} refused, in {:.1} s",
            tally.new,
            if tracking { "with" } else { "without" },
            tally.duplicates,
            rejects.rows,
            begun.elapsed().as_secs_f64()
        ));
    }
    let unwilling = crowd.readers().iter().step_by(SUPPRESSED).map(|reader| Address::parse(&reader.address));
    let unwilling = unwilling.collect::<Result<Vec<_>, _>>().map_err(anyhow::Error::msg)?;
    let order = suppress::Order { reason: "asked by telephone", at: app.clock.now(), key: &key };
    let added = suppress::addresses(store, &order, &unwilling).await?;
    say(&format!("  {added} of them are suppressed: they asked by telephone"));
    Ok(())
}

/// What readers understand: every link of every campaign, and apart from these the offers.
fn vocabulary(app: &App) -> Result<(Vocabulary, Vocabulary)> {
    let (mut words, mut offers) = (Vocabulary::default(), Vocabulary::default());
    for campaign in app.loaded.campaigns.values() {
        let path = format!("{TEMPLATES}/{}", campaign.content.template);
        let template = app.files.read(&path)?.with_context(|| path.clone())?;
        let by_rule = |href: &str| campaign.links.iter().find(|rule| rule.matches(href)).map(|r| r.category.clone());
        words.learn_template(&template, by_rule)?;
        let items = || campaign.offers.items.iter().map(|item| (item.title.as_str(), item.category.as_str()));
        words.learn(items());
        offers.learn(items());
    }
    Ok((words, offers))
}
