//! A small project for this room's tests.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::{Envelope, Explained, Mailing, RenderError, Scratch, TemplateProblem};
use crate::domain::address::Address;
use crate::domain::campaign::{Campaign, Content, LinkRule, OfferItem, Offers, Pictures, Timing};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::profile::Profile;
use crate::domain::project::{Choices, Project, Sender};
use crate::domain::retention::Retention;
use crate::domain::returns::ReturnLimits;
use crate::domain::score::{ClusterRules, ScoreRules};
use crate::domain::time::Micros;
use crate::domain::token::Keyring;

/// Four offers: trail, running, garden, running.
pub(super) fn campaign() -> Campaign {
    let item = |category: &str, title: &str, path: &str| OfferItem {
        category: category.into(),
        title: title.into(),
        url: format!("https://shop.example.org/{path}"),
        image: None,
        extra: json!({"price": "9 €"}).as_object().cloned().unwrap_or_default(),
    };
    Campaign {
        name: "spring-running".into(),
        topic: "offers".into(),
        content: content("{{first_name}}, new for your next run", "spring"),
        languages: BTreeMap::new(),
        schedule: None,
        timing: Timing {
            zone: "UTC".into(),
            fallback: "UTC".into(),
            window: None,
            blackout: Vec::new(),
            valid_for: None,
        },
        audience: None,
        throttle: None,
        pause_at_rejections: None,
        links: vec![LinkRule { pattern: "https://shop.example.org/running/*".into(), category: "running".into() }],
        pictures: Pictures::Embedded,
        utm: None,
        offers: Offers {
            explore: 0.0,
            items: vec![
                item("trail", "Trail shoes", "trail/1?a=1&b=2"),
                item("running", "Road shoes", "r/2"),
                item("garden", "Spade", "g/3"),
                item("running", "Socks", "r/4"),
            ],
        },
    }
}

pub(super) fn project() -> Project {
    Project {
        sender: Sender {
            from_name: "Alpenlauf".into(),
            from_address: "news@alpenlauf.example".into(),
            reply_to: Some("service@alpenlauf.example".into()),
            postal_address: Some("Alpenlauf GmbH, Am Ring 1, 80331 München".into()),
            imprint_url: Some("https://alpenlauf.example/impressum".into()),
            bounce_domain: Some("b.alpenlauf.example".into()),
            catches_replies: false,
            locale: "de-DE".into(),
            timezone: "Europe/Berlin".into(),
        },
        topics: BTreeMap::from([("offers".into(), "Angebote".into())]),
        categories: ["running", "trail", "garden"].map(|c| (c.into(), c.into())).into(),
        score: ScoreRules { half_life: Duration::from_secs(86_400), warm: 20.0, points: BTreeMap::new() },
        cluster: ClusterRules {
            half_life: Duration::from_secs(86_400),
            min_points: 10.0,
            min_share: 0.3,
            margin: 0.1,
            prior: 1.0,
        },
        frequency_cap: None,
        pause_at_rejections: None,
        returns: ReturnLimits::default(),
        blackout: Vec::new(),
        segments: BTreeMap::new(),
        attributes: BTreeMap::new(),
        retention: Retention::default(),
        choices: Choices::default(),
        base_url: "https://t.alpenlauf.example".into(),
    }
}

/// Anna, who runs, sometimes on trails, and may be tracked.
pub(super) fn profile() -> Profile {
    Profile {
        recipient: RecipientId(7),
        address: Address::from_normalised("anna@example.org".into()),
        attributes: json!({"first_name": "Anna", "country": "DE"}).as_object().cloned().unwrap_or_default(),
        revision: 0,
        score: 41.372,
        cluster: Some("running".into()),
        affinities: vec![("running".into(), 0.6), ("trail".into(), 0.1), ("garden".into(), 0.1)],
        tracking: true,
    }
}

pub(super) fn keyring() -> Keyring {
    Keyring::new([(1, [7; 32].as_slice())])
}

/// Template sources by name under `templates/`, without `.hbs`.
pub(super) fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| (format!("templates/{path}.hbs"), (*text).to_owned())).collect()
}

/// What the readers of a language get.
pub(super) fn content(subject: &str, template: &str) -> Content {
    Content { subject: subject.into(), template: format!("{template}.hbs"), ..Content::default() }
}

/// Compiles the campaign with `html` as its template.
pub(super) fn compile(html: &str) -> Result<Mailing, Vec<TemplateProblem>> {
    Mailing::compile(&campaign(), &project(), &files(&[("spring", html)]))
}

/// Renders for a profile.
pub(super) fn render(mailing: &Mailing, profile: &Profile) -> Result<Explained, RenderError> {
    let envelope = Envelope { run: RunId(42), occasion: "1", at: Micros(1_796_115_600_000_000) };
    mailing.render_explained(profile, &envelope, &keyring(), &mut Scratch::default())
}

/// The HTML that Anna gets.
pub(super) fn html(html: &str) -> String {
    render(&compile(html).unwrap_or_else(|p| panic!("{p:?}")), &profile()).unwrap_or_else(|e| panic!("{e}")).html
}
