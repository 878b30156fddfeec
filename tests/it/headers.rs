//! What goes with every answer: nothing that a browser could be made to do, keep or tell.

use colloquy::args;
use colloquy::domain::token::Purpose;
use colloquy::store::EngineKind;

use crate::http::Reply;
use crate::pages::Site;
use crate::support::database;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// What holds for every answer, page or not.
fn harmless(about: &str, reply: &Reply) {
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{about}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{about}");
    assert_eq!(reply.header("set-cookie"), None, "{about}");
    assert_eq!(reply.header("server"), None, "{about}");
}

/// What holds for every page besides.
fn page(about: &str, status: u16, reply: &Reply) {
    harmless(about, reply);
    assert_eq!(reply.status, status, "{about}");
    let policy = reply.header("content-security-policy").unwrap();
    for rule in
        ["default-src 'none'", "style-src 'sha256-", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(policy.contains(rule), "{about}: {rule} is not in {policy}");
    }
    for forbidden in ["unsafe", "script-src", "http:", "https:", "*"] {
        assert!(!policy.contains(forbidden), "{about}: {policy}");
    }
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-robots-tag", "noindex, nofollow"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{about}");
    }
    let html = reply.text();
    assert!(
        html.contains("<html lang=\"en\" dir=\"ltr\">") && !html.contains("<script") && !html.contains("src="),
        "{html}"
    );
}

#[tokio::test]
async fn every_page_and_every_refusal_is_harmless() {
    let db = database(EngineKind::Sqlite).await;
    let site = Site::open(&db).await;
    let english = ("Accept-Language", "en");
    let purposes = [Purpose::Unsubscribe, Purpose::Preferences, Purpose::Keep];
    for purpose in purposes.clone() {
        let path = site.path(purpose);
        page(&path, 200, &site.server.request("GET", &path, &[english], b"").await);
        for form in ["", "leave=topic", "leave=all", "save=1&topic=news", "keep=1"] {
            page(form, 200, &site.server.request("POST", &path, &[english, FORM], form.as_bytes()).await);
        }
        harmless("method", &site.server.request("DELETE", &path, &[], b"").await);
        let large = "x".repeat(200_000);
        harmless("size", &site.server.request("POST", &path, &[FORM], large.as_bytes()).await);
    }
    for path in ["/", "/u/", "/u/forged", "/v/forged/picture", "/x/y", "/favicon.ico"] {
        let reply = site.server.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        harmless(path, &reply);
    }
    let mut session = site.store.write().await.unwrap();
    session.execute("UPDATE recipients SET address = NULL WHERE id = $1", args![site.anna]).await.unwrap();
    session.commit().await.unwrap();
    for purpose in purposes.clone() {
        page("gone", 200, &site.server.request("GET", &site.path(purpose), &[english], b"").await);
    }
    site.store.close().await;
    for purpose in purposes {
        page("away", 503, &site.server.request("GET", &site.path(purpose), &[english], b"").await);
    }
}
