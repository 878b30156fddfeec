//! How often, and why somebody left.

use colloquy::domain::pace::Pace;
use colloquy::store::people;
use colloquy::store::recipients::Recipient;

use super::*;

const DAY: i64 = 86_400_000_000;

impl Site {
    async fn anna(&self) -> Recipient {
        recipients::by_id(&mut self.store.read().await.unwrap(), self.anna).await.unwrap().unwrap()
    }

    /// Everything ticked stays as it is, but for this.
    async fn choose(&self, pace: &str) -> String {
        let body = format!("save=1&topic=offers&topic=news&tracking=1&pace={pace}");
        self.post(Purpose::Preferences, &body).await.text()
    }

    /// The choice that is marked, and all that there are.
    async fn paces(&self) -> (String, usize) {
        let html = self.server.get(&self.path(Purpose::Preferences)).await.text();
        let choices = &html[html.find("name=\"pace\"").unwrap()..];
        let chosen = &choices[..choices.find("\" checked>").unwrap()];
        (chosen.rsplit('"').next().unwrap().to_owned(), html.matches("name=\"pace\"").count())
    }

    /// Why people left this run, and in which words.
    async fn told(&self) -> Vec<(String, Option<String>, Option<String>)> {
        let sql = "SELECT key, why, words FROM actions WHERE kind = 'unsubscribe' ORDER BY id";
        let told: Vec<(String, Option<String>, Option<String>)> =
            self.store.read().await.unwrap().all(sql, vec![]).await.unwrap();
        told.into_iter().map(|(key, why, words)| (key.split(':').nth(2).unwrap().to_owned(), why, words)).collect()
    }
}

