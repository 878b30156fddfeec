//! The assembled service: what a sent mail's links lead to.

use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::token::{Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::send::Ended;
use colloquy::services::{Role, Services};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::project::{Project, Settings};
use crate::support::on_both_engines;

on_both_engines! {
    async fn a_sent_message_can_be_viewed_without_tracking(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        project.import(2).await;
        let (run, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        let app = project.app();
        let keys = app.secrets().unwrap().keyring();
        let stop = Stop::default();
        let services = Services::start(app.site(), &Role::ALL, stop.clone()).await.unwrap();
        let at = services.web.unwrap();
        let view = |run, recipient, purpose| format!("/v/{}", keys.sign(&Token { run, recipient, purpose }));

        let page = get(at, &view(run.id, RecipientId(1), Purpose::View)).await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(page.contains("Hello Anna") && page.contains("href=\"https://shop.example/run\""), "{page}");
        assert!(!page.contains("/c/") && !page.contains("/o/"), "{page}");

        for missing in [
            view(RunId(99), RecipientId(1), Purpose::View),
            view(run.id, RecipientId(99), Purpose::View),
            view(run.id, RecipientId(1), Purpose::Open),
        ] {
            let answer = get(at, &missing).await;
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
        stop.soft.cancel();
        services.finished().await;
    }
}

on_both_engines! {
    async fn a_process_without_the_sender_serves_until_it_is_asked_to_stop(db) {
        let project = Project::new(db, Settings::default(), |_, _| None).await;
        let stop = Stop::default();
        let roles = [Role::Tracker, Role::Scorer];
        let services = Services::start(project.app().site(), &roles, stop.clone()).await.unwrap();
        let at = services.web.unwrap();
        let finished = tokio::spawn(services.finished());
        for _ in 0..100 {
            let answer = get(at, "/c/forged").await;
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
        assert!(!finished.is_finished());
        stop.soft.cancel();
        assert!(finished.await.unwrap(), "it ended because it was asked to");
        assert!(TcpStream::connect(at).await.is_err());
    }
}

/// Asks for a path and answers with all that came back.
pub async fn get(at: std::net::SocketAddr, path: &str) -> String {
    request(at, &format!("GET {path} HTTP/1.1")).await
}

/// Sends a request's line and some of its fields, and answers with all that came back.
pub async fn request(at: std::net::SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
