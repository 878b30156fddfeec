//! Notices: what is built in, what a project's own templates put in its place, and the messages made of them.
//!
//! `templates/notices/KIND.LANGUAGE.hbs` (or `.mjml`) takes the place of a built-in template, or adds a language.
//! Its first line says the subject: `{{!-- Subject: Please confirm --}}`. The built-in ones share the layout
//! `templates/notices/layout.hbs`, which can be overridden alone.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};

use serde_json::{Map, Value};

use super::edition::find;
use super::mailing::{Envelope, Mailing, Scratch};
use super::problem::{RenderError, TemplateProblem};
use super::{flatten, message};
use crate::domain::address::Address;
use crate::domain::campaign::{Campaign, Content, Offers, Pictures, Timing};
use crate::domain::hex::hex;
use crate::domain::id::{NoticeId, RecipientId, RunId};
use crate::domain::language::lookup;
use crate::domain::notice::NoticeKind;
use crate::domain::profile::Profile;
use crate::domain::project::Project;
use crate::domain::time::Micros;
use crate::domain::token::Keyring;

/// Where a project's own templates of notices are.
const DIRECTORY: &str = "templates/notices/";

macro_rules! built_in {
    ($($name:literal),+) => { [$((concat!("templates/notices/", $name, ".hbs"), include_str!(concat!("notices/", $name, ".hbs")))),+] };
}

const BUILT_IN: [(&str, &str); 13] = built_in![
    "layout",
    "confirm.en",
    "confirm.de",
    "already_subscribed.en",
    "already_subscribed.de",
    "fresh_link.en",
    "fresh_link.de",
    "change_address.en",
    "change_address.de",
    "address_changed.en",
    "address_changed.de",
    "forwarded_reply.en",
    "forwarded_reply.de"
];

/// The language of the built-in templates that serves where there is none in a better one.
const ENGLISH: &str = "en";

/// The compiled notices of a project.
pub struct Notices(BTreeMap<NoticeKind, Mailing>);

impl Notices {
    /// Compiles what is built in, and what `files`, by path under the project's root, put in its place.
    ///
    /// # Errors
    /// Everything that is wrong with the project's own templates.
    pub fn compile(project: &Project, files: &BTreeMap<String, String>) -> Result<Self, Vec<TemplateProblem>> {
        let mut files = files.clone();
        let own: Vec<String> = files.keys().filter(|path| path.starts_with(DIRECTORY)).cloned().collect();
        let stem = |path: &str| path.rsplit_once('.').map(|(stem, _)| stem.to_owned());
        let overridden: BTreeSet<_> = own.iter().filter_map(|path| stem(path)).collect();
        let kept = BUILT_IN.iter().filter(|(path, _)| stem(path).is_some_and(|stem| !overridden.contains(&stem)));
        files.extend(kept.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
        let mut problems = Vec::new();
        for path in own.iter().filter(|path| !is_known(path)) {
            problems.push(about(path, "this is the template of no notice".to_owned(), Some(naming())));
        }
        let mut compiled = BTreeMap::new();
        for kind in NoticeKind::ALL {
            match of_kind(kind, project, &files) {
                Ok(mailing) => drop(compiled.insert(kind, mailing)),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self(compiled)) } else { Err(problems) }
    }

    /// The compiled templates of a kind, in all their languages.
    ///
    /// # Panics
    /// Never: all kinds are compiled.
    #[must_use]
    pub fn of(&self, kind: NoticeKind) -> &Mailing {
        &self.0[&kind]
    }

    /// All of them.
    pub fn into_each(self) -> impl Iterator<Item = (NoticeKind, Mailing)> {
        self.0.into_iter()
    }
}

impl Mailing {
    /// The Message-ID of a notice made of this, without its brackets: the same on every attempt.
    #[must_use]
    pub fn notice_id(&self, notice: NoticeId, keyring: &Keyring) -> String {
        format!("{}@{}", message::notice_key(RecipientId(notice.0), keyring), self.fixed.domain)
    }

