//! The console over real sockets.

use std::net::SocketAddr;

use colloquy::args;
use colloquy::console::{self, Console};
use colloquy::domain::message::MessageState;
use colloquy::metrics::Metrics;
use colloquy::store::Store;
use colloquy::store::spool::Spool;
use colloquy::web;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::{Database, on_both_engines};

/// A console that listens.
struct Served {
    at: SocketAddr,
    metrics: Metrics,
    spool: Spool,
    stopping: CancellationToken,
}

async fn serve(db: &Database) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (metrics, stopping) = (Metrics::new(), CancellationToken::new());
    let spool = Spool::open(&db.dir.path().join("spool.db")).await.unwrap();
    let tasks = TaskTracker::new();
    let console = Console::new(db.store.clone(), Some(spool.clone()), metrics.clone(), stopping.clone(), &tasks);
    tokio::spawn(web::serve(listener, console, console::limits(), CancellationToken::new()));
    Served { at, metrics, spool, stopping }
}

impl Served {
    /// Status, head and body of an answer.
    async fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
    }

    async fn readiness(&self) -> (u16, Value) {
        let (status, _, body) = self.ask("GET", "/readyz").await;
        (status, serde_json::from_str(&body).unwrap())
    }
}

/// A running campaign with a name and a reason that would be markup, two messages waiting, one accepted.
async fn fill(store: &Store) {
    let mut session = store.write().await.unwrap();
    session.execute("INSERT INTO versions (id, at, hash) VALUES (1, 1, 'h')", args![]).await.unwrap();
    let sql = "INSERT INTO runs (id, campaign, topic, occasion, version_id, state, reason, at, planned)
        VALUES (7, 'spring', 'offers', '1', 1, 'running', '<script>alert(1)</script>', 1, 4)";
    session.execute(sql, args![]).await.unwrap();
    for (who, state) in [(1, "waiting"), (2, "waiting"), (3, "accepted")] {
        let sql = "INSERT INTO messages (run_id, recipient_id, state, at, due_at) VALUES (7, $1, $2, 1, 1)";
        session.execute(sql, args![i64::from(who), state]).await.unwrap();
    }
    session.commit().await.unwrap();
}

