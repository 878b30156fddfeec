//! Pictures that a campaign links: served from the version that was sent, to whoever asks, and recorded nowhere.

use std::sync::Arc;

use base64::Engine as _;
use colloquy::clock::Clock;
use colloquy::config::Loaded;
use colloquy::pages::{Options, Pages};
use colloquy::web::Limits;

use crate::http::Server;
use crate::project::{Project, Settings};
use crate::support::on_both_engines;

const CAMPAIGN: &str = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\npictures = \"linked\"\n";

/// A PNG's first octets, and more than one line of base64.
fn png(filling: u8) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".as_slice(), &[filling; 5_000]].concat()
}

async fn mail(project: &mut Project) -> String {
    let (_, ended) = project.send().await;
    assert_eq!(ended, colloquy::send::Ended::Done);
    let caught = project.caught.recv().await.unwrap();
    let mail = mail_parser::MessageParser::default().parse(&caught.message).unwrap();
    assert_eq!(mail.attachments().count(), 0, "nothing goes with the mail");
    mail.body_html(0).unwrap().into_owned()
}

/// The path of the picture that a page shows.
fn shown(html: &str) -> &str {
    let start =
        html.find("src=\"http://127.0.0.1:1/i/").unwrap_or_else(|| panic!("{html}")) + "src=\"http://127.0.0.1:1".len();
    html[start..].split('"').next().unwrap()
}

fn serve(project: &Project, loaded: &Loaded) -> Pages {
    let keys = Arc::new(project.app().secrets().unwrap().keyring());
    Pages::new(
        keys,
        crate::support::key_and_proxies(),
        project.db.store.clone(),
        Clock::system(),
        Options::from(loaded),
    )
}

on_both_engines! {
    async fn a_linked_picture_is_served_for_ever_as_it_was_when_the_mail_was_sent(db) {
        let mut project = Project::new(db, Settings { campaign: CAMPAIGN, ..Settings::default() }, |_, _| None).await;
        let file = |path: &str| project.db.dir.path().join("templates").join(path);
        let (template, picture) = (file("hello.hbs"), file("hero.PNG"));
        let page = std::fs::read_to_string(&template).unwrap();
        std::fs::write(&template, page.replace("<body>", "<body><img src=\"hero.PNG\" alt=\"Hero\">")).unwrap();
        std::fs::write(&picture, png(1)).unwrap();
        std::fs::create_dir_all(project.db.dir.path().join("files")).unwrap();
        project.import(1).await;

        let first = mail(&mut project).await;
        std::fs::write(&picture, png(2)).unwrap();
        project.import_addresses(std::iter::once("b@example.org".to_owned())).await;
        let second = mail(&mut project).await;
        let (first, second) = (shown(&first), shown(&second));
        assert!(first != second && first.ends_with(".png"), "{first} {second}");

        let app = project.app();
        let server = Server::start(serve(&project, &app.loaded), Limits::default()).await;
        for (path, filling) in [(first, 1), (second, 2), (first, 1)] {
            let reply = server.get(path).await;
            assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/png")), "{}", reply.head);
            assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            assert!(reply.header("set-cookie").is_none());
            assert_eq!(reply.body, png(filling));
        }
        let head = server.request("HEAD", first, &[], b"").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(server.request("POST", first, &[], b"x=1").await.status, 405);
        let unknown = format!("/i/{}.png", "0".repeat(32));
        for path in [unknown.as_str(), "/i/", "/i/hero.PNG", "/i/../config/secrets.toml", "/i/%00.png"] {
            assert_eq!(server.get(path).await.status, 404, "{path}");
        }
        let recorded: (i64, i64) =
            project.db.store.read().await.unwrap().one("SELECT (SELECT COUNT(*) FROM hits), (SELECT COUNT(*) FROM actions)", vec![]).await.unwrap();
        assert_eq!(recorded, (0, 0));
    }

    async fn an_attachment_is_served_to_nobody(db) {
        let campaign = format!("{CAMPAIGN}[[attachment]]\nfile = \"files/plan.png\"\n");
        let project = Project::new(db, Settings { campaign: &campaign, ..Settings::default() }, |_, _| None).await;
        std::fs::create_dir_all(project.db.dir.path().join("files")).unwrap();
        std::fs::write(project.db.dir.path().join("files/plan.png"), png(3)).unwrap();
        let app = project.app();
        app.freeze(&project.db.store).await.unwrap();
        let encoded = &app.texts().unwrap()["files/plan.png"];
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(encoded.replace("\r\n", "")).unwrap(), png(3));
        let server = Server::start(serve(&project, &app.loaded), Limits::default()).await;
        let id = colloquy::domain::media::picture_id(encoded);
        assert_eq!(server.get(&format!("/i/{id}.png")).await.status, 404);
    }
}
