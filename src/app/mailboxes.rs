//! Mailboxes as configured, with what opens them.

use anyhow::{Result, anyhow};
use tokio_util::sync::CancellationToken;

use super::Site;
use super::sender::password;
use crate::domain::mailbox::MailboxConfig;
use crate::inbox::MOST_KEPT;
use crate::mailbox::{Mailbox, Options};

impl Site {
    /// One of the mailboxes that the file names.
    ///
    /// # Errors
    /// When its settings do not work, or its password is not there.
    pub fn mailbox(&self, config: &MailboxConfig, stop: CancellationToken) -> Result<Mailbox> {
        let what = format!("mailbox '{}'", config.name);
        let password = password(&what, config.password_env.as_deref())?;
        let options = Options { root: &self.root, password, extra_roots: None, most: MOST_KEPT, stop };
        Mailbox::new(config.clone(), options).map_err(|trouble| anyhow!("{what}: {trouble}"))
    }
}
