//! A server that knows its mailboxes says at once which there are not: such an address is given up, as after a report.

use tracing::{info, warn};

use super::job::Job;
use crate::domain::action::kind;
use crate::domain::id::RecipientId;
use crate::domain::inbound::{self, Account, Consequence, enhanced};
use crate::domain::outcome::{Reply, Stage};
use crate::domain::suppression::BOUNCED;
use crate::domain::time::Micros;
use crate::store::actions::{self, NewAction};
use crate::store::{Result, Store, recipients, suppressions};

/// Gives the address up when the answer to RCPT TO says that there is none such.
pub(super) async fn heed(store: &Store, job: &Job, stage: Stage, reply: &Reply, at: Micros) {
    if stage != Stage::Rcpt || job.is_notice() || !is_dead(reply) {
        return;
    }
    let recipient = job.profile.recipient;
    match give_up(store, job, recipient, at).await {
        Ok(()) => info!(run = %job.context.run, recipient = recipient.0, "there is no such mailbox any more"),
        Err(error) => warn!(run = %job.context.run, recipient = recipient.0, %error,
            "there is no such mailbox any more, and that could not be noted"),
    }
}

fn is_dead(reply: &Reply) -> bool {
    let account = Account {
        delayed: false,
        status: enhanced(&reply.words),
        reply: Some(reply.code),
        stage: inbound::Stage::Rcpt,
        words: format!("{} {}", reply.code, reply.words),
    };
    inbound::judge(&account).consequence == Consequence::Dead
}

async fn give_up(store: &Store, job: &Job, recipient: RecipientId, at: Micros) -> Result<()> {
    let run = job.context.run;
    let mut tx = store.write().await?;
    if recipients::lock(&mut tx, recipient).await?.is_some_and(|person| person.address.is_some()) {
        suppressions::add_recipient(&mut tx, recipient, at, BOUNCED).await?;
        let action = NewAction {
            key: format!("b:{run}:{recipient}"),
            recipient,
            kind: kind::BOUNCE.to_owned(),
            category: None,
            at,
            run: Some(run),
            url: None,
            words: Some("user-unknown".to_owned()),
        };
        actions::insert(&mut tx, &[action]).await?;
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unknown_mailbox_is_dead() {
        for (code, words, dead) in [
            (550, "5.1.1 <a@x.example>: Recipient address rejected: User unknown", true),
            (550, "5.7.1 relaying denied", false),
            (550, "5.7.1 Client host rejected: blocked using list.example", false),
            (552, "5.2.2 mailbox full", false),
            (450, "4.1.1 user unknown for now", false),
            (550, "rejected", false),
        ] {
            assert_eq!(is_dead(&Reply::new(code, words)), dead, "{code} {words}");
        }
    }
}
