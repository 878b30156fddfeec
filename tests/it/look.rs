//! How pages look and what they say: the sender's own files over the built-in ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::config::{self, ProjectFiles};
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Keyring, Purpose, Token};
use colloquy::pages::{Options, Pages};
use colloquy::web::Limits;
use regex::Regex;

use crate::http::Server;
use crate::rules::Shop;
use crate::support::{Database, key_and_proxies, on_both_engines};

/// A shop with files under `templates/pages/`.
fn shop(files: &[(&str, &str)]) -> Shop {
    let shop = Shop::new();
    for (name, text) in files {
        let path = format!("templates/pages/{name}");
        fs::create_dir_all(shop.path(&path).parent().unwrap()).unwrap();
        shop.write(&path, text);
    }
    shop
}

/// What `check` says of them; it must refuse them.
fn refused(files: &[(&str, &str)]) -> String {
    let (code, words) = shop(files).colloquy(&["check"]);
    assert_eq!(code, 2, "{words}");
    words
}

#[test]
fn a_mistake_in_a_language_is_shown_with_its_place_and_a_hint() {
    let words =
        refused(&[("fr.toml", "save_button = \"Enregistrer\"\nsave_buton = \"x\"\nleft = \"Fini.\"\nsaved = 3\n")]);
    for part in [
        "unknown key `save_buton`\n --> templates/pages/fr.toml:2:1",
        "did you mean `save_button`?",
        "this sentence lacks {topic}\n --> templates/pages/fr.toml:3:8",
        "templates/pages/fr.toml:4:9",
    ] {
        assert!(words.contains(part), "{part} is missing in {words}");
    }
    let words = refused(&[("fr.toml", "saved = \"Bien, {name}\"")]);
    assert!(words.contains("nothing is filled in for {name}"), "{words}");
    let words = refused(&[("french.toml", "")]);
    assert!(words.contains("'french' is not a language tag: the file's name is the language's"), "{words}");
    let words = refused(&[("fr.toml", "saved = ")]);
    assert!(words.contains("templates/pages/fr.toml:1:9"), "{words}");
}

#[test]
fn what_a_language_leaves_out_is_told_and_said_in_english() {
    let (code, words) =
        shop(&[("fr.toml", "saved = \"C'est fait.\"\n"), ("de.toml", "saved = \"Passt.\"\n")]).colloquy(&["check"]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("warning: not everything is said in fr: ") && words.contains("`leave_title`"), "{words}");
    assert!(!words.contains("said in de"), "German has a built-in file behind it: {words}");
}

#[test]
fn a_broken_template_is_refused_by_check_and_apply_with_its_place() {
    let layout = |inside: &str| format!("<html lang=\"{{{{lang}}}}\"><title>{{{{title}}}}</title>\n{inside}</html>\n");
    for (name, text, part) in [
        ("page.hbs", layout("{{> sections}}{{/if}}"), "templates/pages/page.hbs:2:"),
        ("page.hbs", layout("{{> sections}}{{senter}}"), "templates/pages/page.hbs:2:"),
        ("page.hbs", layout("no forms"), "error: name=\"leave\" is missing\n"),
        ("page.hbs", "{{> sections}}".to_owned(), "error: lang=\"de\" is missing\n"),
        (
            "leave.hbs",
            "<form method=\"post\"><button>Go</button></form>".to_owned(),
            "is missing\n  --> templates/pages/leave.hbs",
        ),
        (
            "keep.hbs",
            "<form method=\"post\"><button name=\"keep\" value=\"1\">Yes</button></form>".to_owned(),
            "`Yes, go on` is missing\n  --> templates/pages/keep.hbs",
        ),
        ("page.hbs", layout("<script>alert(1)</script>{{> sections}}"), "templates/pages/page.hbs:2:1"),
        ("leaf.hbs", "x".to_owned(), "known: `page`, "),
        ("style.css", "body{background:url(https://cdn.example/x.png)}".to_owned(), "templates/pages/style.css:1:"),
        ("styles.css", "body{}".to_owned(), "call it templates/pages/style.css"),
    ] {
        let shop = shop(&[(name, &text)]);
        for command in ["check", "apply"] {
            let (code, words) = shop.colloquy(&[command]);
            assert_eq!(code, 2, "{command}: {text}: {words}");
            assert!(words.contains(part), "{command}: {part} is missing in {words}");
        }
    }
}

