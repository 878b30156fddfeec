//! Whether each mailbox lets us in.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Finding, Patient};
use crate::mailbox::{Mailbox, Trouble};

/// How long a mailbox may take.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn look(patient: &Patient<'_>) -> Vec<Finding> {
    let each = patient.mailboxes.iter().map(|(name, mailbox)| async move {
        let check = format!("mailbox {name}");
        match mailbox {
            Ok(mailbox) => opened(check, mailbox).await,
            Err(words) => Finding::fail(check, words, "set the variable where colloquy runs"),
        }
    });
    join_all(each).await
}

async fn opened(check: String, mailbox: &Mailbox) -> Finding {
    match timeout(PATIENCE, mailbox.knock()).await {
        Ok(Ok(None)) => Finding::ok(check, "can be read"),
        Ok(Ok(Some(mails))) => Finding::ok(check, format!("lets us in; mails there: {mails}")),
        Ok(Err(trouble)) => Finding::fail(check, trouble.to_string(), mend(&trouble)),
        Err(_) => {
            let found = format!("no answer within {} seconds", PATIENCE.as_secs());
            Finding::fail(check, found, "look at the host, the port, and firewalls between")
        }
    }
}

fn mend(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Connect(_) | Trouble::Lost(_) => "look at the host, the port, and firewalls between",
        Trouble::Tls(_) => "look at the server's certificate: its name, its date, who signed it",
        Trouble::Login(_) | Trouble::Unspeakable => "look at username, and at the password in the variable",
        Trouble::Directory(_) => "make it with new, cur and tmp, for the user that colloquy runs as",
        Trouble::Unable(_) => "choose another `then`, or fetch by pop3s",
        _ => "look whether the folder exists, and ask the server's operator",
    }
}
