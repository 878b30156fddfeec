//! Addresses of a message that lead back to us by mail.

use super::job::Job;
use crate::domain::address::Address;
use crate::domain::mail_path::{MailPath, MailUse};

/// Where delivery reports go: signed, so that a report says by itself whose message it is about. On
/// a domain that is not ours alone such addresses might be somebody's, so that one mailbox takes all.
pub(super) fn return_path(job: &Job<'_>) -> Address {
    let text = match &job.mailing.bounce_domain {
        Some(domain) => [&local(job, MailUse::Bounce), "@", domain].concat(),
        None => ["bounces@", job.mailing.from_domain()].concat(),
    };
    Address::from_normalised(text)
}

/// Where mail unsubscribes (RFC 2369), if a domain takes it.
pub(super) fn unsubscribe_by_mail(job: &Job<'_>) -> Option<String> {
    let domain = job.mailing.bounce_domain.as_ref()?;
    Some(["mailto:", &local(job, MailUse::Unsubscribe), "@", domain, "?subject=unsubscribe"].concat())
}

/// Where answers come to, if a domain takes them.
pub(super) fn reply_by_mail(job: &Job<'_>) -> Option<String> {
    let domain = job.mailing.bounce_domain.as_ref()?;
    Some([&local(job, MailUse::Reply), "@", domain].concat())
}

fn local(job: &Job<'_>, purpose: MailUse) -> String {
    MailPath { purpose, run: job.envelope.run, recipient: job.profile.recipient }.sign(job.keyring)
}