    /// SHA-256 of the templates that the readers of a language get, in hexadecimal.
    #[must_use]
    pub fn template_hash(&self, language: &str) -> String {
        let edition = find(&self.editions, language);
        let parts = [&edition.subject, &edition.html, &edition.text].map(|part| part.source.text());
        hex(digest(&SHA256, parts.join("\n").as_bytes()).as_ref())
    }
}

/// Kind and language of a template's path.
fn named(path: &str) -> Option<(NoticeKind, &str)> {
    let name = path.strip_prefix(DIRECTORY)?;
    let name = name.strip_suffix(".hbs").or_else(|| name.strip_suffix(flatten::MJML))?;
    let (kind, language) = name.split_once('.')?;
    let fits = |part: &str| !part.is_empty() && part.len() <= 8 && part.bytes().all(|b| b.is_ascii_alphanumeric());
    language.split('-').all(fits).then_some((NoticeKind::parse(kind)?, language))
}

/// What stands in a directory below is for the project's templates to include.
fn is_known(path: &str) -> bool {
    let name = path.strip_prefix(DIRECTORY).unwrap_or_default();
    name.contains('/') || ["layout.hbs", "layout.mjml"].contains(&name) || named(path).is_some()
}

fn naming() -> String {
    let kinds = NoticeKind::ALL.map(NoticeKind::as_str).join(", ");
    format!(
        "call it KIND.LANGUAGE.hbs, as in confirm.de.hbs; kinds are {kinds}; what others include may be in a directory below"
    )
}

fn about(path: &str, message: String, hint: Option<String>) -> TemplateProblem {
    TemplateProblem { file: path.to_owned(), line: 1, column: 1, message, hint }
}

fn of_kind(
    kind: NoticeKind,
    project: &Project,
    files: &BTreeMap<String, String>,
) -> Result<Mailing, Vec<TemplateProblem>> {
    let mut languages = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, text) in files {
        let Some((_, language)) = named(path).filter(|(named, _)| *named == kind) else { continue };
        match subject(text) {
            Some(subject) => {
                let template = path.trim_start_matches("templates/").to_owned();
                languages.insert(language.to_owned(), Content { subject, template, ..Content::default() });
            }
            None => {
                let hint = Some("write {{!-- Subject: … --}} on its first line".to_owned());
                problems.push(about(path, "this notice has no subject".to_owned(), hint));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let tags: Vec<&str> = languages.keys().map(String::as_str).collect();
    let own = lookup(&project.sender.locale, &tags).map_or(ENGLISH, |i| tags[i]).to_owned();
    let Some(content) = languages.remove(&own) else { return Err(Vec::new()) };
    let mut project = project.clone();
    project.sender.locale = own;
    let mailing = Mailing::compile(&programme(kind, content, languages), &project, files)?;
    let mut problems = unknown(kind, &mailing, files);
    if problems.is_empty() {
        problems = tried(kind, &mailing, files);
    }
    if problems.is_empty() { Ok(mailing) } else { Err(problems) }
}

/// What the first line says.
fn subject(template: &str) -> Option<String> {
    let line = template.lines().next()?.trim();
    let comment = line.strip_prefix("{{!--")?.strip_suffix("--}}")?.trim();
    let subject = comment.strip_prefix("Subject:")?.trim();
    (!subject.is_empty()).then(|| subject.to_owned())
}

/// What the campaign is called that stands for a kind of notices; no campaign of a project is called so.
pub(super) fn programme_name(kind: NoticeKind) -> String {
    format!("notices/{}", kind.as_str())
}

/// A notice as a campaign that is on no topic: so it has no list, nobody leaves it, and nothing in it is counted.
fn programme(kind: NoticeKind, content: Content, languages: BTreeMap<String, Content>) -> Campaign {
    let utc = || "UTC".to_owned();
    Campaign {
        name: programme_name(kind),
        topic: String::new(),
        content,
        languages,
        schedule: None,
        timing: Timing { zone: utc(), fallback: utc(), window: None, blackout: Vec::new(), valid_for: None },
        audience: None,
        throttle: None,
        pause_at_rejections: None,
        links: Vec::new(),
        pictures: Pictures::Embedded,
        utm: None,
        offers: Offers::default(),
    }
}

/// What the templates of a kind ask for that no notice of the kind has.
fn unknown(kind: NoticeKind, mailing: &Mailing, files: &BTreeMap<String, String>) -> Vec<TemplateProblem> {
    let known = kind.variables();
    let built_in = mailing.names.built_in.iter().copied().filter(|name| !["address", "sender"].contains(name));
    let attributes = mailing.names.attributes.iter().map(String::as_str).filter(|name| !known.contains(name));
    let names = attributes.filter(|name| *name != "language").chain(built_in);
    let problem = |name: &str| {
        let mentions = |path: &&String| named(path).is_some_and(|(of, _)| of == kind) && files[*path].contains(name);
        let path = files.keys().find(mentions).map_or(DIRECTORY, String::as_str);
        let hint = format!("it has {}", [known, &["address", "sender"]].concat().join(", "));
        about(path, format!("a notice of this kind has no '{name}'"), Some(hint))
    };
    names.map(problem).collect()
}

/// What is wrong with a sample in each language: it cannot be written, or lacks the link that it is for, or the words
/// that are agreed to by it.
fn tried(kind: NoticeKind, mailing: &Mailing, files: &BTreeMap<String, String>) -> Vec<TemplateProblem> {
    const LINK: &str = "https://link.example/sample";
    const WORDS: &str = "SampleOfTheWords";
    let keyring = Keyring::new([(1, [0; 32].as_slice())]);
    let envelope = Envelope { run: RunId::NOTICES, occasion: "", at: Micros(0) };
    let mut problems = Vec::new();
    for language in mailing.languages() {
        let value = |name: &str| match name {
            "url" => LINK.into(),
            "wording" => WORDS.into(),
            "hours" | "minutes" => 24.into(),
            _ => Value::from("Sample"),
        };
        let mut attributes: Map<_, _> = kind.variables().iter().map(|name| ((*name).to_owned(), value(name))).collect();
        attributes.insert("language".to_owned(), language.into());
        let who = Profile {
            recipient: RecipientId(0),
            address: Address::from_normalised("sample@recipient.example".to_owned()),
            attributes,
            revision: 0,
            score: 0.0,
            cluster: None,
            affinities: Vec::new(),
            tracking: false,
        };
        let path = || {
            let mut paths = files.keys().filter(|path| named(path) == Some((kind, language)));
            paths.next().map_or(DIRECTORY, String::as_str)
        };
        match mailing.render_explained(&who, &envelope, &keyring, &mut Scratch::default()) {
            Ok(sample) => {
                let lacks = |name: &&str, text: &str| {
                    kind.variables().contains(name) && !(sample.html.contains(text) && sample.text.contains(text))
                };
                if lacks(&"url", LINK) {
                    let hint = Some("write <a href=\"{{url}}\">…</a>".to_owned());
                    problems.push(about(path(), "this notice lacks the link that it is for".to_owned(), hint));
                }
                if lacks(&"wording", WORDS) {
                    let hint = Some("write <p>{{wording}}</p>: the consent is proven by this mail".to_owned());
                    problems.push(about(path(), "this notice lacks the words that are agreed to".to_owned(), hint));
                }
            }
            Err(RenderError { file, line, column, message, .. }) => {
                problems.push(TemplateProblem { file, line, column, message, hint: None });
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::testing::{files, keyring, profile, project};

    fn notice(kind: NoticeKind, language: &str) -> Profile {
        let data = kind.variables().iter().map(|name| ((*name).to_owned(), json!(format!("https://x.example/{name}"))));
        let mut attributes: serde_json::Map<_, _> = data.collect();
        attributes.insert("language".into(), language.into());
        Profile { attributes, tracking: false, ..profile() }
    }

    fn letter(notices: &Notices, kind: NoticeKind, language: &str) -> String {
        let envelope = Envelope { run: RunId::NOTICES, occasion: "", at: Micros(1_796_115_600_000_000) };
        let who = notice(kind, language);
        let rendered = notices.of(kind).render(&who, &envelope, &keyring(), &mut Scratch::default()).unwrap();
        String::from_utf8(rendered.bytes).unwrap()
    }

    fn problems(templates: &[(&str, &str)]) -> Vec<String> {
        let found = Notices::compile(&project(), &files(templates)).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_built_in_notice_is_transactional_mail_in_each_language() {
        let notices = Notices::compile(&project(), &BTreeMap::new()).unwrap_or_else(|found| panic!("{found:?}"));
        for (kind, language) in NoticeKind::ALL.into_iter().flat_map(|kind| [(kind, "en-GB"), (kind, "de")]) {
            let mail = letter(&notices, kind, language);
            let header = mail.split("\r\n\r\n").next().unwrap();
            assert!(header.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{header}");
            assert!(!header.contains("List-") && !header.contains("Feedback-ID"), "{header}");
            let answers = match kind {
                NoticeKind::ForwardedReply => "\r\nReply-To: \"https://x.example/name\" <https://x.example/from>\r\n",
                _ => "\r\nReply-To: service@alpenlauf.example\r\n",
            };
            assert!(header.contains(answers), "{header}");
            assert!(!mail.contains("/o/") && !mail.contains("/c/") && !mail.contains("/u/"), "{mail}");
            let leads = kind.variables().contains(&"url");
            assert_eq!(mail.contains("https://x.example/url"), leads, "{mail}");
            assert!(header.contains(&format!("Content-Language: {}", &language[..2])), "{header}");
        }
        let id = notices.of(NoticeKind::Confirm).notice_id(NoticeId(7), &keyring());
        assert!(letter(&notices, NoticeKind::Confirm, "fr").contains(&format!("Message-ID: <{id}>")), "{id}");
    }

    #[test]
    fn a_template_of_the_project_takes_the_place_of_a_built_in_one() {
        let own = "{{!-- Subject: Oui ? --}}\n<html><body><p>{{wording}}</p> <a href=\"{{url}}\">Oui</a></body></html>";
        let notices =
            Notices::compile(&project(), &files(&[("notices/confirm.fr", own)])).unwrap_or_else(|f| panic!("{f:?}"));
        assert!(letter(&notices, NoticeKind::Confirm, "fr-CH").contains("Subject: Oui ?\r\n"));
        assert!(letter(&notices, NoticeKind::Confirm, "de").contains("Content-Language: de\r\n"));
        assert_ne!(
            notices.of(NoticeKind::Confirm).template_hash("fr"),
            notices.of(NoticeKind::Confirm).template_hash("de")
        );
    }

    #[test]
    fn what_is_wrong_with_a_projects_template_is_said_with_its_file() {
        let lacks = "<html><body>{{url}}</body></html>";
        let [missing] = &problems(&[("notices/confirm.de", lacks)])[..] else { panic!("one problem") };
        assert!(missing.starts_with("templates/notices/confirm.de.hbs:1:1: this notice has no subject"), "{missing}");
        let [stray] = &problems(&[("notices/confrim.de", lacks)])[..] else { panic!("one problem") };
        assert!(
            stray.contains("the template of no notice") && stray.contains("confirm, already_subscribed"),
            "{stray}"
        );
        let asks = "{{!-- Subject: {{first_name}} --}}\n<html><body>{{url}}{{unsubscribe_url}}</body></html>";
        let found = problems(&[("notices/confirm.de", asks)]);
        assert!(found[0].contains("no 'first_name'") && found[1].contains("no 'unsubscribe_url'"), "{found:?}");
        let mute = "{{!-- Subject: Please --}}\n<html><body>{{wording}}</body></html>";
        let [mute] = &problems(&[("notices/confirm.de", mute)])[..] else { panic!("one problem") };
        assert!(mute.contains("confirm.de.hbs:1:1: this notice lacks the link"), "{mute}");
        let silent = "{{!-- Subject: Please --}}\n<html><body><a href=\"{{url}}\">Yes</a></body></html>";
        let [silent] = &problems(&[("notices/confirm.de", silent)])[..] else { panic!("one problem") };
        assert!(silent.contains("confirm.de.hbs:1:1: this notice lacks the words that are agreed to"), "{silent}");
        assert!(silent.contains("{{wording}}"), "{silent}");
        let broken = "{{!-- Subject: {{#if}} --}}\n<html><body>{{#each}}</body></html>";
        assert!(
            problems(&[("notices/confirm.de", broken)])
                .iter()
                .all(|p| p.starts_with("templates/notices/confirm.de.hbs"))
        );
    }
}
