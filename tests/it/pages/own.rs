//! One's own data by a fresh link: attributes, language, address, a copy, erasure.

use std::time::Duration;

use colloquy::domain::address::Address;
use colloquy::domain::notice::NoticeKind;
use colloquy::domain::token::LIFE;
use colloquy::store::notices::Data;
use colloquy::store::recipients::Recipient;
use colloquy::store::suppressions;
use serde_json::{Value, json};

use crate::support::suppression_key;

use super::*;

/// A notice that waits to be sent: its kind, where it goes, in which language, and what it says.
type Queued = (String, String, String, Data);

impl Site {
    pub async fn notices(&self) -> Vec<Queued> {
        let sql = "SELECT kind, address, language, data FROM notices ORDER BY id";
        let rows: Vec<(String, String, String, String)> =
            self.store.read().await.unwrap().all(sql, vec![]).await.unwrap();
        let data = |text: String| serde_json::from_str(&text).unwrap();
        rows.into_iter().map(|(kind, address, language, text)| (kind, address, language, data(text))).collect()
    }

    /// Where the last notice of a kind leads.
    pub async fn mailed(&self, kind: NoticeKind) -> String {
        let found = self.notices().await.into_iter().rfind(|(word, ..)| word == kind.as_str()).unwrap();
        found.3["url"].as_str().unwrap().strip_prefix("https://t.alpenlauf.example").unwrap().to_owned()
    }

    /// Asks for a link from a mailing's preferences, and opens the mail.
    pub async fn fresh(&self) -> String {
        let reply = self.post(Purpose::Preferences, "fresh=1").await;
        assert!(reply.text().contains("Wir haben einen Link an Ihre Adresse geschickt."), "{}", reply.text());
        self.mailed(NoticeKind::FreshLink).await
    }

    pub async fn send(&self, path: &str, body: &str) -> Reply {
        self.server.request("POST", path, &[FORM], body.as_bytes()).await
    }

    pub async fn person(&self, id: RecipientId) -> Recipient {
        recipients::by_id(&mut self.store.read().await.unwrap(), id).await.unwrap().unwrap()
    }

    pub async fn address(&self) -> Option<String> {
        self.person(self.anna).await.address.map(|address| address.to_string())
    }

    /// The token of a link, asked for so long ago.
    pub fn aged(&self, path: &str, age: Duration) -> String {
        let (start, token) = path.split_at(3);
        let mut token = self.keys.verify(token).unwrap();
        match &mut token.purpose {
            Purpose::OwnData { at, .. } | Purpose::NewAddress { at, .. } => *at = at.minus(age),
            other => panic!("{other:?} has no time"),
        }
        format!("{start}{}", self.keys.sign(&token))
    }

    /// A link whose hour is over.
    pub async fn stale(&self) -> String {
        self.aged(&self.fresh().await, LIFE + Duration::from_secs(1))
    }

    /// Everything that a page could have changed.
    pub async fn everything(&self) -> (String, Vec<Queued>, (i64, i64)) {
        let anna = self.person(self.anna).await;
        (format!("{anna:?} {:?}", self.subscribed().await), self.notices().await, self.writes().await)
    }

    /// Somebody else.
    pub async fn bert(&self) -> RecipientId {
        let sql = "INSERT INTO recipients (address, domain, created_at) VALUES ('bert@example.org', 'example.org', 1)
            RETURNING id";
        let mut session = self.store.write().await.unwrap();
        let (id,) = session.one::<(i64,)>(sql, vec![]).await.unwrap();
        session.commit().await.unwrap();
        RecipientId(id)
    }

    pub async fn suppress(&self, address: &str) {
        let address = Address::parse(address).unwrap();
        let hash = address.hash(&suppression_key());
        let mut session = self.store.write().await.unwrap();
        suppressions::add(&mut session, &[(address, hash)], Micros(1), "complaint").await.unwrap();
        session.commit().await.unwrap();
    }
}

