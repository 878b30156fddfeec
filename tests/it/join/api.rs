//! `POST /api/subscribe`.

use serde_json::{Value, json};

use super::desk::Site;
use crate::http::Reply;
use crate::support::on_both_engines;

const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");

async fn subscribe(site: &Site, body: &str) -> Reply {
    let key = format!("Bearer {}", site.api_key);
    site.server.request("POST", "/api/subscribe", &[JSON, ("Authorization", &key)], body.as_bytes()).await
}

fn anna() -> Value {
    json!({"address": "anna@example.org", "topics": ["news"], "form_url": "https://shop.example/join"})
}

on_both_engines! {
    async fn a_site_asks_for_somebody_who_then_confirms_in_the_sites_own_words(db) {
        let site = Site::open(db).await;
        let mut body = anna();
        for (name, value) in [
            ("wording", json!("Ja, gern.")), ("wording_version", json!("7")), ("language", json!("de-AT")),
            ("ip", json!("2001:db8:7:8::9")), ("user_agent", json!("Safari/1")), ("attributes", json!({"first_name": "Anna"})),
        ] {
            body[name] = value;
        }
        let answer = subscribe(&site, &body.to_string()).await;
        assert_eq!((answer.status, answer.text().as_str()), (202, "{\"status\":\"accepted\"}\n"));
        assert_eq!(subscribe(&site, &anna().to_string()).await, answer, "the same for one that was just asked");
        assert_eq!((site.count("recipients").await, site.count("notices").await), (0, 1));
        let (_, link) = site.mailed("anna@example.org").await.unwrap();
        site.post(&link, &[]).await;
        let person = site.recipient("anna@example.org").await.unwrap();
        let consents = site.consents(person.id).await;
        let proof: Value = serde_json::from_str(consents[0].payload.as_deref().unwrap()).unwrap();
        assert_eq!((&proof["channel"], &proof["wording"]), (&json!("api"), &json!("Ja, gern.")));
        assert_eq!((&proof["wording_version"], &proof["language"]), (&json!("7"), &json!("de-AT")));
        assert_eq!(proof["form_url"], "https://shop.example/join");
        assert_eq!(proof["request"]["network"], "2001:db8:7::/48");
        assert_eq!(person.attributes["first_name"], "Anna");
    }

    async fn without_a_key_nothing_is_looked_at(db) {
        let site = Site::open(db).await;
        let body = anna().to_string();
        let wrong = format!("Bearer {}x", site.api_key);
        let bare = site.api_key.clone();
        for key in [None, Some(wrong.as_str()), Some(bare.as_str()), Some("Bearer "), Some("Basic YTpi")] {
            let mut headers = vec![JSON];
            headers.extend(key.map(|key| ("Authorization", key)));
            let answer = site.server.request("POST", "/api/subscribe", &headers, body.as_bytes()).await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{key:?}");
        }
        assert_eq!(site.server.get("/api/subscribe").await.status, 405);
        assert_eq!(site.count("joins").await, 0);
    }

    async fn every_fault_is_named_with_its_field_and_nothing_is_written(db) {
        let site = Site::open(db).await;
        let with = |name: &str, value: Value| { let mut body = anna(); body[name] = value; body.to_string() };
        for (body, fault) in [
            (with("address", json!("anna")), "\"field\":\"address\""),
            (with("address", json!("a@b.example\r\nBcc: x@y.example")), "\"field\":\"address\""),
            (with("topics", json!(["invented"])), "some of news, events"),
            (with("topics", json!([])), "some of news, events"),
            (with("attributes", json!({"iban": "x"})), "some of first_name"),
            (with("form_url", json!("javascript:alert(1)")), "\"field\":\"form_url\""),
            (with("wording", json!("Yes")), "\"field\":\"wording_version\""),
            (with("tracking_wording", json!("Yes")), "\"field\":\"wording\""),
            (with("adress", json!("x")), "unknown field `adress`"),
            (with("ip", json!("here")), "\"field\":\"body\""),
            ("{\"address\": ".to_owned(), "no JSON at line 1"),
            ("[]".to_owned(), "\"field\":\"body\""),
            (String::new(), "no JSON"),
        ] {
            let answer = subscribe(&site, &body).await;
            assert_eq!(answer.status, 422, "{body}");
            assert!(answer.text().contains(fault), "{body}: {}", answer.text());
        }
        assert_eq!(subscribe(&site, &with("user_agent", json!("x".repeat(20_000)))).await.status, 413);
        let key = format!("Bearer {}", site.api_key);
        let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", key.as_str())];
        let answer = site.server.request("POST", "/api/subscribe", &form, b"address=anna@example.org").await;
        assert_eq!(answer.status, 415);
        assert_eq!(site.count("joins").await, 0);
    }

    async fn one_network_asks_through_a_site_no_more_often_than_directly(db) {
        let site = Site::open(db).await;
        let mut answers = Vec::new();
        for n in 0..70 {
            let mut body = anna();
            (body["address"], body["ip"]) = (json!(format!("a{n}@example.org")), json!("203.0.113.9"));
            answers.push(subscribe(&site, &body.to_string()).await.status);
        }
        assert_eq!((answers[0], answers[69]), (202, 429));
        assert_eq!(subscribe(&site, &anna().to_string()).await.status, 202);
    }

    async fn a_project_without_join_answers_nobody(db) {
        let site = Site::with(db, "").await;
        assert_eq!(subscribe(&site, &anna().to_string()).await.status, 404);
        assert_eq!(site.server.get("/join").await.status, 404);
        assert_eq!(site.post("/join", &[]).await.status, 404);
    }
}