#[test]
fn every_built_in_file_is_printed_and_taken_as_it_is() {
    let shop = Shop::new();
    let names = shop.done(&["pages", "show"]);
    fs::create_dir_all(shop.path("templates/pages")).unwrap();
    for name in names.lines() {
        shop.write(&format!("templates/pages/{name}"), &shop.done(&["pages", "show", name]));
    }
    assert!(names.contains("de.toml\n") && names.contains("page.hbs\n") && names.contains("style.css\n"), "{names}");
    shop.done(&["check"]);
    shop.done(&["apply"]);
    let (code, words) = shop.colloquy(&["pages", "show", "styles.css"]);
    assert!(code == 2 && words.contains("did you mean `style.css`?"), "{words}");
}

#[test]
fn code_and_templates_say_what_the_languages_have_and_all_of_it() {
    let mut sources = Vec::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => directories.push(path),
                Some("rs" | "hbs") => sources.push(fs::read_to_string(&path).unwrap()),
                _ => {}
            }
        }
    }
    let sources = sources.join("\n");
    let languages =
        config::BUILT_IN_LANGUAGES.map(|(tag, text)| (tag, toml::from_str::<BTreeMap<String, String>>(text).unwrap()));
    let known: BTreeSet<&str> = languages[0].1.keys().map(String::as_str).collect();
    for (tag, sentences) in &languages {
        assert_eq!(sentences.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "{tag}");
    }
    let said = Regex::new(r#"(?:\b(?:say|fill)\("|\{\{t\.)([a-z_]+)"#).unwrap();
    let unknown: Vec<_> = said.captures_iter(&sources).map(|found| found[1].to_owned()).collect();
    let unknown: Vec<_> = unknown.iter().filter(|name| !known.contains(&***name) && *name != "missing").collect();
    assert!(unknown.is_empty(), "no language has {unknown:?}");
    let unsaid: Vec<_> = known
        .iter()
        .filter(|name| !sources.contains(&format!("\"{name}\"")) && !sources.contains(&format!("t.{name}}}")))
        .collect();
    assert!(unsaid.is_empty(), "{unsaid:?} are never said");
}

const PROJECT: &str = "[sender]\nfrom = \"Alpenlauf <news@alpenlauf.example>\"\nlocale = \"fr-FR\"\n\
    [web]\nbase_url = \"https://t.alpenlauf.example\"\n[topics.news]\ntitle = \"News\"\n\
    [[relay]]\nname = \"main\"\nurl = \"file:outbox\"\n";

/// Pages of a project with files under `templates/pages/`, and the path of somebody's preferences.
async fn serve(db: &Database, files: &[(&str, &str)], language: &str) -> (Server, String) {
    let mut session = db.store.write().await.unwrap();
    let sql = "INSERT INTO recipients (address, domain, attributes, created_at)
        VALUES ('anna@example.org', 'example.org', $1, 1) RETURNING id";
    let attributes = match language {
        "" => "{}".to_owned(),
        language => format!("{{\"language\": \"{language}\"}}"),
    };
    let sql = if db.url.starts_with("sqlite") { sql.to_owned() } else { sql.replace("$1", "CAST($1 AS jsonb)") };
    let (anna,) = session.one::<(i64,)>(sql, args![attributes]).await.unwrap();
    session.commit().await.unwrap();
    let mut texts = BTreeMap::from([("config/colloquy.toml".to_owned(), PROJECT.to_owned())]);
    texts.extend(files.iter().map(|(name, text)| (format!("templates/pages/{name}"), (*text).to_owned())));
    let loaded = config::load(&ProjectFiles::Frozen(texts)).unwrap_or_else(|problems| panic!("{problems}"));
    let keys = Arc::new(Keyring::new([(1, [7; 32].as_slice())]));
    let token = Token { run: RunId(1), recipient: RecipientId(anna), purpose: Purpose::Preferences };
    let path = format!("/p/{}", keys.sign(&token));
    let pages = Pages::new(keys, key_and_proxies(), db.store.clone(), Clock::system(), Options::from(&loaded));
    (Server::start(pages, Limits::default()).await, path)
}

