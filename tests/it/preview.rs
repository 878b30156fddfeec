//! The preview's page, in a real browser.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use colloquy::clock::Clock;
use colloquy::preview::{self, Options, Preview};
use colloquy::store::EngineKind;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::http::{Server, get_from};
use crate::project::{Project, Settings};
use crate::rules::Shop;
use crate::support::browser::Browser;
use crate::support::database;

const HTML: &str = "<html><head><style>@media (prefers-color-scheme: dark){p{color:#fff}}</style></head><body>\
    <script>document.title = 'ran'; document.body.innerHTML = 'ran'</script>\
    <p>Hello {{first_name}}</p>\
    <a href=\"https://shop.example/run\" data-category=\"running\">Run</a>\
    <a href=\"{{unsubscribe_url}}\">Leave</a> {{sender.postal_address}}</body></html>";

/// `colloquy preview` at work on a project.
struct Served {
    process: Child,
    url: String,
    project: Project,
}

impl Served {
    async fn start() -> Self {
        let project = Project::new(database(EngineKind::Sqlite).await, Settings::default(), |_, _| None).await;
        fs::write(project.db.dir.path().join("templates/hello.hbs"), HTML).unwrap();
        project.import(3).await;
        let mut process = Command::new(env!("CARGO_BIN_EXE_colloquy"))
            .arg("-C")
            .arg(project.db.dir.path())
            .args(["preview", "hello", "--no-open"])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { process, url: url.trim().to_owned(), project }
    }

    fn file(&self, path: &str) -> PathBuf {
        self.project.db.dir.path().join(path)
    }

