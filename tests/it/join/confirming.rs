//! From the form to the consent.

use std::time::Duration;

use colloquy::clock;
use colloquy::domain::address::Address;
use colloquy::domain::consent::Salts;
use colloquy::domain::id::{JoinId, RecipientId, RunId};
use colloquy::domain::time::Micros;
use colloquy::domain::token::{Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::people::suppress;
use colloquy::services::{Role, Services};
use colloquy::store::addresses;
use colloquy::store::erasure::forget_address;
use colloquy::store::joins;
use colloquy::store::people;
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::versions;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::desk::{ENGLISH, FORM, Site, stamp_in};
use crate::project::{Project, Settings};
use crate::service::get;
use crate::support::dump::dump;
use crate::support::on_both_engines;

const ANNA: &str = "Anna@Example.org";
const ONE: [(&str, &str); 2] = [("address", ANNA), ("topic", "news")];

fn payload(stored: &colloquy::store::consents::StoredConsent) -> Value {
    serde_json::from_str(stored.payload.as_deref().unwrap()).unwrap()
}

fn origin(at: Micros) -> Origin<'static> {
    Origin { channel: "page", run: None, at, salts: Salts::new(&clock::secret()), shown: None }
}

/// Posts to the assembled service.
async fn post(at: std::net::SocketAddr, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Accept-Language: de\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

on_both_engines! {
    async fn from_the_form_over_real_mail_to_a_consent_with_the_relays_answer(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        let file = project.db.dir.path().join("config/colloquy.toml");
        let text = std::fs::read_to_string(&file).unwrap() + "\n[join]\ntopics = [\"news\"]\n";
        std::fs::write(&file, text).unwrap();
        let (app, store) = (project.app(), project.db.store.clone());
        let version = app.freeze(&store).await.unwrap();
        let mut tx = store.write().await.unwrap();
        versions::apply(&mut tx, version, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let stop = Stop::default();
        let services = Services::start(app.site(), &Role::ALL, stop.clone()).await.unwrap();
        let at = services.web.unwrap();

        let stamp = stamp_in(&post(at, "/join", "").await);
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let sent = post(at, "/join", &format!("stamp={stamp}&address=anna%40example.org")).await;
        assert!(sent.contains("sehen Sie in Ihr Postfach"), "{sent}");
        let mail = project.caught.recv().await.unwrap();
        let parsed = mail_parser::MessageParser::default().parse(&mail.message).unwrap();
        let text = parsed.body_text(0).unwrap();
        let link = &text[text.find("/j/").unwrap()..];
        let link = link[..link.find(|c: char| c.is_whitespace() || ")]>".contains(c)).unwrap()].to_owned();
        assert!(get(at, &link).await.contains("Would you like to receive: News?"));
        let accepted = "SELECT COUNT(*) FROM notices WHERE state = 'accepted'";
        while store.read().await.unwrap().one::<(i64,)>(accepted, vec![]).await.unwrap().0 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let done = post(at, &link, "confirm=1").await;
        assert!(done.contains("Ab jetzt erhalten Sie: News."), "{done}");
        let mut session = store.read().await.unwrap();
        let (proof,): (String,) = session.one("SELECT payload FROM consents", vec![]).await.unwrap();
        let proof: Value = serde_json::from_str(&proof).unwrap();
        assert_eq!(proof["mail"]["message_id"].as_str(), parsed.message_id());
        assert_eq!((&proof["mail"]["state"], &proof["mail"]["code"]), (&"accepted".into(), &250.into()));
        assert_eq!((&proof["mail"]["relay"], &proof["language"]), (&"catcher".into(), &"de".into()));
        assert_eq!(proof["mail"]["template_sha256"].as_str().unwrap().len(), 64);
        drop(session);
        stop.soft.cancel();
        services.finished().await;
    }

    async fn nobody_is_a_recipient_before_the_button_and_the_whole_proof_is_kept(db) {
        let site = Site::open(db).await;
        let asked = site.clock.now();
        let fields = [("address", " Anna@EXAMPLE.org "), ("topic", "news"), ("topic", "events"), ("tracking", "1"),
            ("first_name", "Anna\r\nMaria"), ("last_name", "not asked for")];
        let page = site.join(&fields).await;
        assert!(page.status == 200 && page.text().contains("Please look into your mailbox"), "{}", page.text());
        assert_eq!((site.count("joins").await, site.count("recipients").await), (1, 0));
        let (kind, link) = site.mailed(ANNA).await.unwrap();
        assert_eq!(kind, "confirm");

        for method in ["GET", "HEAD", "GET"] {
            let page = site.server.request(method, &link, &[ENGLISH], b"").await;
            assert_eq!(page.status, 200);
            assert!(method == "HEAD" || page.text().contains("Would you like to receive: News, Events &lt;&amp;&gt;?"));
        }
        assert_eq!(site.server.request("OPTIONS", &link, &[], b"").await.status, 405);
        assert_eq!(site.count("recipients").await, 0, "a scanner has confirmed");

        site.pass(Duration::from_secs(60));
        let done = site.post_from("198.51.100.9", &link, &[("confirm", "1")]).await.text();
        assert!(done.contains("From now on you receive: News, Events") && done.contains("href=\"/p/"), "{done}");
        let anna = site.recipient(ANNA).await.unwrap();
        assert_eq!(anna.attributes["first_name"], "Anna Maria");
        assert!(!anna.attributes.contains_key("last_name") && anna.tracking);
        assert_eq!(site.topics(anna.id).await, ["events", "news"]);
        let consents = site.consents(anna.id).await;
        let terms: Vec<_> = consents.iter().map(|c| (c.purpose.as_str(), c.topic.as_str(), c.granted)).collect();
        assert_eq!(terms, [("contact", "news", true), ("contact", "events", true), ("tracking", "", true)]);
        let proof = payload(&consents[0]);
        assert_eq!(proof["typed"], " Anna@EXAMPLE.org ");
        assert_eq!(proof["address"], "Anna@example.org");
        assert!(proof["wording"].as_str().unwrap().contains("I would like to get mails from Shop"), "{proof}");
        assert!(proof["tracking_wording"].as_str().unwrap().starts_with("Shop may note"), "{proof}");
        assert_eq!((&proof["wording_version"], &proof["language"]), (&"built-in 1".into(), &"en".into()));
        assert_eq!(proof["form_url"], "http://127.0.0.1:1/join");
        assert_eq!(proof["request"]["network"], "203.0.113.0/24");
        assert_eq!(proof["request"]["user_agent"], "Firefox/1");
        assert_eq!(proof["request"]["at"], asked.plus(Duration::from_secs(5)).to_string());
        assert_eq!(proof["confirmation"]["network"], "198.51.100.0/24");
        assert_eq!(proof["confirmation"]["at"], site.clock.now().to_string());
        assert_eq!(proof["mail"]["state"], "waiting", "the mail's fate as it was known");

        let again = site.post(&link, &[("confirm", "1")]).await;
        assert!(again.status == 200 && again.text().contains("You have confirmed this already"));
        assert_eq!(site.consents(anna.id).await.len(), 3);
        let kept = "SELECT address, attributes, proof FROM joins";
        let kept: (String, String, String) = site.store.read().await.unwrap().one(kept, vec![]).await.unwrap();
        assert_eq!(kept, Default::default(), "what the consent keeps is not kept twice");
    }

    async fn two_confirmations_at_once_join_once(db) {
        let site = Site::open(db).await;
        site.join(&ONE).await;
        let (_, link) = site.mailed(ANNA).await.unwrap();
        let fields = [("confirm", "1")];
        let answers = tokio::join!(site.post(&link, &fields), site.post(&link, &fields), site.post(&link, &fields));
        let texts = [answers.0, answers.1, answers.2].map(|answer| (answer.status, answer.text()));
        assert!(texts.iter().all(|(status, _)| *status == 200), "{texts:?}");
        assert_eq!(texts.iter().filter(|(_, text)| text.contains("From now on you receive")).count(), 1);
        assert_eq!((site.count("recipients").await, site.count("consents").await), (1, 1));
    }

    async fn whoever_leaves_while_confirming_is_in_the_state_that_the_ledger_says(db) {
        let site = Site::open(db).await;
        site.join(&ONE).await;
        site.post(&site.mailed(ANNA).await.unwrap().1, &[]).await;
        let anna = site.recipient(ANNA).await.unwrap().id;
        for _ in 0..8 {
            site.pass(Duration::from_secs(86_400));
            let fields = [("address", ANNA), ("topic", "events"), ("topic", "news")];
            let mut session = site.store.write().await.unwrap();
            subscriptions::leave(&mut session, anna, "events", &origin(site.clock.now())).await.unwrap();
            session.commit().await.unwrap();
            site.join(&fields).await;
            let (kind, link) = site.mailed(ANNA).await.unwrap();
            assert_eq!(kind, "confirm");
            let leave = async {
                let mut session = site.store.write().await.unwrap();
                subscriptions::leave_all(&mut session, anna, &origin(site.clock.now())).await.unwrap();
                session.commit().await.unwrap();
            };
            let (answer, ()) = tokio::join!(site.post(&link, &[]), leave);
            assert_eq!(answer.status, 200);
            let topics = site.topics(anna).await;
            for topic in ["events", "news"] {
                let consents = site.consents(anna).await;
                let last = consents.iter().rev().find(|c| c.topic == topic).unwrap();
                assert_eq!(last.granted, topics.contains(&topic.to_owned()), "{topic}");
            }
        }
    }

    async fn a_confirmed_join_lifts_what_the_person_had_set_and_nothing_else(db) {
        let site = Site::open(db).await;
        let key = site.app.secrets().unwrap().suppression_key();
        let address = Address::parse(ANNA).unwrap();
        let confirm = async || {
            site.pass(Duration::from_secs(86_400));
            site.join(&ONE).await;
            site.post(&site.mailed(ANNA).await.unwrap().1, &[]).await
        };
        confirm().await;
        let first = site.recipient(ANNA).await.unwrap().id;
        let mut session = site.store.write().await.unwrap();
        subscriptions::leave(&mut session, first, "news", &origin(site.clock.now())).await.unwrap();
        session.commit().await.unwrap();
        confirm().await;
        assert_eq!((site.recipient(ANNA).await.unwrap().id, site.topics(first).await), (first, vec!["news".to_owned()]));

        forget_address(&site.store, &key, &address, site.clock.now()).await.unwrap();
        assert_eq!((site.count("suppressions").await, site.recipient(ANNA).await.is_none()), (1, true));
        confirm().await;
        let second = site.recipient(ANNA).await.unwrap().id;
        assert_ne!(second, first, "the erased person stays erased");
        assert_eq!((site.count("suppressions").await, site.topics(second).await.len()), (0, 1));

        let (mut session, new) = (site.store.write().await.unwrap(), Address::parse("new@example.org").unwrap());
        addresses::change(&mut session, second, (&new, &key), |_| true, &origin(site.clock.now())).await.unwrap();
        session.commit().await.unwrap();
        assert_eq!((site.count("suppressions").await, site.recipient(ANNA).await.is_none()), (1, true));
        confirm().await;
        assert_ne!(site.recipient(ANNA).await.unwrap().id, second, "who moved away stays there");
        assert_eq!(site.count("suppressions").await, 0);

        let order = suppress::Order { reason: "complaint", at: site.clock.now(), key: &key };
        suppress::addresses(&site.store, &order, &[address]).await.unwrap();
        confirm().await;
        assert_eq!(site.count("suppressions").await, 1, "others have set it");
    }

    async fn a_form_for_some_of_the_topics_is_about_these_alone(db) {
        let site = Site::open(db).await;
        let path = "/join?topic=events&topic=none";
        let page = site.server.request("GET", path, &[ENGLISH], b"").await.text();
        assert!(page.contains("<strong>Events &lt;&amp;&gt;</strong>") && !page.contains("name=\"topic\""), "{page}");
        assert!(page.contains("<form method=\"post\">"), "it comes back to the same address: {page}");
        let (stamp, all) = (stamp_in(&page), site.stamp().await);
        for (path, stamp) in [("/join", &stamp), (path, &all), ("/join?topic=news", &stamp)] {
            let shown = site.post(path, &[("stamp", stamp), ("address", ANNA), ("topic", "news")]).await.text();
            assert!(shown.contains("name=\"address\""), "another form was shown: {shown}");
        }
        assert_eq!(site.count("joins").await, 0);
        // What the form does not show is not joined.
        site.post(path, &[("stamp", &stamp), ("address", ANNA), ("topic", "news")]).await;
        site.post(&site.mailed(ANNA).await.unwrap().1, &[("confirm", "1")]).await;
        let anna = site.recipient(ANNA).await.unwrap().id;
        assert_eq!(site.topics(anna).await, ["events"]);
        let proof = payload(&site.consents(anna).await[0]);
        assert_eq!(proof["form_url"], "http://127.0.0.1:1/join?topic=events");
        for none in ["/join?topic=none", "/join?topic="] {
            assert_eq!(site.server.request("GET", none, &[ENGLISH], b"").await.status, 404, "{none}");
            assert_eq!(site.post(none, &[("stamp", &all), ("address", ANNA)]).await.status, 404, "{none}");
        }
        assert_eq!(site.server.request("GET", "/join?from=mail", &[ENGLISH], b"").await.status, 200);
    }

    async fn the_answer_is_the_same_whoever_is_asked_for(db) {
        let site = Site::open(db).await;
        let key = site.app.secrets().unwrap().suppression_key();
        site.join(&ONE).await;
        site.post(&site.mailed(ANNA).await.unwrap().1, &[]).await;
        let order = suppress::Order { reason: "complaint", at: site.clock.now(), key: &key };
        let bert = Address::parse("bert@example.org").unwrap();
        suppress::addresses(&site.store, &order, &[bert]).await.unwrap();
        site.pass(Duration::from_secs(3_600));
        let ask = async |address: &str| {
            site.join(&[("address", address), ("topic", "news"), ("first_name", "Annabel")]).await
        };
        let unknown = ask("carl@example.org").await;
        assert_eq!(unknown.status, 200);
        for other in ["anna@example.org", "bert@example.org", "carl@example.org", "nobody@no-such-domain.example"] {
            assert_eq!(ask(other).await, unknown, "{other}");
        }
        let anna = site.recipient(ANNA).await.unwrap().id;
        let (kind, link) = site.mailed(ANNA).await.unwrap();
        assert_eq!(kind, "already_subscribed");
        let preferences = site.keys.verify(link.strip_prefix("/p/").unwrap()).unwrap();
        assert_eq!((preferences.recipient, preferences.purpose), (anna, Purpose::Preferences));
        assert_eq!(site.mailed("carl@example.org").await.unwrap().0, "confirm");
        assert_eq!(site.consents(anna).await.len(), 1, "asking changes nothing");
        let until = site.clock.now();
        let timeline = people::timeline(&mut site.store.read().await.unwrap(), anna, until).await.unwrap();
        let kinds: Vec<_> = timeline.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["notice", "consent", "join", "notice"], "all that is stored is handed out");
        assert_eq!(timeline[2].details["attributes"], json!({"first_name": "Annabel"}));
        // Whoever measures how long an answer takes learns nothing from what was written.
        let mut written = Vec::new();
        for address in ["anna@example.org", "bert@example.org", "dora@example.org"] {
            site.pass(Duration::from_secs(3_600));
            let before = dump(&site.store).await;
            ask(address).await;
            let after = dump(&site.store).await;
            // The mailbox of somebody who was asked before has its limits already, in a row that is written as well.
            let others = after.iter().filter(|(table, _)| *table != "join_limits");
            let grown = others.map(|(table, rows)| (table.clone(), rows.len() - before[table].len()));
            written.push(grown.filter(|(_, rows)| *rows > 0).collect::<Vec<_>>());
            assert_ne!(before["join_limits"], after["join_limits"], "{address}");
        }
        let one_each = ["joins", "notices"].map(|table| (table.to_owned(), 1));
        assert!(written.iter().all(|written| *written == one_each), "{written:?}");
        // Another topic is another decision.
        site.pass(Duration::from_secs(3_600));
        site.join(&[("address", ANNA), ("topic", "events")]).await;
        assert_eq!(site.mailed(ANNA).await.unwrap().0, "confirm");
    }

    async fn a_link_that_is_stale_or_forged_confirms_nothing_and_says_so(db) {
        let site = Site::open(db).await;
        site.join(&ONE).await;
        let (_, link) = site.mailed(ANNA).await.unwrap();
        let other = |purpose| {
            let token = Token { run: RunId::NOTICES, recipient: RecipientId(1), purpose };
            format!("/j/{}", site.keys.sign(&token))
        };
        let cut = &link[..link.len() - 3];
        for forged in [cut, "/j/", "/j/x", &other(Purpose::Preferences), &other(Purpose::View), &link.replace("/j/", "/u/")] {
            assert_eq!(site.post(forged, &[("confirm", "1")]).await.status, 404, "{forged}");
        }
        let missing = format!("/j/{}", site.keys.sign(&Token {
            run: RunId::NOTICES, recipient: RecipientId(999), purpose: Purpose::Confirm,
        }));
        let gone = site.post(&missing, &[]).await;
        assert!(gone.status == 410 && gone.text().contains("no longer valid"), "{}", gone.text());

        let valid = joins::look(&mut site.store.read().await.unwrap(), JoinId(1), site.clock.now()).await.unwrap();
        assert_eq!(valid, Some((vec!["news".to_owned()], false)));
        site.pass(Duration::from_secs(48 * 3_600));
        for method in ["GET", "POST"] {
            assert_eq!(site.server.request(method, &link, &[FORM], b"").await.status, 410);
        }
        assert_eq!(site.count("recipients").await, 0);
        let mut session = site.store.write().await.unwrap();
        assert_eq!(joins::forget(&mut session, site.clock.now()).await.unwrap(), 1);
        session.commit().await.unwrap();
        assert_eq!((site.count("joins").await, site.count("join_limits").await), (0, 0));
    }

    async fn an_erased_person_leaves_no_request_and_no_mail_behind(db) {
        let site = Site::open(db).await;
        site.join(&[("address", "bert@example.org"), ("topic", "news")]).await;
        let key = site.app.secrets().unwrap().suppression_key();
        let bert = Address::parse("bert@example.org").unwrap();
        assert!(!forget_address(&site.store, &key, &bert, site.clock.now()).await.unwrap(), "he is no recipient yet");
        site.join(&ONE).await;
        site.post(&site.mailed(ANNA).await.unwrap().1, &[]).await;
        site.pass(Duration::from_secs(3_600));
        site.join(&[("address", ANNA), ("topic", "events")]).await;
        forget_address(&site.store, &key, &Address::parse(ANNA).unwrap(), site.clock.now()).await.unwrap();
        for sql in [
            "SELECT COUNT(*) FROM joins",
            "SELECT COUNT(*) FROM notices WHERE address IS NOT NULL OR data <> ''",
            "SELECT COUNT(*) FROM consents WHERE payload IS NOT NULL",
        ] {
            let (left,): (i64,) = site.store.read().await.unwrap().one(sql, vec![]).await.unwrap();
            assert_eq!(left, 0, "{sql}");
        }
    }
}
