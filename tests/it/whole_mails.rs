//! Whole mails as they leave, octet by octet: of the campaigns that `init` writes, and of one with everything. Whatever
//! changes in them is seen here first.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use colloquy::config::{self, ProjectFiles};
use colloquy::domain::address::Address;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::profile::Profile;
use colloquy::domain::time::Micros;
use colloquy::domain::token::Keyring;
use colloquy::render::{Envelope, Mailing, Scratch, Signer};
use serde_json::json;

/// 1 December 2026, nine o'clock in Munich.
const AT: Micros = Micros(1_796_112_000_000_000);
/// Signs the tests' mail alone. A signature by it is the same each time (RFC 8032).
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEII5KC3xhJ/Z/BMfrT0rVdaxOiecyHuGTd9XPLxOq8SXv
-----END PRIVATE KEY-----
";
/// One dot.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// Anna, who runs, and reads German.
fn anna() -> Profile {
    Profile {
        recipient: RecipientId(7),
        address: Address::parse("anna@recipients.example").unwrap(),
        attributes: json!({ "first_name": "Anna", "language": "de-AT" }).as_object().cloned().unwrap(),
        revision: 0,
        score: 41.0,
        cluster: Some("running".into()),
        affinities: vec![("running".into(), 0.7), ("trail".into(), 0.3)],
        tracking: true,
    }
}

/// The mail of a campaign to Anna, with lines as this system ends them.
fn mail(root: &Path, campaign: &str) -> String {
    let files = ProjectFiles::Disk(root.to_owned());
    let loaded = config::load(&files).unwrap_or_else(|problems| panic!("{problems}"));
    let texts = files.freeze().unwrap();
    let mailing = Mailing::compile(&loaded.campaigns[campaign], &loaded.project, &texts)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    let envelope = Envelope { run: RunId(42), occasion: "2026-12-01T08:00:00Z", at: AT };
    let keyring = Keyring::new([(1, [7; 32].as_slice())]);
    let rendered = mailing.render(&anna(), &envelope, &keyring, &mut Scratch::default()).unwrap();
    let signer = Signer::new(config::dkim::keys(root, &loaded.settings.dkim).unwrap());
    let signed = signer.sign(rendered.bytes, mailing.from_domain(), AT).unwrap();
    String::from_utf8(signed).unwrap().replace("\r\n", "\n")
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    config::init(dir.path(), &SystemRandom::new()).unwrap();
    dir
}

#[test]
fn the_welcome_of_a_new_project() {
    insta::assert_snapshot!(mail(project().path(), "welcome"));
}

#[test]
fn the_offers_of_a_new_project() {
    insta::assert_snapshot!(mail(project().path(), "gear"));
}

#[test]
fn the_letter_of_a_new_project() {
    insta::assert_snapshot!(mail(project().path(), "letter"));
}

#[test]
fn a_mail_with_everything() {
    let dir = project();
    let write = |path: &str, content: &[u8]| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let toml = fs::read_to_string(dir.path().join("config/colloquy.toml")).unwrap();
    let project = toml.replace("[database]", "bounce_domain = \"b.alpenlauf.example\"\n[database]");
    let key = "[[dkim]]\ndomain = \"alpenlauf.example\"\nselector = \"test\"\nkey_file = \"config/dkim.pem\"\n";
    write("config/colloquy.toml", format!("{project}\n{key}").as_bytes());
    write("config/dkim.pem", KEY.as_bytes());
    fs::set_permissions(dir.path().join("config/dkim.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    write("files/plan.pdf", b"%PDF-1.7\n");
    write("templates/images/dot.gif", GIF);
    write("templates/plain.hbs", b"<html><body>{{first_name}}</body></html>");
    write(
        "templates/alles.hbs",
        "<html><head><style>p { color: #222222 } @media print { p { color: #000000 } }</style></head><body>
<img src=\"images/dot.gif\" alt=\"Ein Punkt\">
<p>Grüße, {{first_name}} – {{date \"2026-12-24\" \"long\"}}, {{money 9.9 \"EUR\"}}</p>
<p><a href=\"https://shop.alpenlauf.example/running/tempo-4?a=1&amp;b=2\" data-category=\"running\">Zum Schuh</a></p>
<p>{{sender.postal_address}} <a href=\"{{view_url}}\">Im Browser</a> <a href=\"{{unsubscribe_url}}\">Abmelden</a></p>
</body></html>
"
        .as_bytes(),
    );
    write(
        "config/campaigns/all.toml",
        "topic = \"news\"
subject = \"Hello\"
template = \"plain.hbs\"
[utm]
source = \"mail\"
[language.de]
subject = \"{{first_name}}, Läufe für den Winter\"
preheader = \"Drei Läufe & ein Plan\"
template = \"alles.hbs\"
[[language.de.attachment]]
file = \"files/plan.pdf\"
name = \"Übersicht.pdf\"
"
        .as_bytes(),
    );
    insta::assert_snapshot!(mail(dir.path(), "all"));
}
