//! Mails of many kinds: what is in them, and that all of it arrives, is signed, and keeps to the letter.

use std::fmt::Write as _;
use std::fs;

use colloquy::domain::address::Address;
use serde_json::Value;

use super::letter::keeps_to_the_letter;
use super::{Shop, program};

/// A word in each of many scripts, for names, subjects and texts.
const WORDS: [&str; 12] = [
    "Grüße",
    "Καλημέρα",
    "Добрый день",
    "مرحبا بكم",
    "ברוכים הבאים",
    "你好，世界",
    "こんにちは",
    "안녕하세요",
    "สวัสดีครับ",
    "नमस्ते",
    "👩‍👩‍👧‍👦 🏔️ 🏃🏽‍♀️",
    "=?utf-8?q?faked?= \"quoted\" \\ (c)",
];

/// A name, the subject and the HTML.
type Campaign = (String, String, String);

fn campaigns() -> Vec<Campaign> {
    let mut campaigns = Vec::new();
    for (n, word) in WORDS.iter().enumerate() {
        let html = format!("<h1>{word} {{{{first_name}}}}</h1>\n<p dir=\"auto\">{}</p>", [*word; 40].join(" "));
        campaigns.push((format!("script-{n}"), format!("{word} {{{{first_name}}}}"), html));
    }
    let long = "Donaudampfschifffahrt".repeat(60);
    campaigns.push((
        "long-words".into(),
        format!("{long} {}", "ü".repeat(500)),
        format!("<p>{long}</p><p>{long}ü</p>"),
    ));
    let lines = ".\n..\n.dot\nFrom here on\n--\n-- \n  \t\n   lead\ntrail  \t\n\n\n\n=3D\n&#46;\n";
    campaigns.push(("odd-lines".into(), "{{first_name}}: dots".into(), format!("<pre>{lines}</pre>")));
    campaigns.push(("tiny".into(), "x".into(), "<p>x".into()));
    let mut huge = String::new();
    for n in 0..40 {
        let filler = "Köln, Straße und Zeichen. ".repeat(80);
        let _ = writeln!(
            huge,
            "<p>{n}: <a href=\"https://shop.example/{n}?a=1&amp;b=ü\">Köln {n}</a> {{{{first_name}}}} {filler}</p>"
        );
    }
    campaigns.push(("huge".into(), "Everything that we have, for {{first_name}}, who asked for it ".repeat(4), huge));
    campaigns
}

/// Whom all of them go to: with and without consent to tracking.
const PEOPLE: [(&str, &str, bool); 4] = [
    ("anna@recipients.example", "Anna", true),
    (
        "a.long.local.part.that.is.still.allowed+tag=x@a.very.long.domain.that.goes.on.and.on.recipients.example",
        "Ülkü",
        true,
    ),
    ("björn@bücher.example", "Björn", false),
    ("x@y.example", "=?x?q?y?= İ", false),
];

const FOOT: &str = "\n<p>{{sender.postal_address}} <a href=\"{{unsubscribe_url}}\">Unsubscribe</a></p>";

/// Writes the campaigns and people, and sends every campaign to everybody.
fn send_all(shop: &Shop, campaigns: &[Campaign]) {
    fs::remove_dir_all(shop.path("config/campaigns")).unwrap();
    fs::create_dir(shop.path("config/campaigns")).unwrap();
    for tracked in [true, false] {
        let people = PEOPLE.iter().filter(|(.., may)| *may == tracked);
        let rows: String = people.map(|(address, name, _)| format!("{address},\"{name}\"\n")).collect();
        shop.write("people.csv", &format!("address,first_name\n{rows}"));
        let mut import = vec!["import", "people.csv", "--topic", "news", "--source", "test"];
        import.extend(tracked.then_some("--tracking"));
        shop.done(&import);
    }
    for (n, (name, subject, html)) in campaigns.iter().enumerate() {
        let subject = subject.replace('\\', "\\\\").replace('"', "\\\"");
        let mut toml = format!("topic = \"news\"\nsubject = \"{subject}\"\ntemplate = \"{name}.hbs\"\n");
        shop.write(&format!("templates/{name}.hbs"), &format!("<html><body>{html}{FOOT}</body></html>"));
        if n % 2 == 1 {
            toml += &format!("text_template = \"{name}.txt.hbs\"\n");
            let text = format!("{}\n.\n{{{{unsubscribe_url}}}}\n", "line ".repeat(300));
            shop.write(&format!("templates/{name}.txt.hbs"), &text);
        }
        shop.write(&format!("config/campaigns/{name}.toml"), &toml);
        shop.done(&["send", name]);
    }
}

