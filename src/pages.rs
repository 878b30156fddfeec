//! The pages that a mail leads its recipient to: leaving, preferences, and, by a fresh link, one's own data.
//!
//! GET and HEAD never change anything, so link scanners cannot unsubscribe anybody. The pages need
//! the main database; while it is away they say so and ask to come again.

mod address;
mod body;
mod download;
mod form;
mod fresh;
mod html;
pub mod join;
mod keep;
mod look;
mod own;
mod own_fields;
mod pace;
mod picture;
mod preferences;
mod reader;
mod refusal;
mod samples;
mod unsubscribe;
mod view;
mod why;
mod words;

pub use look::{BUILT_IN_STYLE, TEMPLATES};
pub use own_fields::Editable;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, StatusCode};

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::{Loaded, Look, Problems};
use crate::domain::id::{RecipientId, VersionId};
use crate::domain::language;
use crate::domain::project::Choices;
use crate::domain::score::{ClusterRules, ScoreRules};
use crate::domain::token::{Keyring, Purpose, Token};
use crate::domain::wording::{self, Wording};
use crate::store::recipients::Recipient;
use crate::store::{Result, Store, recipients};
use crate::web::{Answer, Handler, Proxies, in_task, method_not_allowed, try_again};
use body::Unread;
use form::Form;
use html::Html;
use picture::Gallery;
use reader::{Reader, accepted};
use view::Shelf;

const RETRY_SECONDS: u16 = 30;

/// What the pages show of the project.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who sends: shown above each page.
    pub sender: String,
    /// BCP 47, for readers who ask for no language that is spoken here.
    pub locale: String,
    /// The imprint's page.
    pub imprint_url: Option<String>,
    /// Titles by topic name.
    pub topics: BTreeMap<String, String>,
    /// What can be chosen besides topics and tracking.
    pub choices: Choices,
    /// Attributes that people may change.
    pub editable: Vec<Editable>,
    /// Of mails: tags (BCP 47).
    pub languages: Vec<String>,
    /// Where pages are reached from outside; empty while that is not known.
    pub base_url: String,
    /// How scores are read.
    pub score: ScoreRules,
    /// How affinities are read.
    pub cluster: ClusterRules,
    /// IANA name, for dates.
    pub timezone: String,
    /// Words, templates and style.
    pub look: Look,
    /// The frozen files that all of this comes from.
    pub version: Option<VersionId>,
}

impl From<&Loaded> for Options {
    fn from(loaded: &Loaded) -> Self {
        let Loaded { project, look, .. } = loaded;
        let sender = &project.sender;
        let name = if sender.from_name.is_empty() { &sender.from_address } else { &sender.from_name };
        Self {
            sender: name.clone(),
            locale: sender.locale.clone(),
            imprint_url: sender.imprint_url.clone(),
            topics: project.topics.clone(),
            choices: project.choices.clone(),
            editable: own_fields::editable(project),
            languages: own_fields::languages(loaded),
            base_url: project.base_url.clone(),
            score: project.score.clone(),
            cluster: project.cluster.clone(),
            timezone: sender.timezone.clone(),
            look: look.clone(),
            version: None,
        }
    }
}

impl Options {
    /// What pages say to somebody of whom nothing but a browser is known.
    fn wording(&self, accepted: &str) -> &Wording {
        wording::choose(&self.look.wordings, None, accepted, &self.locale)
    }
}

/// Answers `/u/`, `/p/`, `/k/`, `/d/`, `/a/`, `/v/` and `/i/`; clones share everything.
#[derive(Clone)]
pub struct Pages(Arc<Inner>);

struct Inner {
    keys: Arc<Keyring>,
    suppression_key: hmac::Key,
    proxies: Proxies,
    store: Store,
    clock: Clock,
    options: Options,
    html: Html,
    copies: Arc<Semaphore>,
    shelf: Shelf,
    gallery: Gallery,
}

/// What a page is asked for.
struct Visit<'a> {
    token: Token,
    /// In the reader's language.
    texts: &'a Wording,
    reader: Reader,
    /// The form, when one was sent.
    form: Option<Form>,
}

impl Pages {
    /// Pages over the main database, for clients as `proxies` tell of them.
    #[must_use]
    pub fn new(
        keys: Arc<Keyring>,
        (suppression_key, proxies): (hmac::Key, Proxies),
        store: Store,
        clock: Clock,
        options: Options,
    ) -> Self {
        let html = Html::new(options.sender.clone(), options.imprint_url.clone(), &options.look);
        let (shelf, gallery) = Default::default();
        let copies = Arc::new(Semaphore::new(download::AT_ONCE));
        Self(Arc::new(Inner { keys, suppression_key, proxies, store, clock, options, html, copies, shelf, gallery }))
    }
}

