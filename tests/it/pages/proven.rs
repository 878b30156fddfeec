//! What the ledger says about decisions that were made on pages.

use colloquy::domain::address::Address;
use colloquy::domain::notice::NoticeKind;
use colloquy::people::proof::proof;
use serde_json::{Value, json};

use super::*;

const FIREFOX: (&str, &str) = ("User-Agent", "Firefox/1");
const ENGLISH: (&str, &str) = ("Accept-Language", "en");
const CLIENT: (&str, &str) = ("X-Forwarded-For", "2001:db8:7:8::9");

impl Site {
    /// As a browser behind a proxy on the same machine.
    async fn browse(&self, path: &str, form: &str) -> String {
        let page = self.server.request("GET", path, &[ENGLISH], b"").await.text();
        let headers = [FORM, FIREFOX, ENGLISH, CLIENT];
        self.server.request("POST", path, &headers, as_shown(form, &page).as_bytes()).await.text()
    }

    /// The proof of the last entries of the ledger, the newest first: its purpose, its topic, and what it says.
    async fn proved(&self, entries: u32) -> Vec<(String, String, Value)> {
        let sql = format!("SELECT purpose, topic, payload FROM consents ORDER BY seq DESC LIMIT {entries}");
        let rows: Vec<(String, String, String)> = self.store.read().await.unwrap().all(sql, vec![]).await.unwrap();
        let read =
            |(purpose, topic, payload): (_, _, String)| (purpose, topic, serde_json::from_str(&payload).unwrap());
        rows.into_iter().map(read).collect()
    }
}