/// What Python's email package and dkimpy say of the mails of a shop.
fn parsed(shop: &Shop, paths: &[String]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rules/verify.py");
    let keys = shop.path("keys.txt");
    let mut arguments = vec![script, keys.to_str().unwrap()];
    arguments.extend(paths.iter().map(String::as_str));
    let (code, words) = program("python3", &arguments, "");
    assert_eq!(code, 0, "{words}");
    words.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `opendkim` says of mails: the algorithms of the signatures that pass, for each mail in order.
fn passed(shop: &Shop, paths: &[String]) -> Vec<Vec<String>> {
    shop.write(
        "opendkim.conf",
        &format!("TestPublicKeys {}\nMode v\nOn-Default accept\n", shop.path("keys.txt").display()),
    );
    let conf = shop.path("opendkim.conf");
    let mut all = Vec::new();
    // Its test mode reads files of the system's text, with LF.
    let lf = shop.path("mail.lf");
    for path in paths {
        fs::write(&lf, fs::read_to_string(path).unwrap().replace("\r\n", "\n")).unwrap();
        let (_, words) =
            program("opendkim", &["-x", conf.to_str().unwrap(), "-t", lf.to_str().unwrap(), "-v", "-v"], "");
        let verdicts = words.split("dkim=").skip(1).filter(|verdict| verdict.starts_with("pass"));
        let algorithm = |verdict: &str| verdict.split("header.a=").nth(1)?.split_whitespace().next().map(str::to_owned);
        all.push(verdicts.filter_map(algorithm).collect());
    }
    all
}

/// Writes the records of all keys, one a line.
fn publish(shop: &Shop) {
    let shown = shop.done(&["dkim", "show"]);
    let mut lines = String::new();
    let mut parts = shown.split(". IN TXT (");
    let mut before = parts.next().unwrap();
    for part in parts {
        let name = before.lines().last().unwrap();
        let (strings, after) = part.split_once(" )").unwrap();
        let value: String = strings.split('"').skip(1).step_by(2).collect();
        let _ = writeln!(lines, "{name} {value}");
        before = after;
    }
    shop.write("keys.txt", &lines);
}

fn check(shop: &Shop, from: (&str, &str), answers: Option<&str>, by_mail: bool) {
    let campaigns = campaigns();
    publish(shop);
    send_all(shop, &campaigns);
    let mut paths: Vec<_> = fs::read_dir(shop.path("outbox")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let paths: Vec<String> = paths.iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(paths.len(), campaigns.len() * PEOPLE.len());
    let (found, openly) = (parsed(shop, &paths), passed(shop, &paths));
    for ((path, found), openly) in paths.iter().zip(&found).zip(&openly) {
        let raw = fs::read_to_string(path).unwrap();
        let (run, _) = path.rsplit_once('/').unwrap().1.split_once('-').unwrap();
        let (campaign, subject, html) = &campaigns[run.parse::<usize>().unwrap() - 1];
        let reaches = |typed: &str| raw.contains(&format!(" {}\r\nSubject", Address::parse(typed).unwrap()));
        let (address, name, tracked) = *PEOPLE.iter().find(|(address, ..)| reaches(address)).unwrap();
        keeps_to_the_letter(&raw, by_mail);

        let signatures: Vec<_> = found["signatures"].as_array().unwrap().iter().map(|s| (&s[0], &s[3])).collect();
        let both = [("rsa-sha256", true), ("ed25519-sha256", true)];
        assert_eq!(signatures.len(), 2, "{path}");
        assert!(
            signatures.iter().zip(both).all(|((a, good), (b, yes))| *a == b && **good == yes),
            "{campaign}: {signatures:?}"
        );
        assert_eq!(openly, &["rsa-sha256", "ed25519-sha256"], "{campaign} to {address}, by OpenDKIM");

        let header = |name: &str| {
            let mut all = found["headers"].as_array().unwrap().iter().filter(|pair| pair[0] == name);
            all.next().map(|pair| pair[1].as_str().unwrap())
        };
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(header("Subject"), Some(words(&subject.replace("{{first_name}}", name)).as_str()), "{campaign}");
        // Python 3.11 leaves the space between two encoded words in names (RFC 2047 §6.2 drops it).
        let solid = |text: &str| text.replace(' ', "");
        assert_eq!(solid(found["from"][0][0].as_str().unwrap()), solid(from.0));
        assert_eq!(found["from"][0][1], from.1);
        assert_eq!(header("Reply-To"), answers);
        // Python reads no addresses outside ASCII.
        if address.is_ascii() {
            assert_eq!(found["to"][0], address);
            assert_eq!(found["defects"], serde_json::json!([]), "{campaign}");
        }
        let body = found["html"].as_str().unwrap();
        let word = html
            .split(['<', '>'])
            .filter(|text| !text.contains(['{', '&', '=']))
            .max_by_key(|text| text.len())
            .unwrap();
        assert!(words(body).contains(&words(word)), "{campaign}: {word} in\n{body}");
        assert_eq!(body.contains("/o/"), tracked, "{campaign}: the pixel");
        assert!(found["text"].as_str().unwrap().contains("https://t.example/u/"), "{campaign}");
    }

    let tampered = fs::read_to_string(&paths[0]).unwrap().replacen("\r\nSubject: ", "\r\nSubject: Re: ", 1);
    fs::write(&paths[0], tampered).unwrap();
    assert!(parsed(shop, &paths[..1])[0]["signatures"].as_array().unwrap().iter().all(|s| s[3] != true));
    assert_eq!(passed(shop, &paths[..1]), [[""; 0]]);
}

#[test]
fn every_kind_of_mail_is_verified_twice_and_read_as_it_was_meant() {
    let shop = Shop::new();
    let config = "config/colloquy.toml";
    shop.edit(config, "http://localhost:8080", "https://t.example");
    shop.edit(config, "# bounce_domain =", "bounce_domain =");
    shop.key("alpenlauf.example", "r1", "rsa");
    shop.key("alpenlauf.example", "e1", "ed25519");
    check(&shop, ("Alpenlauf", "news@alpenlauf.example"), Some("service@alpenlauf.example"), true);
}

#[test]
fn an_international_sender_without_reply_to_is_verified_as_well() {
    let shop = Shop::new();
    let config = "config/colloquy.toml";
    let name = "قهوة 🏔️ Bücher, (Quotes) & a name that goes on and on, as long as nobody stops it";
    shop.edit(config, "http://localhost:8080", "https://t.example");
    shop.edit(config, "Alpenlauf <news@alpenlauf.example>", &format!("{name} <news@bücher.example>"));
    shop.edit(config, "reply_to = \"service@alpenlauf.example\"\n", "");
    shop.key("bücher.example", "r1", "rsa");
    shop.key("bücher.example", "e1", "ed25519");
    check(&shop, (name, "news@xn--bcher-kva.example"), None, false);
}