impl Handler for Pages {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let path = request.uri().path();
        if let Some(name) = path.strip_prefix("/i/") {
            return self.picture(request.method(), name.to_owned()).await;
        }
        let nowhere = || self.0.html.nowhere(self.0.options.wording(&accepted(request.headers())));
        let Some((kind, token)) = path.split_at_checked(3) else { return nowhere() };
        let (token, part) = token.split_once('/').map_or((token, None), |(token, id)| (token, Some(id.to_owned())));
        let Some(token) = self.0.keys.verify(token) else { return nowhere() };
        let takes_forms = match (&token.purpose, kind) {
            (Purpose::Unsubscribe, "/u/") | (Purpose::Preferences, "/p/") | (Purpose::Keep, "/k/")
                if part.is_none() =>
            {
                true
            }
            (Purpose::OwnData { .. }, "/d/") | (Purpose::NewAddress { .. }, "/a/") if part.is_none() => true,
            (Purpose::View, "/v/") | (Purpose::OwnData { .. }, "/d/") => false,
            _ => return nowhere(),
        };
        let post = match *request.method() {
            Method::GET | Method::HEAD => false,
            Method::POST if takes_forms => true,
            _ if takes_forms => return method_not_allowed("GET, HEAD, POST"),
            _ => return method_not_allowed("GET, HEAD"),
        };
        let (parts, body) = request.into_parts();
        let reader = Reader::new(&self.0.proxies, peer, &parts.headers);
        let form = if post { Some(read_form(&parts.headers, body).await) } else { None };
        let inner = Arc::clone(&self.0);
        in_task(async move { inner.visit(token, part.as_deref(), reader, form).await }).await
    }

    fn too_many(&self, request: &Request<Incoming>, seconds: u16) -> Answer {
        self.0.html.too_many(self.0.options.wording(&accepted(request.headers())), seconds)
    }
}

impl Pages {
    async fn picture(&self, method: &Method, name: String) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return method_not_allowed("GET, HEAD");
        }
        let inner = Arc::clone(&self.0);
        in_task(async move {
            inner.picture(&name).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "a picture could not be shown");
                try_again(StatusCode::SERVICE_UNAVAILABLE, RETRY_SECONDS)
            })
        })
        .await
    }
}

impl Inner {
    async fn visit(&self, token: Token, part: Option<&str>, reader: Reader, form: Option<Sent>) -> Answer {
        // A mail brings its own words.
        let person = (token.purpose != Purpose::View).then_some(token.recipient);
        let texts = self.wording(person, &reader.accepted).await;
        let form = match form.transpose() {
            Ok(form) => form,
            Err(unread) => return self.html.unread(texts, unread),
        };
        let visit = Visit { token, texts, reader, form };
        let wants_link = visit.form.as_ref().is_some_and(fresh::is_wanted);
        let answer = match visit.token.purpose {
            Purpose::Unsubscribe => self.unsubscribe(&visit).await,
            Purpose::Keep => self.keep(&visit).await,
            Purpose::View => self.view(&visit, part).await,
            Purpose::OwnData { .. } if wants_link => self.send_link(&visit).await,
            Purpose::OwnData { .. } => match part {
                Some(name) => self.download(&visit, name).await,
                None => self.own_data(&visit).await,
            },
            Purpose::NewAddress { .. } => self.new_address(&visit).await,
            _ if wants_link => self.send_link(&visit).await,
            _ => self.preferences(&visit).await,
        };
        answer.unwrap_or_else(|error| {
            tracing::warn!(%error, run = %visit.token.run, "a page could not be shown");
            self.html.away(visit.texts)
        })
    }

    /// What pages say to a person, as far as it is known who reads. While the database is away, the browser decides.
    async fn wording(&self, person: Option<RecipientId>, accepted: &str) -> &Wording {
        let known = match person {
            Some(person) => self.person(person).await.ok().flatten(),
            None => None,
        };
        let own = known.as_ref().and_then(|person| person.attributes.get(language::ATTRIBUTE)?.as_str());
        wording::choose(&self.options.look.wordings, own, accepted, &self.options.locale)
    }

    async fn person(&self, person: RecipientId) -> Result<Option<Recipient>> {
        recipients::by_id(&mut self.store.read().await?, person).await
    }

    fn title<'a>(&'a self, topic: &'a str) -> &'a str {
        self.options.topics.get(topic).map_or(topic, String::as_str)
    }

    /// Where the same person's preferences are.
    fn preferences_path(&self, token: &Token) -> String {
        format!("/p/{}", self.keys.sign(&Token { purpose: Purpose::Preferences, ..token.clone() }))
    }
}

/// A form, if it could be read.
type Sent = std::result::Result<Form, Unread>;

/// Reads a form.
async fn read_form(headers: &HeaderMap, body: Incoming) -> Sent {
    let bytes = body::read(body).await?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    Ok(Form::parse(content_type, &bytes))
}

/// What is wrong with the sender's own templates and style.
///
/// # Errors
/// Everything that stands in the way of using them.
pub fn check(look: &Look) -> std::result::Result<(), Problems> {
    look::compile(look).map(drop).map_err(Problems)
}

/// What a page's work comes to.
type Outcome = Result<Answer>;