on_both_engines! {
    async fn how_often_is_chosen_and_stays_chosen(db) {
        let site = Site::open(&db).await;
        assert_eq!(site.paces().await, ("any".to_owned(), 4));
        let weekly = OwnLimit { count: 1, days: 7 };
        assert!(site.choose("1+per+7d").await.contains("Ihre Auswahl ist gespeichert."));
        assert_eq!((site.anna().await.limit, site.paces().await.0), (Some(weekly), "1 per 7d".to_owned()));
        assert_eq!(site.last_channel().await, "preferences");
        let writes = site.writes().await;
        site.choose("1+per+7d").await;
        site.post(Purpose::Preferences, "save=1&topic=offers&topic=news&tracking=1").await;
        assert_eq!(site.writes().await, writes, "a second time, or not at all, changes nothing");

        let before = Clock::system().now();
        assert!(site.choose("pause+30d").await.contains("Pause bis zum "));
        let until = site.anna().await.paused_until.unwrap();
        assert!((before.0..=before.0 + DAY).contains(&(until.0 - 30 * DAY)), "{until}");
        assert_eq!((site.anna().await.limit, site.paces().await), (Some(weekly), ("keep".to_owned(), 5)));
        site.choose("keep").await;
        assert_eq!(site.anna().await.paused_until, Some(until));
        site.choose("any").await;
        assert_eq!((site.anna().await.limit, site.anna().await.paused_until), (None, None));
    }

    async fn what_is_not_offered_is_not_taken_and_nothing_else_of_the_form_either(db) {
        let site = Site::open(&db).await;
        let before = site.writes().await;
        for pace in ["1+per+1d", "100+per+7d", "pause+400d", "pause+-1d", "1", "", "%00", "1+per+7d%27--"] {
            let reply = site.post(Purpose::Preferences, &format!("save=1&topic=events&pace={pace}")).await;
            assert!(reply.status == 200 && reply.text().contains("Es wurde nichts geändert"), "{pace}");
        }
        assert_eq!((site.writes().await, site.anna().await.limit), (before, None));
    }

    async fn a_limit_that_is_no_longer_offered_is_kept(db) {
        let site = Site::open(&db).await;
        let mut session = site.store.write().await.unwrap();
        let origin = Origin { channel: "page", run: None, at: Micros(2), salts: Salts::new(&[9; 32]), shown: None };
        let own = OwnLimit { count: 2, days: 90 };
        subscriptions::set_pace(&mut session, site.anna, Pace::AtMost(own), &origin).await.unwrap();
        session.commit().await.unwrap();
        assert_eq!(site.paces().await, ("2 per 90d".to_owned(), 5));
        assert!(site.choose("2+per+90d").await.contains("Höchstens 2 in 90 Tagen"));
        assert_eq!(site.anna().await.limit, Some(own));
    }

    async fn everything_is_left_from_the_preferences_at_once(db) {
        let site = Site::open(&db).await;
        let page = site.server.get(&site.path(Purpose::Preferences)).await.text();
        assert!(page.contains("name=\"leave\" value=\"all\">Von allem abmelden"), "{page}");
        let body = "save=1&topic=offers&topic=news&tracking=1&leave=all";
        let page = site.post(Purpose::Preferences, body).await.text();
        assert!(page.contains("keine weiteren Mailings") && !page.contains("name=\"leave\""), "{page}");
        assert!(site.subscribed().await.is_empty() && site.tracking().await);
        assert_eq!(site.last_channel().await, "preferences");
    }

    async fn why_is_asked_after_leaving_and_kept_with_it(db) {
        let site = Site::open(&db).await;
        assert!(!site.server.get(&site.path(Purpose::Unsubscribe)).await.text().contains("name=\"tell\""));
        let page = site.post(Purpose::Unsubscribe, "leave=topic").await.text();
        for part in ["name=\"tell\"", "value=\"too_many\"", "<label class=\"above\" for=\"words\">", "maxlength=\"500\""] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert!(site.post(Purpose::Unsubscribe, "tell=1").await.text().contains("Danke"));
        assert_eq!(site.told().await, [("offers".to_owned(), None, None)], "who says nothing has said nothing");
        let body = format!("tell=1&why=too_many&words=Every+day%21%0D%0A{}", "x".repeat(600));
        assert!(site.post(Purpose::Unsubscribe, &body).await.text().contains("Danke"));
        let [(_, why, Some(words))] = &site.told().await[..] else { panic!("one leaving") };
        assert_eq!((why.as_deref(), words.len(), &words[..12]), (Some("too_many"), 500, "Every day! x"));
        site.post(Purpose::Unsubscribe, "tell=1&why=never_asked&words=other").await;
        assert_eq!(site.told().await[0].1.as_deref(), Some("too_many"), "the first word counts");
        assert_eq!(site.subscribed().await, ["news"], "telling leaves nothing");
    }

    async fn why_is_asked_on_the_preferences_page_as_soon_as_a_topic_is_left_there(db) {
        let site = Site::open(&db).await;
        for (form, asked) in [("topic=offers&topic=news&topic=events", false), ("topic=offers", true), ("leave=all", true)] {
            let page = site.post(Purpose::Preferences, &format!("save=1&tracking=1&{form}")).await.text();
            assert_eq!(page.contains("name=\"tell\""), asked, "{form}: {page}");
        }
        assert!(site.post(Purpose::Preferences, "tell=1&why=too_many").await.text().contains("Danke"));
        assert_eq!(site.told().await.iter().filter(|(_, why, _)| why.as_deref() == Some("too_many")).count(), 1);
        assert!(site.subscribed().await.is_empty() && site.tracking().await, "telling changes nothing");
    }

    async fn why_is_kept_also_where_a_notice_led_to_the_page(db) {
        let site = Site::open(&db).await;
        let token = Token { run: RunId::NOTICES, recipient: site.anna, purpose: Purpose::Preferences };
        let path = format!("/p/{}", site.keys.sign(&token));
        site.send(&path, "leave=all").await;
        site.send(&path, "tell=1&words=Genug").await;
        assert!(site.told().await.iter().all(|(_, _, words)| words.as_deref() == Some("Genug")));
    }

    async fn a_reason_that_is_not_offered_or_of_nobody_who_left_is_dropped(db) {
        let site = Site::open(&db).await;
        site.post(Purpose::Unsubscribe, "tell=1&why=too_many&words=x").await;
        assert!(site.told().await.is_empty());
        assert_eq!(site.subscribed().await.len(), 2);
        site.post(Purpose::Unsubscribe, "leave=all").await;
        let script = "tell=1&why=%3Cscript%3E&words=%3Cscript%3Ealert(1)%3C/script%3E";
        assert!(!site.post(Purpose::Unsubscribe, script).await.text().contains("<script"));
        let said = Some("<script>alert(1)</script>".to_owned());
        assert_eq!(site.told().await, [("news".to_owned(), None, said.clone()), ("offers".to_owned(), None, said)]);
        let mut session = site.store.read().await.unwrap();
        let timeline = people::timeline(&mut session, site.anna, Micros(i64::MAX)).await.unwrap();
        assert!(timeline.iter().any(|event| event.details.get("words").is_some()));
    }
}
