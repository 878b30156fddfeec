//! The ways in for mail that comes back: the listener, and the mailboxes that are looked into.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{Governed, Governing, Site, host_name};
use crate::domain::token::Keyring;
use crate::inbox::{Addresses, Intake, lmtp, mailboxes};
use crate::metrics::Metrics;
use crate::store::Store;

/// Opens the ways that the site's file names, until `end`. Where LMTP and SMTP are spoken, if they are.
pub(super) async fn open(
    site: &Site,
    (store, metrics): (&Store, &Metrics),
    keyring: Arc<Keyring>,
    governed: Governed,
    tasks: &TaskTracker,
    end: CancellationToken,
) -> Result<Option<SocketAddr>> {
    let inbox = &site.machine.inbox;
    let intake = Intake::new(store.clone(), site.clock.clone(), metrics.clone());
    for config in &inbox.mailboxes {
        let mailbox = site.mailbox(config, end.clone())?;
        let (metrics, clock) = (metrics.clone(), site.clock.clone());
        tasks.spawn(mailboxes::keep_looking(mailbox, intake.clone(), metrics, clock, end.clone()));
    }
    let Some(at) = inbox.listen else { return Ok(None) };
    let listener = TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at} ([inbox] listen)"))?;
    let at = listener.local_addr()?;
    let addresses =
        Addresses::new(keyring, &inbox.addresses, move || governed.borrow().as_ref().map(|it| return_domain(it)));
    let options = lmtp::Options { name: host_name(), addresses, limits: lmtp::Limits::default() };
    tasks.spawn(lmtp::serve(listener, options, intake, metrics.clone(), end));
    Ok(Some(at))
}

/// The domain to which reports come back.
fn return_domain(governing: &Governing) -> String {
    let sender = &governing.loaded.project.sender;
    sender.bounce_domain.clone().unwrap_or_else(|| sender.from_domain().to_owned())
}