    /// The answer to a path beside the page.
    async fn data(&self, path: &str) -> Value {
        let page = self.url.split('?').next().unwrap();
        serde_json::from_slice(&get_from(&format!("{page}{path}"), &[]).await.body).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Replaces a file as editors do: another one takes its name.
fn save(path: &Path, text: &str) {
    let other = path.with_extension("new");
    fs::write(&other, text).unwrap();
    fs::rename(other, path).unwrap();
}

#[tokio::test]
async fn the_page_shows_a_mail_from_every_side_and_lets_nothing_in_it_act() {
    let served = Served::start().await;
    let browser = Browser::start().await;
    browser.open(&served.url).await;
    browser.wait_for("document.getElementById('subject').textContent === 'Hello Anna 0'").await;
    let panel = async |name: &str| {
        browser.click(&format!("#tab-{name}")).await;
        let shown =
            "return [...document.querySelectorAll('[role=tabpanel]')].filter(p => p.offsetParent).map(p => p.id)";
        assert_eq!(browser.script(shown).await, json!([name]));
        browser
            .script(&format!("return document.getElementById('{name}').innerText"))
            .await
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(panel("text").await.contains("Hello Anna 0"));
    let links = panel("links").await;
    assert!(links.contains("running") && links.contains("https://shop.example/run"), "{links}");
    let headers = panel("headers").await;
    assert!(headers.contains("List-Unsubscribe-Post") && headers.contains("\"Shop\" <news@shop.example>"), "{headers}");
    assert!(panel("source").await.contains("Content-Type: multipart/alternative"));
    assert!(panel("size").await.contains("Gmail shows up to 102 KB"));
    panel("html").await;
    browser.script("document.querySelector('[value=desktop]').click()").await;
    browser.wait_for("document.getElementById('body').clientWidth === 700").await;
    browser.script("document.querySelector('[value=dark]').click()").await;

    browser.enter_frame("#body").await;
    browser.wait_for("matchMedia('(prefers-color-scheme: dark)').matches").await;
    let before = browser.script("return [document.title, document.body.innerText, location.href]").await;
    assert!(before[1].as_str().unwrap().starts_with("Hello Anna 0"), "{before}");
    for link in ["a:first-of-type", "a:last-of-type"] {
        browser.click(link).await;
    }
    assert_eq!(browser.script("return [document.title, document.body.innerText, location.href]").await, before);
    browser.leave_frame().await;
    assert_eq!(browser.windows().await, 1);

    browser
        .script("const r = document.getElementById('recipient'); r.value = 'a2@example.org'; r.dispatchEvent(new Event('change'))")
        .await;
    browser.wait_for("document.getElementById('subject').textContent === 'Hello Anna 2'").await;
}

#[tokio::test]
async fn the_page_follows_the_files_and_shows_the_place_of_a_mistake_until_it_is_mended() {
    let served = Served::start().await;
    let browser = Browser::start().await;
    browser.open(&served.url).await;
    browser.wait_for("document.getElementById('subject').textContent === 'Hello Anna 0'").await;

    let campaign = served.file("config/campaigns/hello.toml");
    let right = fs::read_to_string(&campaign).unwrap();
    save(&campaign, &right.replace("Hello {{", "Good day {{"));
    browser.wait_for("document.getElementById('subject').textContent === 'Good day Anna 0'").await;

    let errors = "document.getElementById('errors').innerText";
    let shows = async |words: &[&str]| {
        browser.wait_for(&format!("{errors}.includes({})", json!(words[0]))).await;
        let seen = browser.script(&format!("return {errors}")).await;
        assert!(words.iter().all(|word| seen.as_str().unwrap().contains(word)), "{words:?} in {seen}");
    };
    save(&campaign, &right.replace("topic =", "topc ="));
    shows(&["unknown key `topc`", "config/campaigns/hello.toml:1:1", "topc = \"news\"", "did you mean `topic`?"]).await;
    assert_eq!(browser.script("return document.getElementById('mail').hidden").await, true);
    save(&campaign, &right.replace("{{first_name}}", "{{first_nam"));
    shows(&["config/campaigns/hello.toml:2:", "subject = \"Hello {{first_nam\""]).await;
    save(&campaign, &right);
    browser.wait_for("document.getElementById('errors').hidden").await;

    let template = served.file("templates/hello.hbs");
    save(&template, &HTML.replace("<p>Hello", "\n<p>Hello {{#if score}}"));
    shows(&["templates/hello.hbs:2:"]).await;
    save(&template, &HTML.replace("{{first_name}}", "{{last_name}}"));
    shows(&["'last_name' has no value here", "templates/hello.hbs:1:", "this recipient would get no message"]).await;
    save(&template, &HTML.replace("<p>Hello", "<p>Good evening"));
    browser.wait_for("document.getElementById('errors').hidden").await;
    browser.enter_frame("#body").await;
    browser.wait_for("document.body.innerText.startsWith('Good evening Anna 0')").await;
}

#[tokio::test]
async fn only_the_browser_on_this_machine_that_was_told_the_path_is_answered() {
    let served = Served::start().await;
    let (origin, rest) = served.url.split_at(served.url[7..].find('/').unwrap() + 7);
    assert_eq!(get_from(&served.url, &[]).await.status, 200);
    assert_eq!(get_from(&served.url, &[("Host", "rebound.example")]).await.status, 421);
    assert_eq!(get_from(&format!("{origin}/"), &[]).await.status, 404);
    let guessed = rest.replace(&rest[1..9], "00000000");
    assert_eq!(get_from(&format!("{origin}{guessed}"), &[]).await.status, 404);
    let page = get_from(&served.url, &[]).await;
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'; script-src 'self'"));

    let outside = Command::new(env!("CARGO_BIN_EXE_colloquy")).args(["preview", "x", "--listen", "0.0.0.0:0"]).output();
    let outside = outside.unwrap();
    assert_eq!(outside.status.code(), Some(2));
    assert!(String::from_utf8(outside.stderr).unwrap().contains("for this machine alone"));
}

#[tokio::test]
async fn what_a_command_line_shows_opens_the_page_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { root: dir.path().to_owned(), store: None, clock: Clock::system() };
    let preview = Preview::new(options, CancellationToken::new());
    let path = preview.path("hello", Some("a@example.org"), None);
    let once = preview.once(path.clone());
    let server = Server::start(preview, preview::limits()).await;
    let url = format!("http://{}{once}", server.address);
    assert_eq!(get_from(&format!("{url}0"), &[]).await.status, 404);
    assert_eq!(get_from(&url, &[("Host", "rebound.example")]).await.status, 421);
    let first = get_from(&url, &[]).await;
    assert_eq!((first.status, first.header("location")), (303, Some(path.as_str())));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(get_from(&url, &[]).await.status, 404, "whoever comes later");
    assert_eq!(get_from(&format!("http://{}{path}", server.address), &[]).await.status, 200);
}

#[tokio::test]
async fn no_link_of_a_previewed_mail_is_signed_by_the_projects_keys() {
    let served = Served::start().await;
    let keys = served.project.app().secrets().unwrap().keyring();
    let shown = served.data("mail?campaign=hello&as=a1@example.org").await;
    let text = shown["mail"]["text"].as_str().unwrap();
    let tokens: Vec<_> = ["/c/", "/u/"].iter().flat_map(|path| text.split(path).skip(1)).collect();
    assert_eq!(tokens.len(), 2, "{text}");
    for token in tokens {
        let token = token.split(['>', ' ', '\n']).next().unwrap();
        assert!(token.len() > 20 && keys.verify(token).is_none(), "{token}");
    }
    let nobody = served.data("mail?campaign=hello&as=nobody@example.org").await;
    assert_eq!(nobody["faults"][0]["message"], "there is no recipient nobody@example.org");
    let anybody = served.data("mail?campaign=hello&as=sample@recipient.example").await;
    assert_eq!(anybody["mail"]["subject"], "Hello Sample");
}

#[test]
fn a_printed_mail_of_a_project_without_a_database_is_a_made_up_persons_and_leaves_no_file() {
    let shop = Shop::new();
    let entries = || {
        let mut names: Vec<_> = fs::read_dir(shop.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = entries();
    assert!(shop.done(&["preview", "welcome"]).contains("sample@recipient.example"));
    let (code, words) = shop.colloquy(&["preview", "welcome", "--as", "anna@example.org"]);
    assert!(code != 0 && words.contains("there is no recipient anna@example.org"), "{words}");
    assert_eq!(entries(), before);
}