on_both_engines! {
    async fn metrics_have_what_was_counted_and_the_queue(db) {
        fill(&db.store).await;
        let served = serve(&db).await;
        served.metrics.outcome(("spring", "main", "example.org"), MessageState::Accepted);
        let (status, head, body) = served.ask("GET", "/metrics").await;
        assert_eq!(status, 200);
        assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
        for line in [
            r#"colloquy_messages_total{relay="main",outcome="accepted"} 1"#,
            r#"colloquy_queue{state="waiting"} 2"#,
            r#"colloquy_queue{state="deferred"} 0"#,
            r#"colloquy_runs{state="running"} 1"#,
            r#"colloquy_ready{check="database"} 1"#,
            r#"colloquy_ready{check="spool"} 1"#,
            "# EOF",
        ] {
            assert!(body.lines().any(|l| l == line), "{line} is missing in\n{body}");
        }
    }

    async fn a_service_that_has_what_it_needs_is_ready(db) {
        let served = serve(&db).await;
        let checks = json!({"database": "ok", "schema": "ok", "spool": "ok"});
        assert_eq!(served.readiness().await, (200, json!({"ready": true, "stopping": false, "checks": checks})));
        let (status, _, body) = served.ask("GET", "/healthz").await;
        assert_eq!((status, body.as_str()), (200, "ok\n"));
    }

    async fn without_its_database_the_service_lives_and_is_not_ready(db) {
        let served = serve(&db).await;
        db.store.close().await;
        let (status, body) = served.readiness().await;
        assert_eq!((status, &body["ready"], &body["checks"]["spool"]), (503, &json!(false), &json!("ok")));
        assert_ne!(body["checks"]["database"], "ok");
        assert_eq!(served.ask("GET", "/healthz").await.0, 200);
        assert_eq!(served.ask("GET", "/").await.0, 503);
        let (status, _, metrics) = served.ask("GET", "/metrics").await;
        assert_eq!(status, 200);
        assert!(metrics.contains("colloquy_ready{check=\"database\"} 0\n"), "{metrics}");
    }

    async fn a_schema_of_another_program_is_not_ready(db) {
        let mut session = db.store.write().await.unwrap();
        session.execute("UPDATE _sqlx_migrations SET version = version + 1000", args![]).await.unwrap();
        session.commit().await.unwrap();
        let (status, body) = serve(&db).await.readiness().await;
        assert_eq!((status, &body["checks"]["database"]), (503, &json!("ok")));
        assert_ne!(body["checks"]["schema"], "ok");
    }

    async fn a_database_whose_data_was_moved_is_not_ready(db) {
        let mut session = db.store.write().await.unwrap();
        let sql = "INSERT INTO facts (name, value) VALUES ('moved', 'postgres://db1/colloquy')";
        session.execute(sql, args![]).await.unwrap();
        session.commit().await.unwrap();
        let (status, body) = serve(&db).await.readiness().await;
        assert_eq!((status, &body["ready"], &body["checks"]["schema"]), (503, &json!(false), &json!("ok")));
        let problem = body["checks"]["database"].as_str().unwrap();
        assert!(problem.starts_with("this database was moved to postgres://db1/colloquy"), "{problem}");
    }

    /// While nodes are upgraded one after the other.
    async fn a_node_goes_on_under_the_schema_of_a_newer_program(db) {
        crate::schema::upgrade(&db.store).await;
        let (status, body) = serve(&db).await.readiness().await;
        assert_eq!((status, &body["checks"]["schema"]), (200, &json!("ok")));
    }

    async fn a_spool_that_cannot_be_written_is_not_ready(db) {
        let served = serve(&db).await;
        served.spool.close().await;
        let (status, body) = served.readiness().await;
        assert_eq!((status, &body["checks"]["database"]), (503, &json!("ok")));
        assert_ne!(body["checks"]["spool"], "ok");
    }

    async fn a_service_that_stops_is_not_ready(db) {
        let served = serve(&db).await;
        served.stopping.cancel();
        let (status, body) = served.readiness().await;
        assert_eq!((status, &body["stopping"], &body["checks"]["database"]), (503, &json!(true), &json!("ok")));
    }

    async fn the_live_view_shows_runs_and_obeys_no_markup_in_them(db) {
        fill(&db.store).await;
        let (status, head, body) = serve(&db).await.ask("GET", "/").await;
        assert_eq!(status, 200);
        assert!(body.contains("<td>spring</td>") && body.contains("<progress value=\"1\" max=\"4\">"), "{body}");
        assert!(body.contains("&lt;script&gt;") && !body.contains("<script"), "{body}");
        assert!(head.contains("content-security-policy: default-src 'none'; style-src 'sha256-"), "{head}");
    }

    async fn other_paths_and_methods_are_refused(db) {
        let served = serve(&db).await;
        for path in ["/nothing", "/metrics/", "/c/token", "//"] {
            assert_eq!(served.ask("GET", path).await.0, 404, "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let (status, head, _) = served.ask(method, "/metrics").await;
            assert_eq!(status, 405, "{method}");
            assert!(head.contains("allow: get, head"), "{head}");
        }
        let (status, _, body) = served.ask("HEAD", "/metrics").await;
        assert_eq!((status, body.as_str()), (200, ""));
    }
}

#[tokio::test]
async fn readiness_tells_why_the_database_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let url = "postgres://joe:s3cr3tpw@127.0.0.1:1/x".to_owned();
    let store = Store::at(url.as_str(), dir.path()).unwrap();
    let (status, said) = serve(&Database { dir, url, store }).await.readiness().await;
    let problem = said["checks"]["database"].as_str().unwrap();
    assert_eq!(status, 503, "{said}");
    assert!(
        problem.starts_with("the database postgres://127.0.0.1:1/x cannot be opened: Connection refused"),
        "{said}"
    );
    assert!(!problem.contains("s3cr3tpw"), "{said}");
}
