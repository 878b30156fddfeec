//! Every message that would go out, one line each, a page of people at a time.

use std::io::Write;

use serde_json::json;

use super::moment::Moment;
use super::samples::{links, offers};
use super::{Error, Planner};
use crate::domain::id::RecipientId;
use crate::render::Scratch;
use crate::store::forecast;
use crate::store::profiles::profiles_at;

const PAGE: u32 = 500;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Lines.
    pub messages: u64,
    /// People whose message cannot be rendered: they would get none.
    pub failed: u64,
    /// Why, for the first of them.
    pub first_failure: Option<String>,
}

impl Planner<'_> {
    /// Writes one JSON object per message and line: `{address, subject, offers: [{category, title,
    /// url}], links: [{url, category}], size}`; `size` counts the octets of the whole message.
    ///
    /// # Errors
    /// When the database refuses or `out` cannot be written.
    pub async fn write_messages(&self, out: &mut (dyn Write + Send)) -> Result<Written, Error> {
        let moment = Moment::find(self, &mut self.store.read().await?).await?;
        let (audience, permission) = (moment.audience(self), moment.permission(self));
        let mut written = Written::default();
        let mut scratch = Scratch::default();
        let mut after = RecipientId(0);
        loop {
            let mut session = self.store.read().await?;
            let people = forecast::eligible(&mut session, &audience, &permission, after, PAGE).await?;
            let Some(last) = people.last() else { break };
            after = *last;
            let profiles = profiles_at(&mut session, &people, moment.at, moment.scale(), true).await?;
            drop(session);
            for profile in &profiles {
                let message = match self.render(profile, &moment, &mut scratch) {
                    Ok(message) => message,
                    Err(error) => {
                        written.failed += 1;
                        written.first_failure.get_or_insert_with(|| error.to_string());
                        continue;
                    }
                };
                let line = json!({
                    "address": profile.address.as_str(),
                    "subject": message.subject,
                    "offers": offers(&message),
                    "links": links(&message, false),
                    "size": message.message.bytes.len(),
                });
                writeln!(out, "{line}")?;
                written.messages += 1;
            }
        }
        out.flush()?;
        Ok(written)
    }
}
