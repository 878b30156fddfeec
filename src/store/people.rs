//! Everything that is stored about people, to be read by themselves or by whoever answers for it.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};
use sqlx::types::Json as Stored;

use super::recipients::Attributes;
use super::{EngineKind, Result, Session, consents};
use crate::args;
use crate::domain::id::RecipientId;
use crate::domain::time::Micros;

/// A person of an export.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Pages go on after it.
    pub id: RecipientId,
    /// The normal form.
    pub address: String,
    /// Strings, numbers, booleans.
    pub attributes: Attributes,
}

const NAMES_SQLITE: &str = "SELECT DISTINCT j.key FROM recipients r, json_each(r.attributes) j
    WHERE r.address IS NOT NULL";
const NAMES_POSTGRES: &str = "SELECT DISTINCT k FROM recipients r, jsonb_object_keys(r.attributes) k
    WHERE r.address IS NOT NULL";
const PAGE: &str = "SELECT id, address, attributes FROM recipients
    WHERE id > $1 AND address IS NOT NULL ORDER BY id LIMIT $2";
const SUBSCRIBERS: &str = "SELECT r.id, r.address, r.attributes FROM recipients r
    JOIN subscriptions s ON s.recipient_id = r.id AND s.recipient_id > $1 AND s.topic = $3 AND s.subscribed
    WHERE r.id > $1 AND r.address IS NOT NULL ORDER BY r.id LIMIT $2";
const MESSAGES: &str = "SELECT r.campaign, m.run_id, m.state, COALESCE(m.first_at, m.at), m.at, m.reply
    FROM messages m JOIN runs r ON r.id = m.run_id
    WHERE m.recipient_id = $1 AND COALESCE(m.first_at, m.at) <= $2 ORDER BY 4, 2";
const ATTEMPTS: &str = "SELECT r.campaign, t.run_id, t.attempt, t.at, t.outcome, t.reply
    FROM messages m JOIN attempts t ON t.run_id = m.run_id AND t.recipient_id = m.recipient_id
    JOIN runs r ON r.id = m.run_id
    WHERE m.recipient_id = $1 AND t.at <= $2 ORDER BY t.at, t.run_id, t.attempt";
const HITS: &str = "SELECT r.campaign, h.kind, h.at, h.url, h.verdict, h.user_agent, h.network
    FROM hits h JOIN messages m ON m.run_id = h.run_id AND m.recipient_id = h.recipient_id
    JOIN runs r ON r.id = h.run_id
    WHERE m.recipient_id = $1 AND h.at <= $2 ORDER BY h.at, h.id";
const ACTIONS: &str = "SELECT a.kind, a.at, a.category, r.campaign, a.url, a.why, a.words, s.points
    FROM actions a LEFT JOIN runs r ON r.id = a.run_id
    LEFT JOIN score_entries s ON s.recipient_id = a.recipient_id AND s.at = a.at AND s.action_id = a.id
    WHERE a.recipient_id = $1 AND a.at <= $2 ORDER BY a.at, a.id";
const MOMENTS: &str = "SELECT kind, at, subject FROM moments WHERE recipient_id = $1 AND at <= $2 ORDER BY at, kind";
/// By number, or by address where the person had none yet.
const NOTICES: &str = "SELECT n.kind, n.created_at, n.at, n.state, n.reply FROM notices n
    WHERE n.recipient_id = $1 AND n.created_at <= $2
        OR n.address_hash = (SELECT r.address_hash FROM recipients r WHERE r.id = $3) AND n.created_at <= $4
    ORDER BY n.created_at, n.id";
const JOINS: &str = "SELECT j.at, j.topics, j.tracking, j.attributes, j.proof FROM joins j
    WHERE j.address_hash = (SELECT r.address_hash FROM recipients r WHERE r.id = $1) AND j.confirmed_at IS NULL
        AND j.at <= $2 ORDER BY j.at, j.id";
/// By number, or by address where it could not be told whose message it answers: the latest, and of each its beginning.
const MAILS: &str =
    "SELECT i.arrived_at, i.way, i.kind, i.effect, i.told, i.size, SUBSTR(i.raw, 1, 65536) FROM inbound i
    WHERE i.recipient_id = $1 AND i.arrived_at <= $2
        OR i.address_hash = (SELECT r.address_hash FROM recipients r WHERE r.id = $3) AND i.arrived_at <= $4
    ORDER BY i.arrived_at DESC, i.id DESC LIMIT 500";

pub(super) const STATEMENTS: &[&str] =
    &[PAGE, SUBSCRIBERS, MESSAGES, ATTEMPTS, HITS, ACTIONS, MOMENTS, NOTICES, JOINS, MAILS];

/// The names of all attributes that somebody has, sorted.
///
/// # Errors
/// When the database refuses.
pub async fn attribute_names(session: &mut Session) -> Result<BTreeSet<String>> {
    let sql = match session.kind() {
        EngineKind::Sqlite => NAMES_SQLITE,
        EngineKind::Postgres => NAMES_POSTGRES,
    };
    let names: Vec<(String,)> = session.all(sql, vec![]).await?;
    Ok(names.into_iter().map(|(name,)| name).collect())
}

/// The next people by number, all or the subscribers of a topic.
///
/// # Errors
/// When the database refuses.
pub async fn page(session: &mut Session, after: RecipientId, topic: Option<&str>, limit: i64) -> Result<Vec<Exported>> {
    let rows: Vec<(i64, String, Stored<Attributes>)> = match topic {
        None => session.all(PAGE, args![after, limit]).await?,
        Some(topic) => session.all(SUBSCRIBERS, args![after, limit, topic]).await?,
    };
    let exported = rows.into_iter().map(|(id, address, attributes)| Exported {
        id: RecipientId(id),
        address,
        attributes: attributes.0,
    });
    Ok(exported.collect())
}

