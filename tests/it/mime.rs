//! Whole mails in many scripts, with and without pictures and attachments, from frozen files, read by two parsers that
//! are not ours.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest;
use colloquy::config::{self, ProjectFiles};
use colloquy::domain::address::Address;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::profile::Profile;
use colloquy::domain::time::Micros;
use colloquy::domain::token::Keyring;
use colloquy::render::{Envelope, Explained, Mailing, Scratch};
use mail_parser::{MessageParser, MimeHeaders as _};
use serde_json::{Value, json};

const PNG: &[u8] =
    &[0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', 0, 255, b'=', b'.', b'\r', b'\n', b'.', b'\r', b'\n'];
const NAME: &str = "Übersicht für den Frühling – расписание 日程 🏔 mit einem langen Namen.pdf";

/// A name of the script, its language, a text in it.
fn scripts() -> Vec<(&'static str, &'static str, String)> {
    let plain = |name, tag, text: &str| (name, tag, text.to_owned());
    vec![
        plain("latin", "de-DE", "Grüße aus dem Süden, ß & <b> \"q\" = .\n.\n..\nFrom here"),
        plain("cyrillic", "ru", "Привет, ёж! Съешь ещё этих мягких французских булок"),
        plain("arabic", "ar", "مرحبا بكم في العرض الجديد ١٢٣"),
        plain("hebrew", "he", "שלום עולם"),
        plain("cjk", "ja", "春のランニング用品、新着情報です。東京・大阪"),
        plain("emoji", "en", "👩‍👩‍👧‍👦 🏳️‍🌈 e\u{301} 🇩🇪"),
        ("long-word", "fi", "pitkäsana".repeat(400)),
        ("ascii-word", "en", "x".repeat(5_000)),
        plain("tiny", "en", "i"),
        ("huge", "pl", "Zażółć gęślą jaźń. ".repeat(15_000)),
    ]
}

/// A project in `root` whose one campaign carries what is asked for.
fn project(root: &Path, tag: &str, images: bool, attachments: bool) -> Mailing {
    let write = |path: &str, content: &[u8]| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write(
        "config/colloquy.toml",
        format!(
            "[sender]\nfrom = \"Ω Läufer <news@alpenlauf.example>\"\nlocale = \"{tag}\"\n[web]\n\
             base_url = \"https://t.alpenlauf.example\"\n[[relay]]\nname = \"main\"\nurl = \"file:outbox\"\n[topics.news]\n"
        )
        .as_bytes(),
    );
    let mut campaign =
        "topic = \"news\"\nsubject = \"{{truncate word 60}}\"\npreheader = \"{{truncate word 90}}\"\ntemplate = \"a.hbs\"\n".to_owned();
    if attachments {
        let _ = write!(
            campaign,
            "[[attachment]]\nfile = \"files/a.pdf\"\nname = \"{NAME}\"\n[[attachment]]\nfile = \"files/b.ics\"\n"
        );
    }
    write("config/campaigns/a.toml", campaign.as_bytes());
    let image =
        if images { "<img src=\"images/logo.png\" alt=\"Logo\"><img src='images/logo.png' alt=''>" } else { "" };
    let page = format!(
        "<html><body>{image}<p>{{{{word}}}}</p><p><a href=\"{{{{unsubscribe_url}}}}\">off</a></p></body></html>"
    );
    write("templates/a.hbs", page.as_bytes());
    write("templates/images/logo.png", PNG);
    write("files/a.pdf", &PNG.repeat(5_000));
    write("files/b.ics", b"BEGIN:VCALENDAR\nEND:VCALENDAR\n");
    let frozen = ProjectFiles::Disk(root.to_owned()).freeze().unwrap();
    assert_eq!(frozen.contains_key("files/a.pdf"), attachments, "a version holds what the mail carries");
    let loaded = config::load(&ProjectFiles::Frozen(frozen.clone())).unwrap_or_else(|problems| panic!("{problems}"));
    Mailing::compile(&loaded.campaigns["a"], &loaded.project, &frozen).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn rendered(mailing: &Mailing, word: &str) -> Explained {
    let profile = Profile {
        recipient: RecipientId(7),
        address: Address::parse("anna@example.org").unwrap(),
        attributes: json!({ "word": word }).as_object().cloned().unwrap(),
        revision: 0,
        score: 0.0,
        cluster: None,
        affinities: Vec::new(),
        tracking: true,
    };
    let keyring = Keyring::new([(1, [7; 32].as_slice())]);
    let envelope = Envelope { run: RunId(1), occasion: "1", at: Micros(1_796_115_600_000_000) };
    mailing.render_explained(&profile, &envelope, &keyring, &mut Scratch::default()).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The types of a parsed mail, outermost first, as in `mixed(related(alternative(plain html) png) pdf)`.
fn shape(part: &Value) -> String {
    let name = part["type"].as_str().unwrap().rsplit('/').next().unwrap();
    match part["parts"].as_array() {
        Some(parts) => format!("{name}({})", parts.iter().map(shape).collect::<Vec<_>>().join(" ")),
        None => name.to_owned(),
    }
}

fn parts(part: &Value) -> Vec<&Value> {
    let inner = part["parts"].as_array().into_iter().flatten().flat_map(parts);
    std::iter::once(part).chain(inner).collect()
}

#[test]
fn two_other_parsers_find_in_every_mail_what_was_put_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for (images, attachments) in [(false, false), (true, false), (false, true), (true, true)] {
        for (script, tag, word) in scripts() {
            let mailing =
                project(&dir.path().join(format!("{script}-{images}-{attachments}")), tag, images, attachments);
            let explained = rendered(&mailing, &word);
            let path = dir.path().join(format!("{script}-{images}-{attachments}.eml"));
            std::fs::write(&path, &explained.message.bytes).unwrap();
            written.push((path, explained, tag, images, attachments));
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mime/parse.py");
    let paths = written.iter().map(|(path, ..)| path);
    let output = Command::new("python3").arg(script).args(paths).output().expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parsed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(parsed.len(), 40);
    for ((path, explained, tag, images, attachments), found) in written.iter().zip(&parsed) {
        let about = path.display();
        let bytes = &explained.message.bytes;
        for line in String::from_utf8(bytes.clone()).unwrap().split("\r\n") {
            assert!(
                line.len() <= 998 && line.bytes().all(|b| b == b'\t' || (32..127).contains(&b)),
                "{about}: {line:?}"
            );
        }
        let mut expected = "alternative(plain html)".to_owned();
        if *images {
            expected = format!("related({expected} png)");
        }
        if *attachments {
            expected = format!("mixed({expected} pdf calendar)");
        }
        assert_eq!(shape(found), expected, "{about}");
        assert!(parts(found).iter().all(|part| part["defects"] == json!([])), "{about}: {found}");
        assert_eq!(found["subject"], explained.subject.as_str(), "{about}");
        assert_eq!((&found["content-language"], &found["mime-version"]), (&json!(tag), &json!("1.0")), "{about}");
        let body = |kind: &str| parts(found).into_iter().find(|p| p["type"] == kind).unwrap()["text"].as_str().unwrap();
        assert_eq!(body("text/plain"), explained.text, "{about}");
        assert_eq!(body("text/html").trim_end_matches('\n'), explained.html.trim_end_matches('\n'), "{about}");
        let rtl = explained.html.contains("dir=\"rtl\"");
        assert_eq!(rtl, ["ar", "he"].contains(tag), "{about}");
        for part in parts(found).into_iter().filter(|p| p["disposition"] == "inline") {
            let id = part["id"].as_str().unwrap().trim_matches(['<', '>']);
            assert_eq!(explained.html.matches(&format!("src=\"cid:{id}\"")).count(), 1, "{about}");
            assert_eq!(explained.html.matches(&format!("cid:{id}")).count(), 2, "{about}");
            assert_eq!((&part["name"], &part["sha256"]), (&json!("logo.png"), &json!(sha256(PNG))), "{about}");
        }
        let files: Vec<_> = parts(found).into_iter().filter(|p| p["disposition"] == "attachment").collect();
        if *attachments {
            assert_eq!((&files[0]["name"], &files[0]["sha256"]), (&json!(NAME), &json!(sha256(&PNG.repeat(5_000)))));
            assert_eq!(files[1]["name"], "b.ics");
        }

        let other = MessageParser::default().parse(bytes).unwrap();
        assert_eq!(other.subject().unwrap_or_default(), explained.subject, "{about}");
        assert_eq!(other.body_html(0).unwrap().replace("\r\n", "\n").trim_end(), explained.html.trim_end(), "{about}");
        let names: Vec<_> = other.attachments().filter_map(|part| part.attachment_name()).collect();
        let expected = [("logo.png", *images), (NAME, *attachments), ("b.ics", *attachments)];
        assert_eq!(names, expected.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect::<Vec<_>>(), "{about}");
    }
}

#[test]
fn a_browser_finds_the_pictures_that_the_mail_carries() {
    let dir = tempfile::tempdir().unwrap();
    let mailing = project(dir.path(), "de", true, false);
    let explained = rendered(&mailing, "x");
    let shown = mailing.with_pictures_at(&explained.html, "/v/token");
    let (id, media, octets) = mailing.pictures().next().unwrap();
    assert_eq!((media, octets.as_slice()), ("image/png", PNG));
    assert!(!shown.contains("cid:"));
    assert_eq!(shown.matches(&format!("/v/token/{id}")).count(), 2, "{shown}");
}