on_both_engines! {
    async fn a_link_from_a_mailing_opens_nothing_and_a_fresh_one_goes_to_the_address_alone(db) {
        let site = Site::open(&db).await;
        let page = site.server.get(&site.path(Purpose::Preferences)).await.text();
        assert!(page.contains("name=\"fresh\"") && !page.contains("anna@") && !page.contains("/d/"), "{page}");
        let reply = site.post(Purpose::Preferences, "fresh=1").await.text();
        assert!(!reply.contains("/d/") && !reply.contains("anna@"), "{reply}");
        let [(kind, address, language, data)] = &site.notices().await[..] else { panic!("one notice") };
        assert_eq!((kind.as_str(), address.as_str(), language.as_str()), ("fresh_link", "anna@example.org", "de"));
        assert_eq!(data["minutes"], 60);
        for _ in 0..5 {
            assert_eq!(site.post(Purpose::Preferences, "fresh=1").await.text(), reply, "the answer is always the same");
        }
        assert_eq!(site.notices().await.len(), 3, "one address gets three in an hour");
        let own = site.server.get(&site.mailed(NoticeKind::FreshLink).await).await;
        assert!(own.status == 200 && own.text().contains("Wir schreiben an anna@example.org."), "{}", own.text());
    }

    async fn looking_at_ones_data_changes_nothing(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        site.send(&own, "do=address&address=new%40example.org").await;
        let new = site.mailed(NoticeKind::ChangeAddress).await;
        let before = site.everything().await;
        let (json, csv) = (format!("{own}/data.json"), format!("{own}/data.csv"));
        for path in [&own, &new, &json, &csv] {
            for path in [path.clone(), format!("{path}?do=erase-all&do=move&fresh=1&attribute.first_name=X")] {
                for method in ["GET", "HEAD"] {
                    assert_eq!(site.server.request(method, &path, &[FORM], b"do=erase-all").await.status, 200, "{path}");
                }
                for method in ["OPTIONS", "PUT", "DELETE"] {
                    assert_eq!(site.server.request(method, &path, &[], b"").await.status, 405, "{method} {path}");
                }
            }
        }
        assert_eq!(site.send(&json, "do=erase-all").await.status, 405);
        assert_eq!(site.everything().await, before);
    }

    async fn attributes_are_changed_as_their_types_want_them(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        let whole = "do=attributes&attribute.first_name=+Anna+%3Cb%3E&attribute.shoes=38.5&attribute.birthday=1988-04-12\
            &attribute.member=1&language=fr";
        let page = site.send(&own, whole).await.text();
        assert!(page.contains("Ihre Auswahl ist gespeichert.") && page.contains("value=\"Anna &lt;b&gt;\""), "{page}");
        let expected = json!({
            "first_name": "Anna <b>", "shoes": 38.5, "birthday": "1988-04-12", "member": true, "language": "fr",
        });
        assert_eq!(Value::Object(site.person(site.anna).await.attributes), expected);
        assert!(page.contains(r#"<option value="fr" lang="fr" selected>Français</option>"#), "{page}");
        assert!(page.contains(r#"<label class="above" for="f2">Geburtstag</label>"#), "{page}");

        site.send(&own, "do=attributes&attribute.first_name=&attribute.shoes=39&language=&attribute.score=9&attribute.x=1").await;
        let expected = json!({ "shoes": 39, "birthday": "1988-04-12", "member": false });
        assert_eq!(Value::Object(site.person(site.anna).await.attributes), expected);
    }

    async fn what_does_not_fit_is_said_at_its_field_and_nothing_is_half_saved(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        let before = site.everything().await;
        for (field, typed, id, fault) in [
            ("attribute.shoes", "38%2C5", "f1", "Das ist keine Zahl"),
            ("attribute.shoes", "NaN", "f1", "Das ist keine Zahl"),
            ("attribute.birthday", "12.4.1988", "f2", "Das ist kein Tag"),
            ("attribute.birthday", "2023-02-29", "f2", "Das ist kein Tag"),
            ("attribute.first_name", &"x".repeat(201), "f0", "länger als 200 Zeichen"),
            ("language", "xx", "language", "unvollständig"),
        ] {
            let other = if field == "attribute.first_name" { "" } else { "&attribute.first_name=Eva" };
            let page = site.send(&own, &format!("do=attributes{other}&{field}={typed}")).await.text();
            assert!(page.contains("Es ist noch nichts gespeichert."), "{typed}: {page}");
            let described = format!("aria-invalid=\"true\" aria-describedby=\"{id}-fault\"");
            let told = format!("<p class=\"fault\" id=\"{id}-fault\">");
            let fault_stands = page.split_once(&told).is_some_and(|(_, rest)| rest.split_once('<').unwrap().0.contains(fault));
            assert!(page.contains(&described) && fault_stands, "{typed}: {page}");
        }
        for body in ["", "attribute.first_name=Eva", "do=everything", "do=attribute"] {
            assert!(site.send(&own, body).await.text().contains("Es wurde nichts geändert"), "{body}");
        }
        assert_eq!(site.everything().await, before);
    }

    async fn everything_can_be_taken_along_at_once(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        site.send(&own, "do=attributes&attribute.first_name=%3DAnna").await;
        let json = site.server.get(&format!("{own}/data.json")).await;
        assert_eq!((json.header("content-type"), json.header("content-disposition")), (Some("application/json"), Some("attachment")));
        assert_eq!(json.header("cache-control"), Some("no-store"));
        let person: Value = serde_json::from_str(&json.text()).unwrap();
        assert_eq!((&person["address"], &person["attributes"]["first_name"]), (&json!("anna@example.org"), &json!("=Anna")));
        assert_eq!(person["consents"].as_array().unwrap().len(), 3);
        let timeline = person["timeline"].as_array().unwrap();
        assert!(timeline.iter().any(|event| event["notice"] == "fresh_link"), "{timeline:?}");
        let csv = site.server.get(&format!("{own}/data.csv")).await;
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        assert!(csv.text().starts_with("about,number,field,value\n") && csv.text().contains("attributes,,first_name,'=Anna\n"));
        for other in ["data.xml", "", "data.csv/x", "../p"] {
            assert_eq!(site.server.get(&format!("{own}/{other}")).await.status, 404, "{other}");
        }
    }

    async fn everything_is_erased_after_a_second_question(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        site.send(&own, "do=address&address=new%40example.org").await;
        let new = site.mailed(NoticeKind::ChangeAddress).await;
        let page = site.send(&own, "do=erase").await.text();
        assert!(page.contains("name=\"do\" value=\"erase-all\">Ja, alles löschen") && page.contains(&own), "{page}");
        assert!(site.address().await.is_some(), "nothing before the second answer");
        assert!(site.send(&own, "do=erase-all").await.text().contains("<h1>Gelöscht</h1>"));
        assert_eq!((site.address().await, site.subscribed().await.len()), (None, 0));
        let hash = Address::parse("anna@example.org").unwrap().hash(&suppression_key());
        assert!(suppressions::contains(&mut site.store.read().await.unwrap(), &hash).await.unwrap());
        let sql = "SELECT COUNT(*) FROM notices WHERE address IS NOT NULL OR data <> ''";
        assert_eq!(site.store.read().await.unwrap().one::<(i64,)>(sql, vec![]).await.unwrap(), (0,));

        assert_eq!(site.send(&own, "do=erase-all").await.status, 410);
        assert!(site.send(&new, "do=move").await.text().contains("kein Abonnement mehr"));
        assert!(site.post(Purpose::Preferences, "fresh=1").await.text().contains("kein Abonnement mehr"));
        assert_eq!(site.address().await, None);
    }

    async fn an_erasure_during_the_confirmation_of_an_address_leaves_nobody(db) {
        for first in [true, false] {
            let site = Site::open(&db).await;
            let own = site.fresh().await;
            site.send(&own, "do=address&address=new%40example.org").await;
            let new = site.mailed(NoticeKind::ChangeAddress).await;
            let (erased, moved) = if first {
                tokio::join!(site.send(&own, "do=erase-all"), site.send(&new, "do=move"))
            } else {
                let (moved, erased) = tokio::join!(site.send(&new, "do=move"), site.send(&own, "do=erase-all"));
                (erased, moved)
            };
            // Whoever came first counts: either all is erased, or the link of the old mailbox opened nothing any more.
            let gone = site.address().await.is_none();
            assert!(gone == (erased.status == 200), "{} {} {gone}", erased.status, moved.status);
            assert_eq!(site.address().await.is_some(), erased.status == 410);
            let mut session = site.store.write().await.unwrap();
            let sql = "UPDATE recipients SET address = NULL, erased_at = 2 WHERE id = $1";
            session.execute(sql, args![site.anna]).await.unwrap();
            for sql in ["DELETE FROM suppressions", "DELETE FROM notices", "DELETE FROM runs", "DELETE FROM versions"] {
                session.execute(sql, vec![]).await.unwrap();
            }
            session.commit().await.unwrap();
        }
    }

    async fn a_link_that_is_over_offers_another_one(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        let hour = LIFE + Duration::from_secs(1);
        let old = site.aged(&own, hour);
        let before = site.everything().await;
        for path in [&old, &format!("{old}/data.json")] {
            let page = site.server.get(path).await;
            assert_eq!(page.status, 410);
            assert!(page.text().contains("name=\"fresh\"") && !page.text().contains("anna@"), "{}", page.text());
        }
        for body in ["do=erase-all", "do=attributes&attribute.first_name=X", "do=address&address=x%40example.org"] {
            assert_eq!(site.send(&old, body).await.status, 410, "{body}");
        }
        assert_eq!(site.everything().await, before);
        assert!(site.send(&old, "fresh=1").await.text().contains("Wir haben einen Link"));
        assert_eq!(site.server.get(&site.mailed(NoticeKind::FreshLink).await).await.status, 200);

        site.send(&own, "do=address&address=new%40example.org").await;
        let new = site.aged(&site.mailed(NoticeKind::ChangeAddress).await, hour);
        assert_eq!((site.server.get(&new).await.status, site.send(&new, "do=move").await.status), (410, 410));
        assert_eq!(site.address().await.as_deref(), Some("anna@example.org"));
    }

    async fn forged_cut_and_foreign_links_are_not_found(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        site.send(&own, "do=address&address=new%40example.org").await;
        let new = site.mailed(NoticeKind::ChangeAddress).await;
        let before = site.everything().await;
        let preferences = site.path(Purpose::Preferences);
        for path in [
            own[..own.len() - 1].to_owned(), own.replace("/d/", "/a/"), own.replace("/d/", "/p/"), own.replace("/d/", "/u/"),
            new.replace("/a/", "/d/"), new.replace("/a/", "/p/"), preferences.replace("/p/", "/d/"), preferences.replace("/p/", "/a/"),
            format!("{new}/data.json"), format!("{preferences}/data.json"), format!("{own}A"),
        ] {
            assert_eq!(site.server.get(&path).await.status, 404, "{path}");
            assert_eq!(site.send(&path, "do=erase-all&do=move&fresh=1").await.status, 404, "{path}");
        }
        let other = Token { run: site.run, recipient: RecipientId(99), purpose: Purpose::OwnData { at: Micros(i64::MAX / 2), from: [0; 8] } };
        assert_eq!(site.server.get(&format!("/d/{}", site.keys.sign(&other))).await.status, 410);
        assert_eq!(site.everything().await, before);
    }
}