on_both_engines! {
    async fn the_person_s_language_comes_first_then_the_browser_s_then_the_sender_s(db) {
        let french = ("fr.toml", "save_button = \"Enregistrer\"\n");
        let (server, path) = serve(&db, &[french, ("ar.toml", "save_button = \"حفظ\"\n")], "ar-EG").await;
        let german = [("Accept-Language", "de")];
        let html = server.request("GET", &path, &german, b"").await.text();
        assert!(html.contains("<html lang=\"ar\" dir=\"rtl\">") && html.contains("<button>حفظ</button>"), "{html}");
        assert!(html.contains("<legend>Measuring</legend>"), "what is not translated is English: {html}");

        let mut session = db.store.write().await.unwrap();
        session.execute("UPDATE recipients SET attributes = '{}'", vec![]).await.unwrap();
        session.commit().await.unwrap();
        assert!(server.request("GET", &path, &german, b"").await.text().contains("<html lang=\"de\" dir=\"ltr\">"));
        let html = server.request("GET", &path, &[("Accept-Language", "it, pl")], b"").await.text();
        assert!(html.contains("<html lang=\"fr\" dir=\"ltr\">") && html.contains("<button>Enregistrer</button>"), "{html}");
    }

    async fn the_sender_s_style_and_templates_are_shown_and_the_policy_lets_them(db) {
        let style = "/* https://brand.example */header{background:url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>\")}";
        let style = format!("{style}:root{{--accent:#a00}}");
        let own = [
            ("style.css", style.as_str()),
            ("page.hbs", "<!DOCTYPE html><html lang=\"{{lang}}\"><title>{{title}}</title><style>{{{style}}}</style>\
                <h1>{{title}}</h1><p>{{text}}</p>{{> sections}}{{> partials/foot}}"),
            ("partials/foot.hbs", "<footer>Berg Heil, {{sender}}</footer>"),
        ];
        let (server, path) = serve(&db, &own, "").await;
        let page = server.get(&path).await;
        let html = page.text();
        assert!(html.contains("<footer>Berg Heil, Alpenlauf</footer>") && html.contains("name=\"save\""), "{html}");
        let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert!(style.ends_with(":root{--accent:#a00}") && style.contains(":focus-visible"), "{style}");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
        assert!(page.header("content-security-policy").unwrap().contains(&format!("'sha256-{hash}'")));
    }

    async fn a_look_that_cannot_be_used_gives_way_to_the_built_in_one(db) {
        // As another release may have let pass: such a version must go on sending.
        let words = "save_button = \"Enregistrer\"\nof_another_release = \"Bien\"\n";
        let (french, path) = serve(&db, &[("fr.toml", words), ("old.css", "p{}")], "fr").await;
        assert!(french.get(&path).await.text().contains("<button>Enregistrer</button>"));
        let mut session = db.store.write().await.unwrap();
        session.execute("DELETE FROM recipients", vec![]).await.unwrap();
        session.commit().await.unwrap();
        let (server, path) = serve(&db, &[("page.hbs", "{{#if}}"), ("style.css", "p{color:red}")], "").await;
        let html = server.get(&path).await.text();
        assert!(html.contains("name=\"save\"") && !html.contains("color:red"), "{html}");
    }
}
