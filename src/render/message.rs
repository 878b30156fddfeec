//! Renders and assembles one message.

use std::sync::Arc;

use handlebars::{Context, Handlebars, RenderErrorReason};
use serde_json::{Map, Value};

use super::body;
use super::draft::Draft;
use super::edition::{Edition, Part, choose};
use super::headers::{Answers, DateField, field, list_unsubscribe, mailbox, one_line, unstructured};
use super::job::{Job, Taken};
use super::mailing::{Envelope, Mailing, Rendered};
use super::paths::{reply_by_mail, return_path, unsubscribe_by_mail};
use super::problem::RenderError;
use super::variables::BUILT_IN;
use crate::domain::id::{RecipientId, RunId};
use crate::domain::profile::Profile;
use crate::domain::token::{Keyring, Purpose};

/// Buffers that one worker keeps from message to message, whichever the campaign.
#[derive(Default)]
pub struct Scratch {
    /// Whose offers and sender the data holds.
    owner: Option<Arc<Map<String, Value>>>,
    data: Option<Context>,
    html: Draft,
    text: Draft,
    subject: String,
    spare: Draft,
    date: DateField,
}

impl Scratch {
    /// Subject, HTML and text of the message rendered last.
    pub(super) fn parts(&self) -> (&str, &str, &str) {
        (&self.subject, self.html.text(), self.text.text())
    }

    /// Puts a recipient's values behind what all share, in place of the last one's where both have the same names in the
    /// same order.
    fn fill(&mut self, job: &Job<'_>, unsubscribe: &str) {
        let shared = &job.mailing.data;
        let data = self.data.get_or_insert_with(Context::null).data_mut();
        if !self.owner.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, shared)) {
            *data = Value::Object(Map::clone(shared));
            self.owner = Some(shared.clone());
        }
        let Value::Object(map) = data else { unreachable!("it was made of a map") };
        let reserved = |name: &str| shared.contains_key(name) || BUILT_IN.contains(&name);
        let own = job.profile.attributes.iter().filter(|(name, value)| !value.is_null() && !reserved(name));
        let mut built_in: Vec<(&str, Value)> = vec![
            ("address", job.profile.address.as_str().into()),
            ("score", ((job.profile.score * 10.0).round() / 10.0).into()),
            ("cluster", job.profile.cluster.as_deref().unwrap_or("").into()),
            ("unsubscribe_url", unsubscribe.into()),
        ];
        for (name, path, purpose) in [
            ("preferences_url", "/p/", Purpose::Preferences),
            ("view_url", "/v/", Purpose::View),
            ("keep_url", "/k/", Purpose::Keep),
        ] {
            if job.mailing.names.built_in.contains(name) {
                built_in.push((name, job.page(path, purpose).into()));
            }
        }
        let built_in = built_in.iter().map(|(name, value)| (*name, value));
        let values = own.map(|(name, value)| (name.as_str(), value)).chain(built_in);
        let mut places = map.iter_mut().skip(shared.len());
        let same = values.clone().all(|(name, value)| {
            places.next().filter(|(known, _)| *known == name).map(|(_, place)| put(value, place)).is_some()
        });
        if !same || places.next().is_some() {
            let mut numbers = 0..;
            map.retain(|_, _| numbers.next().is_some_and(|number| number < shared.len()));
            map.extend(values.map(|(name, value)| (name.to_owned(), value.clone())));
        }
    }
}

/// Writes a value over another, a text into the other's memory.
fn put(value: &Value, place: &mut Value) {
    match (value, place) {
        (Value::String(text), Value::String(old)) => text.clone_into(old),
        (value, place) => *place = value.clone(),
    }
}

/// Renders a message; the parts stay in the scratch.
pub(super) fn render<'a>(
    mailing: &'a Mailing,
    profile: &'a Profile,
    envelope: &'a Envelope<'a>,
    keyring: &'a Keyring,
    scratch: &mut Scratch,
) -> Result<(Rendered, Taken<'a>), RenderError> {
    let job = Job::new(mailing, profile, envelope, keyring);
    let unsubscribe = job.page("/u/", Purpose::Unsubscribe);
    scratch.fill(&job, &unsubscribe);
    let Scratch { data: Some(context), html, text, subject, spare, date, .. } = &mut *scratch else {
        unreachable!("fill has set the data")
    };
    let edition = choose(&mailing.editions, profile);
    part(&edition.html, &edition.escaping, &job, context, html)?;
    part(&edition.text, &edition.plain, &job, context, text)?;
    if edition.squeezes {
        spare.squeeze(text);
        std::mem::swap(text, spare);
    }
    part(&edition.subject, &edition.plain, &job, context, spare)?;
    *subject = one_line(spare.text());
    let id = message_key(envelope.run, profile.recipient, keyring);
    let message_id = format!("<{id}@{}>", mailing.fixed.domain);
    let date = date.at(envelope.at);
    let bytes = assemble(&job, edition, &unsubscribe, &id, &message_id, date, (subject, html, text));
    let rendered = Rendered { bytes, return_path: return_path(&job), message_id };
    Ok((rendered, job.into_taken()))
}

fn part(
    part: &Part,
    registry: &Handlebars<'_>,
    job: &Job<'_>,
    context: &Context,
    out: &mut Draft,
) -> Result<(), RenderError> {
    out.clear();
    part.program.run(registry, job, context, out).map_err(|e| explain(&e, part))
}

