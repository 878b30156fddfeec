//! A real Chromium, driven by `WebDriver` (W3C) through chromedriver.

use std::io::{BufRead as _, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// The browser with one window, gone with the test.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

/// Where `scripts/setup` leaves axe-core.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers/axe-4.14.1.js");

/// Keys without a letter (`WebDriver` §17.4.2).
pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";
pub const SPACE: &str = " ";

const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    pub async fn start() -> Self {
        Self::start_with(true).await
    }

    /// A browser whose reader has forbidden scripts.
    pub async fn without_scripts() -> Self {
        Self::start_with(false).await
    }

    async fn start_with(scripts: bool) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed by scripts/setup");
        let lines = std::io::BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .filter_map(|line| line.strip_prefix("ChromeDriver was started successfully on port ").map(str::to_owned))
            .find_map(|rest| rest.trim_end_matches('.').parse().ok())
            .expect("chromedriver says where it listens");
        let mut browser = Self { driver, port, session: String::new() };
        // Chromium's own sandbox refuses to run as root.
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let setting = json!({"profile.managed_default_content_settings.javascript": if scripts { 1 } else { 2 }});
        let options = json!({"args": arguments, "prefs": setting});
        let wanted =
            json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "timeouts": {"implicit": 10_000}}}});
        let session = browser.call("POST", "/session", &wanted).await;
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    pub async fn open(&self, url: &str) {
        self.command("/url", json!({"url": url})).await;
    }

    /// What a script returns in the page, or in the frame that was entered.
    pub async fn script(&self, script: &str) -> Value {
        self.command("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Waits until a script returns something true.
    pub async fn wait_for(&self, script: &str) {
        for _ in 0..300 {
            if self.script(&format!("return Boolean({script})")).await == true {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("this never came true: {script}\n{}", self.script("return document.body?.innerText").await);
    }

    /// Clicks where a reader would.
    pub async fn click(&self, css: &str) {
        let element = self.element(css).await;
        self.command(&format!("/element/{element}/click"), json!({})).await;
    }

    /// Waits until an element says just this.
    pub async fn shows(&self, css: &str, words: &str) {
        self.wait_for(&format!("document.querySelector({})?.innerText === {}", json!(css), json!(words))).await;
    }

    /// Presses keys one after the other; see the constants for those without a letter.
    pub async fn press(&self, keys: &str) {
        let press = |key: char| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<_> = keys.chars().flat_map(press).collect();
        self.command("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})).await;
    }

    /// Goes from element to element with the tabulator until this one has the focus, and sees that it is shown.
    pub async fn tab_to(&self, css: &str) {
        let here = format!("return document.activeElement.matches({})", json!(css));
        for _ in 0..60 {
            self.press(TAB).await;
            if self.script(&here).await == true {
                let outline = "const s = getComputedStyle(document.activeElement); \
                    return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2";
                assert_eq!(self.script(outline).await, true, "{css} does not show that it has the focus");
                return;
            }
        }
        panic!("the keyboard does not reach {css}");
    }

    /// What the reader's machine is like: the window's width, the night, and the languages they prefer.
    pub async fn reader(&self, width: u32, dark: bool, languages: &str) {
        let scheme = json!([{"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }}]);
        self.develop("Emulation.setEmulatedMedia", json!({"features": scheme})).await;
        let screen = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        self.develop("Emulation.setDeviceMetricsOverride", screen).await;
        self.develop("Network.enable", json!({})).await;
        self.develop("Network.setExtraHTTPHeaders", json!({"headers": {"Accept-Language": languages}})).await;
    }

    /// What keeps people out of the page by the rules of axe-core: WCAG 2.2 AA and good practice, and that nothing
    /// has to be scrolled sideways.
    pub async fn barriers(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(AXE).expect("`scripts/setup test` has fetched axe-core");
        let run = "const done = arguments[arguments.length - 1];
            axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
              .then(found => done([found.passes.length, found.violations.flatMap(rule =>
                rule.nodes.map(node => rule.id + ': ' + node.html + ' ' + node.failureSummary))]))
              .catch(error => done([0, [String(error)]]));";
        let found = self.command("/execute/async", json!({"script": format!("{axe}\n{run}"), "args": []})).await;
        let (passed, barriers) = (found[0].as_u64().unwrap(), found[1].as_array().unwrap());
        let mut barriers: Vec<_> = barriers.iter().map(|barrier| barrier.as_str().unwrap().to_owned()).collect();
        if passed < 10 {
            barriers.push(format!("only {passed} rules were looked at"));
        }
        let sideways = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        barriers.extend((self.script(sideways).await == true).then(|| "it scrolls sideways".to_owned()));
        barriers
    }

    /// A command of the Chrome `DevTools` Protocol.
    async fn develop(&self, command: &str, parameters: Value) {
        self.command("/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await;
    }

    pub async fn enter_frame(&self, css: &str) {
        let element = self.element(css).await;
        self.command("/frame", json!({"id": {ELEMENT: element}})).await;
    }

    pub async fn leave_frame(&self) {
        self.command("/frame", json!({"id": null})).await;
    }

    /// How many windows are open.
    pub async fn windows(&self) -> usize {
        self.call("GET", &format!("{}/window/handles", self.session), &Value::Null).await.as_array().unwrap().len()
    }

    async fn element(&self, css: &str) -> String {
        let found = self.command("/element", json!({"using": "css selector", "value": css})).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn command(&self, path: &str, body: Value) -> Value {
        self.call("POST", &format!("{}{path}", self.session), &body).await
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        // It keeps the connection open whatever is asked, so that the length counts.
        let mut answer = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let from = head.len();
            assert!(answer.read_line(&mut head).await.unwrap() > 0, "{method} {path}: {head}");
            if let Some(value) = head[from..].to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its session ends Chromium; the driver's does not.
        if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) {
            let request = format!("DELETE {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", self.session, self.port);
            let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut [0; 256]));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
