//! A server that knows its mailboxes says at once which there are not: such an address is given up, as after a report.

use tracing::{debug, warn};

use super::job::Job;
use crate::domain::action::kind;
use crate::domain::id::RecipientId;
use crate::domain::inbound::{self, Account, Consequence, enhanced};
use crate::domain::outcome::{Reply, Stage};
use crate::domain::suppression::BOUNCED;
use crate::domain::time::Micros;
use crate::store::actions::{self, NewAction};
use crate::store::runs::Answered;
use crate::store::{Result, Store, recipients, suppressions};

/// So many may be refused in a run's beginning.
const FEW: u64 = 5;

/// Gives the address up when the answer to RCPT TO says that there is none such.
pub(super) async fn heed(store: &Store, job: &Job, stage: Stage, reply: &Reply, at: Micros) {
    if stage != Stage::Rcpt || job.is_notice() || !is_dead(reply) {
        return;
    }
    let recipient = job.profile.recipient;
    let answered = job.context.tally.answered();
    if !is_sane(answered) {
        if job.context.doubt() {
            warn!(run = %job.context.run, rejected = answered.rejected, of = answered.all,
                "so many mailboxes are unknown that the relay may be at fault; nobody is given up for it");
        }
        return;
    }
    match give_up(store, job, recipient, at).await {
        Ok(()) => debug!(run = %job.context.run, recipient = recipient.0, "there is no such mailbox any more"),
        Err(error) => warn!(run = %job.context.run, recipient = recipient.0, %error,
            "there is no such mailbox any more, and that could not be noted"),
    }
}

/// Whether so few were refused that it can be about them, and not about a server that knows nobody for a while.
fn is_sane(answered: Answered) -> bool {
    answered.rejected <= FEW || answered.rejected * 5 <= answered.all
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
    let person = recipients::lock(&mut tx, recipient).await?;
    // Whoever has moved in this instant has an address that was not tried.
    if person.is_some_and(|person| person.address.as_ref() == Some(&job.profile.address)) {
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
    fn a_relay_that_knows_nobody_is_not_believed() {
        let sane = |rejected, all| is_sane(Answered { rejected, all });
        assert!(sane(5, 5) && sane(20, 100));
        assert!(!sane(6, 6) && !sane(21, 100));
    }

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