fn explain(error: &handlebars::RenderError, part: &Part) -> RenderError {
    let place = part.source.place_of(error.line_no.unwrap_or(1), error.column_no.unwrap_or(1));
    let (variable, message) = match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => {
            let name = name.trim_matches(['[', ']']);
            let hint = format!("write (default {name} \"…\") or ask with {{{{#if (has {name})}}}}");
            (Some(name.to_owned()), format!("'{name}' has no value here; {hint}"))
        }
        RenderErrorReason::ParamNotFoundForIndex(helper, _) => {
            (None, format!("'{helper}' lacks a value here; give one with (default NAME \"…\")"))
        }
        other => (None, other.to_string()),
    };
    RenderError { file: place.file.to_string(), line: place.line, column: place.column, variable, message }
}

/// The message's name outside the house: says nothing to whom has no key, and stays the same while
/// keys are added, since the oldest key makes it.
#[must_use]
pub fn message_key(run: RunId, recipient: RecipientId, keyring: &Keyring) -> String {
    key(run, recipient, keyring)
}

/// The same of a notice, by its number.
pub(super) fn notice_key(number: RecipientId, keyring: &Keyring) -> String {
    key(RunId::NOTICES, number, keyring)
}

fn key(run: RunId, recipient: RecipientId, keyring: &Keyring) -> String {
    let mut data = [0; 16];
    data[..8].copy_from_slice(&run.0.to_le_bytes());
    data[8..].copy_from_slice(&recipient.0.to_le_bytes());
    let digest = keyring.digest(keyring.oldest_key(), "message-id", &data).unwrap_or_default();
    digest[..16]
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|n| char::from(b"0123456789abcdef"[usize::from(n)]))
        .collect()
}

fn assemble(
    job: &Job<'_>,
    edition: &Edition,
    unsubscribe: &str,
    id: &str,
    message_id: &str,
    date: &str,
    (subject, html, text): (&str, &Draft, &Draft),
) -> Vec<u8> {
    let fixed = &job.mailing.fixed;
    let mut header = String::with_capacity(2_048);
    header.push_str(&fixed.from);
    mailbox("To", "", job.profile.address.as_str(), &mut header);
    unstructured("Subject", subject, &mut header);
    header.push_str(date);
    field("Message-ID", message_id, &mut header);
    if !fixed.is_notice {
        list_unsubscribe(unsubscribe, unsubscribe_by_mail(job).as_deref(), &mut header);
    }
    match fixed.answers {
        Answers::Together => {}
        Answers::Signed => {
            if let Some(address) = reply_by_mail(job) {
                mailbox("Reply-To", job.mailing.sender_name.as_str(), &address, &mut header);
            }
        }
        Answers::Author => {
            let said = |name: &str| job.profile.attributes.get(name).and_then(Value::as_str).unwrap_or_default();
            mailbox("Reply-To", said("name"), said("from"), &mut header);
        }
    }
    header.push_str(&fixed.rest);
    header.push_str("Content-Language: ");
    header.push_str(&edition.tag);
    header.push_str("\r\n");
    let Edition { images, attachments, .. } = edition;
    let enclosed: usize = images.iter().chain(attachments).map(|enclosure| enclosure.part.len() + 64).sum();
    let mut bytes = header.into_bytes();
    // Room for what is quoted, the final dot and the commands for the next message.
    bytes.reserve((html.text().len() + text.text().len()) / 8 * 9 + 1_024 + enclosed);
    // Outermost first; what has nothing to hold is left out.
    let levels =
        [("mixed", 'm', attachments.as_slice()), ("related; type=\"multipart/alternative\"", 'r', images.as_slice())];
    let levels = levels.iter().filter(|(_, _, enclosures)| !enclosures.is_empty());
    for (kind, letter, _) in levels.clone() {
        let boundary = boundary(id, Some(*letter));
        open(kind, &boundary, &mut bytes);
        write(&["\r\n--", &boundary, "\r\n"], &mut bytes);
    }
    let inner = boundary(id, None);
    open("alternative", &inner, &mut bytes);
    for (kind, content) in [("plain", text), ("html", html)] {
        write(&["\r\n--", &inner, "\r\nContent-Type: text/", kind, "; charset=utf-8\r\n"], &mut bytes);
        body::part(content, &mut bytes);
    }
    write(&["\r\n--", &inner, "--\r\n"], &mut bytes);
    for (_, letter, enclosures) in levels.rev() {
        let boundary = boundary(id, Some(*letter));
        for enclosure in *enclosures {
            write(&["\r\n--", &boundary, "\r\n"], &mut bytes);
            bytes.extend_from_slice(&enclosure.part);
        }
        write(&["\r\n--", &boundary, "--\r\n"], &mut bytes);
    }
    bytes
}

/// "=_" stands in no quoted-printable text and no base64, and the digest in no other text. Behind it a letter
/// that is no hexadecimal digit tells levels apart.
fn boundary(id: &str, level: Option<char>) -> String {
    let mut boundary = String::from("=_");
    boundary.extend(level);
    boundary.push_str(&id[..24]);
    boundary
}

fn open(kind: &str, boundary: &str, out: &mut Vec<u8>) {
    // A kind with a parameter of its own makes the line too long.
    let gap = if kind.contains(';') { "\r\n " } else { " " };
    write(&["Content-Type: multipart/", kind, ";", gap, "boundary=\"", boundary, "\"\r\n"], out);
}

fn write(parts: &[&str], out: &mut Vec<u8>) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}
