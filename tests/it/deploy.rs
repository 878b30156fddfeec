//! The files under `deploy/` are taken by the programs they are for.

mod containers;
mod metrics;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use tempfile::TempDir;

use crate::support::ports::free_port;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program of the system, also from where only root looks.
fn program(name: &str) -> Command {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("{name} is not installed; run scripts/setup test")))
}

fn run(name: &str, arguments: &[&str]) -> Output {
    program(name).args(arguments).output().unwrap()
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The documents of a YAML file.
fn yaml(path: &str) -> Vec<serde_json::Value> {
    let script =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1], encoding='utf-8')))))";
    let output = run("/usr/bin/python3", &["-c", script, repository(path).to_str().unwrap()]);
    assert!(output.status.success(), "{path}: {}", words(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

const UNITS: [&str; 2] = ["colloquy.service", "colloquy@.service"];

/// A unit with this build as its program, for systemd looks whether the program is there.
fn unit(name: &str, edit: impl Fn(String) -> String) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(repository("deploy").join(name)).unwrap();
    assert!(text.contains("ExecStart=/usr/local/bin/colloquy "));
    let text = edit(text.replace("/usr/local/bin/colloquy ", concat!(env!("CARGO_BIN_EXE_colloquy"), " ")));
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

#[test]
fn systemd_takes_the_units_without_a_word() {
    for name in UNITS {
        let (_dir, path) = unit(name, |text| text);
        let output = run("systemd-analyze", &["verify", &path]);
        assert!(output.status.success() && words(&output).is_empty(), "{name}: {}", words(&output));

        let (_dir, path) = unit(name, |text| text.replace("KillMode=mixed", "KillMode=nonsense"));
        assert!(!words(&run("systemd-analyze", &["verify", &path])).is_empty(), "a wrong unit passes too");
    }
}

#[test]
fn systemd_finds_the_units_hardened() {
    let security = |path: &str| run("systemd-analyze", &["security", "--offline=true", "--threshold=20", path]);
    for name in UNITS {
        let (_dir, path) = unit(name, |text| text);
        let output = security(&path);
        assert!(output.status.success(), "{name}: {}", words(&output));

        let soft = |text: String| text.replace("CapabilityBoundingSet=\n", "").replace("PrivateUsers=yes\n", "");
        let (_dir, path) = unit(name, soft);
        assert!(!security(&path).status.success(), "a soft unit passes too");
    }
}

#[test]
fn the_units_differ_in_what_they_run_and_in_nothing_else() {
    let [whole, part] = UNITS.map(|name| {
        let text = fs::read_to_string(repository("deploy").join(name)).unwrap();
        let is_own = |line: &&str| {
            ["Description=", "ExecStart=", "EnvironmentFile=", "Environment=", "#"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        text.lines().filter(|line| !is_own(line)).map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(whole.join("\n"), part.join("\n"));
    let part = fs::read_to_string(repository("deploy/colloquy@.service")).unwrap();
    assert!(
        part.contains("\nEnvironment=COLLOQUY_ROLES=%i,console\n") && part.contains(" run --role ${COLLOQUY_ROLES}\n")
    );
}

/// The example proxy with a test certificate, free ports and an upstream of ours.
struct Proxy {
    dir: TempDir,
    port: u16,
    upstream: u16,
}

impl Proxy {
    fn new(edit: impl Fn(String) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (plain, port, upstream) = (free_port(), free_port(), free_port());
        let here = dir.path().to_str().unwrap();
        let text = fs::read_to_string(repository("deploy/nginx.conf")).unwrap();
        let text: String =
            text.lines().filter(|line| !line.contains("listen [::]:")).map(|l| format!("{l}\n")).collect();
        let live = "/etc/letsencrypt/live/t.alpenlauf.example";
        let text = text
            .replace(&format!("{live}/fullchain.pem"), repository("tests/it/tls/server.pem").to_str().unwrap())
            .replace(&format!("{live}/privkey.pem"), repository("tests/it/tls/server.key").to_str().unwrap())
            .replace("/var/log/nginx", here)
            .replace("listen 80;", &format!("listen 127.0.0.1:{plain};"))
            .replace("listen 443 ", &format!("listen 127.0.0.1:{port} "))
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{upstream}"));
        fs::write(dir.path().join("site.conf"), edit(text)).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};"))
            .concat();
        let main = format!(
            "daemon off; master_process off; pid {here}/pid; events {{}} http {{ {temporary} include {here}/site.conf; }}"
        );
        fs::write(dir.path().join("nginx.conf"), main).unwrap();
        Self { dir, port, upstream }
    }

    fn arguments(&self) -> [String; 4] {
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        ["-e".to_owned(), path("start.log"), "-c".to_owned(), path("nginx.conf")]
    }

    /// What `nginx -t` says: nothing, when it takes the file.
    fn verdict(&self) -> String {
        let [.., option, path] = self.arguments();
        words(&run("nginx", &["-t", "-q", "-e", "stderr", &option, &path]))
    }

    /// The status and body that a client gets, who claims to come from elsewhere.
    fn get(&self, path: &str) -> String {
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        let retry = ["--retry", "20", "--retry-connrefused", "--retry-delay", "1"];
        let claim = ["-H", "X-Forwarded-For: 203.0.113.9", "-w", "%{http_code}", &url];
        words(&run("curl", &[&["-s", "-k"], &retry[..], &claim[..]].concat()))
    }
}

/// Answers every request with its own head.
fn echo(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let body = head.join("\n");
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                .unwrap();
        }
    });
}

/// Ends the program with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn nginx_takes_the_proxy_without_a_word() {
    assert_eq!(Proxy::new(|text| text).verdict(), "");
    let wrong = Proxy::new(|text| text.replace("proxy_next_upstream off", "proxy_next_upstream of"));
    assert!(!wrong.verdict().is_empty(), "a wrong file passes too");
}

#[test]
fn the_proxy_passes_recipients_on_hides_all_else_and_keeps_tokens_out_of_its_logs() {
    let proxy = Proxy::new(|text| text);
    echo(proxy.upstream);
    let server = Running(program("nginx").args(proxy.arguments()).spawn().unwrap());
    for route in ["/a/", "/c/", "/d/", "/i/", "/j/", "/k/", "/o/", "/u/", "/p/", "/v/"] {
        let answer = proxy.get(&format!("{route}s3cret"));
        assert!(answer.ends_with("200") && answer.contains(&format!("GET {route}s3cret HTTP/1.1")), "{answer}");
        assert!(answer.contains("X-Forwarded-For: 127.0.0.1\n") && !answer.contains("203.0.113.9"), "{answer}");
    }
    for path in ["/join", "/join.js", "/api/subscribe"] {
        let answer = proxy.get(path);
        assert!(answer.ends_with("200") && answer.contains(&format!("GET {path} HTTP/1.1")), "{answer}");
    }
    for path in ["/", "/metrics", "/healthz", "/readyz", "/c", "/x/s3cret", "/join/s3cret", "/joined", "/api/other"] {
        let answer = proxy.get(path);
        assert!(answer.ends_with("404") && !answer.contains("GET"), "{path}: {answer}");
    }
    drop(server);
    let log = fs::read_to_string(proxy.dir.path().join("colloquy.log")).unwrap();
    assert!(log.contains(" GET /c/... 200 ") && !log.contains("/c/s3cret"), "{log}");
}