on_both_engines! {
    async fn a_choice_is_proved_with_the_words_that_the_page_showed_and_by_whom_they_were_seen(db) {
        let site = Site::open(&db).await;
        let path = site.path(Purpose::Preferences);
        let page = site.server.request("GET", &path, &[ENGLISH], b"").await.text();
        site.browse(&path, "save=1&topic=news&topic=events&pace=1+per+7d").await;
        let proved = site.proved(4).await;
        let words: Vec<_> = proved.iter().map(|(purpose, topic, proof)| (&**purpose, &**topic, &proof["wording"])).collect();
        let tracking = "You may note which mails I open and which links I follow · This lets us send you more of what \
            interests you. You can change it at any time.";
        assert_eq!(words, [
            ("tracking", "", &json!(tracking)),
            ("contact", "offers", &json!("What would you like to receive? Angebote <für> dich")),
            ("contact", "events", &json!("What would you like to receive? Events")),
            ("frequency", "", &json!("How often? At most one a week")),
        ]);
        for part in ["You may note which mails I open and which links I follow<", "What would you like to receive?<"] {
            assert!(page.contains(part), "{part} is not what the page said: {page}");
        }
        for (.., proof) in &proved {
            assert_eq!((&proof["channel"], &proof["language"]), (&json!("preferences"), &json!("en")));
            assert_eq!(proof["form_url"], "https://t.alpenlauf.example/p/");
            assert_eq!(proof["request"], json!({"network": "2001:db8:7::/48", "user_agent": "Firefox/1"}));
            assert_eq!(proof["wording_version"], "version 1");
            assert!(proof["at"].is_string() && proof["address"] == "anna@example.org", "{proof}");
        }
        site.browse(&path, "leave=all").await;
        let (_, topic, proof) = &site.proved(1).await[0];
        assert_eq!((topic.as_str(), &proof["wording"]), ("news", &json!("Unsubscribe from everything")));
    }

    async fn leaving_and_renewing_are_proved_too_and_a_program_has_seen_no_words(db) {
        let site = Site::open(&db).await;
        site.browse(&site.path(Purpose::Keep), "keep=1").await;
        let (_, topic, proof) = &site.proved(1).await[0];
        assert_eq!((topic.as_str(), &proof["channel"]), ("offers", &json!("renewal")));
        assert_eq!(proof["wording"], "Do you want to go on receiving “Angebote <für> dich”? Yes, go on");
        assert_eq!(proof["form_url"], "https://t.alpenlauf.example/k/");

        site.browse(&site.path(Purpose::Unsubscribe), "List-Unsubscribe=One-Click").await;
        let (_, _, proof) = &site.proved(1).await[0];
        assert_eq!((&proof["channel"], proof.get("wording"), proof.get("language")), (&json!("one-click"), None, None));
        assert_eq!(proof["request"]["network"], "2001:db8:7::/48");
        assert_eq!(proof["form_url"], "https://t.alpenlauf.example/u/");

        site.browse(&site.path(Purpose::Keep), "keep=1").await;
        site.browse(&site.path(Purpose::Unsubscribe), "leave=topic").await;
        let (_, _, proof) = &site.proved(1).await[0];
        assert_eq!(proof["wording"], "Do you want to stop receiving “Angebote <für> dich”? Unsubscribe");

        let own = site.fresh().await;
        site.send(&own, "do=address&address=new%40example.org").await;
        site.browse(&site.mailed(NoticeKind::ChangeAddress).await, "do=move").await;
        let (purpose, _, proof) = &site.proved(1).await[0];
        assert_eq!((purpose.as_str(), &proof["was"]), ("address", &json!("anna@example.org")));
        assert_eq!(proof["wording"], "Shall we write to new@example.org from now on? Yes, write to this address");
        assert_eq!(proof["request"]["user_agent"], "Firefox/1");
    }

    async fn nobody_agrees_to_words_that_the_page_did_not_show_and_taking_back_needs_none(db) {
        let site = Site::open(&db).await;
        let path = site.path(Purpose::Preferences);
        site.post(Purpose::Preferences, "save=1&topic=offers&topic=news").await;
        let german = as_shown("save=1", &site.server.get(&path).await.text());
        for mark in ["save=1", "save=", &german] {
            let form = format!("{mark}&topic=offers&topic=news&topic=events&tracking=1");
            let page = site.server.request("POST", &path, &[FORM, ENGLISH], form.as_bytes()).await.text();
            assert!(page.contains("press the button once more") && page.contains("value=\"events\" checked"), "{page}");
            assert!(page.contains("name=\"tracking\" value=\"1\" aria-describedby=\"hint\" checked"), "{page}");
            assert_eq!((site.subscribed().await, site.tracking().await), (vec!["news".into(), "offers".into()], false));
        }
        let form = "save=1&topic=offers&topic=events&pace=pause+30d";
        let page = site.server.request("POST", &path, &[FORM, ENGLISH], form.as_bytes()).await.text();
        assert!(page.contains("press the button once more") && page.contains("name=\"tell\""), "{page}");
        assert_eq!(site.subscribed().await, ["offers"]);
        let form = as_shown("save=1&topic=offers&topic=events&tracking=1", &page);
        let page = site.server.request("POST", &path, &[FORM, ENGLISH], form.as_bytes()).await.text();
        assert!(page.contains("Your choice is saved."), "{page}");
        assert_eq!((site.subscribed().await, site.tracking().await), (vec!["events".into(), "offers".into()], true));
    }

    async fn the_proof_that_is_handed_out_says_all_of_it(db) {
        let site = Site::open(&db).await;
        site.browse(&site.path(Purpose::Preferences), "save=1&topic=events&topic=offers&topic=news&tracking=1").await;
        let anna = Address::parse("anna@example.org").unwrap();
        let proof = proof(&db.store, &anna, Clock::system().now()).await.unwrap().unwrap();
        assert!(proof.holds, "{:?}", proof.fault);
        let text = proof.to_string();
        for part in [
            "agrees to be mailed about 'events'", "wording      What would you like to receive? Events",
            "wording_version version 1", "language     en", "form_url     https://t.alpenlauf.example/p/",
            "request.network 2001:db8:7::/48", "request.user_agent Firefox/1", "channel      preferences",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