type Text = Option<String>;
/// Kind, when queued, time, state, reply.
type Notice = (String, i64, i64, String, Text);
/// Arrival, way, kind, effect, by what that was decided, octets, the mail itself.
type Mail = (i64, String, Text, Text, Text, i64, Option<Vec<u8>>);
/// Kind, time, category, campaign, URL, why, words, points.
type Action = (String, i64, Text, Text, Text, Text, Text, Option<f64>);

/// Something that happened between a person and us.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Event {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: Micros,
    /// `join` (asked for and not confirmed), `notice`, `mail` (that came back), `consent`, `message`, `attempt`, `hit`, `action` or `moment`.
    pub kind: &'static str,
    /// What else is known, by kind.
    #[serde(flatten)]
    pub details: Map<String, Json>,
}

fn rfc3339<S: serde::Serializer>(at: &Micros, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

impl Event {
    fn new(kind: &'static str, at: i64, details: Json) -> Self {
        let Json::Object(mut details) = details else { return Self { at: Micros(at), kind, details: Map::new() } };
        details.retain(|_, value| !value.is_null());
        Self { at: Micros(at), kind, details }
    }
}

/// The whole dialog with a person up to an instant, in the order of time.
///
/// # Errors
/// When the database refuses, or a payload is not JSON.
pub async fn timeline(session: &mut Session, recipient: RecipientId, until: Micros) -> Result<Vec<Event>> {
    let bounds = || args![recipient, until];
    let mut events = Vec::new();
    type Join = (i64, String, bool, String, String);
    for (at, topics, tracking, attributes, proof) in session.all::<Join>(JOINS, bounds()).await? {
        let read = |text: &str| serde_json::from_str::<Json>(text).ok();
        let details = json!({
            "topics": read(&topics), "tracking": tracking.then_some(true), "attributes": read(&attributes), "proof": read(&proof),
        });
        events.push(Event::new("join", at, details));
    }
    let by_both = || args![recipient, until, recipient, until];
    for (notice, queued, at, state, reply) in session.all::<Notice>(NOTICES, by_both()).await? {
        let known = at <= until.0;
        let details = json!({
            "notice": notice, "state": known.then_some(state), "answered": known.then(|| Micros(at).to_string()),
            "reply": reply.filter(|_| known),
        });
        events.push(Event::new("notice", queued, details));
    }
    for (at, way, mail, effect, told, size, raw) in session.all::<Mail>(MAILS, by_both()).await? {
        let content = raw.map(|raw| json!({ "raw": String::from_utf8_lossy(&raw) }));
        let details =
            json!({ "mail": mail, "way": way, "effect": effect, "told": told, "size": size, "content": content });
        events.push(Event::new("mail", at, details));
    }
    for c in consents::history(session, recipient, until).await? {
        let proof: Option<Json> = c.payload.as_deref().and_then(|payload| serde_json::from_str(payload).ok());
        let topic = (!c.topic.is_empty()).then_some(c.topic);
        let pace = proof.as_ref().and_then(|proof| proof.get("pace").cloned());
        let was = proof.as_ref().and_then(|proof| proof.get("was").cloned());
        let granted = (pace.is_none() && was.is_none()).then_some(c.granted);
        let details = json!({
            "purpose": c.purpose, "topic": topic, "granted": granted, "pace": pace, "was": was, "proof": proof,
        });
        events.push(Event::new("consent", c.at, details));
    }
    type Message = (String, i64, String, i64, i64, Option<String>);
    for (campaign, run, state, first, at, reply) in session.all::<Message>(MESSAGES, bounds()).await? {
        // What became of it later was not known at that instant.
        let known = at <= until.0;
        let details = json!({
            "campaign": campaign, "run": run, "state": if known { state.as_str() } else { "sending" },
            "answered": known.then(|| Micros(at).to_string()), "reply": reply.filter(|_| known),
        });
        events.push(Event::new("message", first, details));
    }
    type Attempt = (String, i64, i64, i64, String, String);
    for (campaign, run, attempt, at, outcome, reply) in session.all::<Attempt>(ATTEMPTS, bounds()).await? {
        let details =
            json!({ "campaign": campaign, "run": run, "attempt": attempt, "outcome": outcome, "reply": reply });
        events.push(Event::new("attempt", at, details));
    }
    type Hit = (String, String, i64, String, Option<String>, String, String);
    for (campaign, hit, at, url, verdict, agent, network) in session.all::<Hit>(HITS, bounds()).await? {
        let url = (!url.is_empty()).then_some(url);
        let details = json!({
            "hit": hit, "campaign": campaign, "url": url, "verdict": verdict, "user_agent": agent, "network": network,
        });
        events.push(Event::new("hit", at, details));
    }
    for (action, at, category, campaign, url, why, words, points) in session.all::<Action>(ACTIONS, bounds()).await? {
        let details = json!({
            "action": action, "category": category, "campaign": campaign, "url": url, "why": why, "words": words,
            "points": points,
        });
        events.push(Event::new("action", at, details));
    }
    for (moment, at, subject) in session.all::<(String, i64, String)>(MOMENTS, bounds()).await? {
        events.push(Event::new("moment", at, json!({ "moment": moment, "subject": subject })));
    }
    // Stable: what happened at the same instant stays in the order above, cause before effect.
    events.sort_by_key(|event| event.at);
    Ok(events)
}
