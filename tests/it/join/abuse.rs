//! What people and programs send that is no request to join.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::desk::{ENGLISH, FORM, Site, stamp_in};
use crate::support::browser::Browser;
use crate::support::on_both_engines;

const ANNA: [(&str, &str); 2] = [("address", "anna@example.org"), ("topic", "news")];

/// What the browser does: a number whose hash begins with 17 zero bits.
fn work(stamp: &str, address: &str) -> String {
    let fits = |work: &String| {
        let hash = digest(&SHA256, format!("{stamp}:{address}:{work}").as_bytes());
        u32::from_be_bytes(hash.as_ref()[..4].try_into().unwrap()).leading_zeros() >= 17
    };
    (0_u64..).map(|n| n.to_string()).find(fits).unwrap()
}

on_both_engines! {
    async fn a_form_from_elsewhere_or_too_fast_comes_back_filled_in(db) {
        let site = Site::open(db).await;
        let typed = [("address", "anna@example.org"), ("topic", "events"), ("first_name", "<script>alert(1)</script>\"")];
        let page = site.post("/join", &typed).await;
        let html = page.text();
        assert!(page.status == 200 && html.contains("press the button once more"), "{html}");
        for part in [r#"value="anna@example.org""#, r#"value="events" checked"#, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;"] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("<script") && !html.contains(r#"value="news" checked"#), "{html}");
        let stamp = stamp_in(&html);
        let mut fields = typed.to_vec();
        fields.push(("stamp", &stamp));
        assert!(site.post("/join", &fields).await.text().contains("once more"), "no person is so fast");
        site.pass(Duration::from_secs(3));
        assert!(site.post("/join", &fields).await.text().contains("look into your mailbox"));
        site.pass(Duration::from_secs(25 * 3_600));
        assert!(site.post("/join", &fields).await.text().contains("once more"), "the form is a day old");
        assert_eq!((site.count("joins").await, site.count("recipients").await), (1, 0));
    }

    async fn what_is_no_address_is_shown_to_be_corrected_and_reaches_no_mail(db) {
        let site = Site::open(db).await;
        for bad in [
            "anna", "", "anna@", "anna@example.org\r\nBcc: bert@example.org", "<script>@example.org", "a b@example.org",
            "anna@example.org, bert@example.org", "\"><script>alert(1)</script>@x.example", "anna@localhost",
        ] {
            let page = site.join(&[("address", bad), ("topic", "news")]).await.text();
            assert!(page.contains("This mail address is not complete"), "{bad}: {page}");
            assert!(page.contains("aria-invalid") && !page.contains("<script>alert"), "{bad}: {page}");
        }
        for nothing in [&[("address", "anna@example.org")][..], &[("address", "anna@example.org"), ("topic", "invented")]] {
            assert!(site.join(nothing).await.text().contains("Please choose"));
        }
        let long = format!("{}@example.org", "a".repeat(5_000));
        assert!(site.join(&[("address", &long), ("topic", "news")]).await.text().contains("not complete"));
        assert_eq!((site.count("joins").await, site.count("notices").await), (0, 0));
    }

    async fn a_program_that_fills_in_every_field_is_told_that_all_is_well(db) {
        let site = Site::open(db).await;
        let mut fields = ANNA.to_vec();
        let person = site.join(&fields).await;
        fields.push(("website", "https://spam.example"));
        fields[0].1 = "bert@example.org";
        assert_eq!(site.join(&fields).await, person);
        assert_eq!(site.count("joins").await, 1);
    }

    async fn an_address_is_asked_every_ten_minutes_and_four_times_a_day_at_most(db) {
        let site = Site::open(db).await;
        // Days do not begin anew at midnight, nor with the first request.
        let first = [(0, 1), (5, 1), (1_395, 2), (11, 3), (11, 4), (11, 4), (11, 5), (11, 5), (11, 5)];
        let next = [(1_400, 6), (11, 7), (11, 8), (11, 9), (11, 9)];
        for (minutes, mails) in first.into_iter().chain(next) {
            site.pass(Duration::from_secs(minutes * 60));
            assert_eq!(site.join(&ANNA).await.status, 200);
            assert_eq!(site.count("notices").await, mails, "after {minutes} minutes more");
        }
    }

    async fn many_names_of_one_mailbox_are_asked_no_more_often_than_one(db) {
        let site = Site::open(db).await;
        for address in ["anna@example.org", "anna+1@example.org", "Anna+2@example.org", "anna+2+3@example.org"] {
            assert_eq!(site.join(&[("address", address), ("topic", "news")]).await.status, 200);
        }
        assert_eq!(site.count("notices").await, 1);
        site.join(&[("address", "anna1@example.org"), ("topic", "news")]).await;
        site.pass(Duration::from_secs(660));
        site.join(&[("address", "anna+4@example.org"), ("topic", "news")]).await;
        assert_eq!(site.count("notices").await, 3);
        let (_, link) = site.mailed("anna+4@example.org").await.unwrap();
        site.post(&link, &[]).await;
        assert!(site.recipient("anna+4@example.org").await.is_some(), "the address itself stays as it was typed");
        assert!(site.recipient("anna@example.org").await.is_none());
    }

    async fn nobody_agrees_to_words_that_the_form_did_not_show(db) {
        let mut site = Site::open(db).await;
        let mut fields = ANNA.to_vec();
        let stamp = site.stamp().await;
        fields.push(("stamp", &stamp));
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        let german = [FORM, ("Accept-Language", "de")];
        let page = site.server.request("POST", "/join", &german, body.as_bytes()).await.text();
        assert!(page.contains("Ich möchte") && page.contains("value=\"anna@example.org\""), "{page}");
        site.change("[join]", "[join]\nwording_version = \"2\"\nwording.en = \"I want more mails from {sender}.\"").await;
        let page = site.post("/join", &fields).await.text();
        assert!(page.contains("I want more mails from Shop.") && page.contains("once more"), "{page}");
        assert_eq!(site.count("joins").await, 0);
        site.pass(Duration::from_secs(5));
        let stamp = stamp_in(&page);
        fields[2].1 = &stamp;
        assert!(site.post("/join", &fields).await.text().contains("look into your mailbox"));
        site.post(&site.mailed("anna@example.org").await.unwrap().1, &[]).await;
        let anna = site.recipient("anna@example.org").await.unwrap();
        let payload = site.consents(anna.id).await.remove(0).payload.unwrap();
        assert!(payload.contains("I want more mails from Shop."), "{payload}");
    }

    async fn no_box_is_ticked_before_and_the_one_thing_to_join_needs_none(db) {
        let mut site = Site::open(db).await;
        let page = site.server.request("GET", "/join", &[ENGLISH], b"").await.text();
        assert!(page.contains("value=\"news\"") && !page.contains("checked"), "{page}");
        site.change("topics = [\"news\", \"events\"]", "topics = [\"events\"]").await;
        let page = site.server.request("GET", "/join", &[ENGLISH], b"").await.text();
        assert!(page.contains("<strong>Events &lt;&amp;&gt;</strong>") && !page.contains("name=\"topic\""), "{page}");
    }

    async fn ten_thousand_joins_from_one_network_write_no_more_than_it_may(db) {
        let site = Site::open(db).await;
        let stamp = site.stamp().await;
        let mut refused = 0;
        for n in 0..10_000 {
            let (address, client) = (format!("a{n}@example.org"), format!("203.0.113.{}", n % 250));
            let fields = [("address", address.as_str()), ("topic", "news"), ("stamp", &stamp)];
            let answer = site.post_from(&client, "/join", &fields).await;
            if answer.status == 429 {
                assert_eq!(answer.header("retry-after"), Some("600"));
                refused += 1;
            }
        }
        let written = site.count("joins").await;
        assert!((1..100).contains(&written) && refused > 9_800, "{written} written, {refused} refused");
        assert_eq!(site.post_from("198.51.100.1", "/join", &[]).await.status, 200, "others are served");
    }

    async fn bodies_that_are_huge_or_no_form_write_nothing(db) {
        let site = Site::open(db).await;
        let stamp = site.stamp().await;
        let huge = format!("stamp={stamp}&address=anna@example.org&topic=news&x={}", "y".repeat(20_000));
        assert_eq!(site.server.request("POST", "/join", &[FORM], huge.as_bytes()).await.status, 413);
        let form = format!("stamp={stamp}&address=anna@example.org&topic=news");
        for kind in ["text/plain", "application/json", "multipart/form-data", "image/png"] {
            let answer = site.server.request("POST", "/join", &[("Content-Type", kind)], form.as_bytes()).await;
            assert_eq!(answer.status, 200, "the form comes back");
        }
        for method in ["PUT", "DELETE", "OPTIONS"] {
            assert_eq!(site.server.request(method, "/join", &[], b"").await.status, 405);
        }
        assert_eq!(site.server.request("POST", "/join.js", &[], b"").await.status, 405);
        assert_eq!(site.count("joins").await, 0);
    }

    async fn while_very_many_join_each_works_or_waits(db) {
        let join = "\n[join]\ntopics = [\"news\"]\nper_network = \"20/h\"\nchallenge_above = \"3/m\"\n";
        let site = Site::with(db, join).await;
        let quiet = site.stamp().await;
        for n in 0..5 {
            site.post_from(&format!("192.0.{n}.1"), "/join", &[]).await;
        }
        let page = site.server.request("GET", "/join", &[ENGLISH], b"").await;
        let html = page.text();
        let policy = page.header("content-security-policy").unwrap();
        assert!(html.contains(r#"data-work="17""#) && html.contains(r#"<script src="join.js""#), "{html}");
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let script = site.server.get("/join.js").await;
        assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));

        site.pass(Duration::from_secs(5));
        let refused = site.post("/join", &[("address", "anna@example.org"), ("stamp", &quiet)]).await.text();
        assert!(refused.contains("wait two minutes"), "{refused}");
        let waits = stamp_in(&refused);
        site.pass(Duration::from_secs(100));
        let early = site.post("/join", &[("address", "anna@example.org"), ("stamp", &waits)]).await.text();
        assert!(early.contains("wait two minutes"), "{early}");
        site.pass(Duration::from_secs(30));
        let other = site.post("/join", &[("address", "bert@example.org"), ("stamp", &waits)]).await.text();
        assert!(other.contains("wait two minutes"), "it was waited for another address");
        assert_eq!(site.count("joins").await, 0);
        let taken = site.post("/join", &[("address", "anna@example.org"), ("stamp", &waits)]).await.text();
        assert!(taken.contains("look into your mailbox"), "{taken}");

        let stamp = site.stamp().await;
        let worked = work(&stamp, "carl@example.org");
        let fields = [("address", "carl@example.org"), ("stamp", stamp.as_str()), ("work", worked.as_str())];
        assert!(site.post("/join", &fields).await.text().contains("look into your mailbox"));
        assert_eq!(site.count("joins").await, 2);
    }

    async fn waiting_with_many_forms_at_once_gets_nobody_far(db) {
        let join = "\n[join]\ntopics = [\"news\"]\nchallenge_above = \"3/m\"\n";
        let site = Site::with(db, join).await;
        let stamp = site.stamp().await;
        let mut asked = Vec::new();
        for n in 0..40 {
            let (client, address) = (format!("192.0.{n}.1"), format!("a{n}@example.org"));
            let page = site.post_from(&client, "/join", &[("address", &address), ("stamp", &stamp)]).await.text();
            if page.contains("wait two minutes") {
                asked.push((client, stamp_in(&page), address));
            }
        }
        assert_eq!(asked.len(), 37);
        let before = site.count("joins").await;
        site.pass(Duration::from_secs(121));
        let mut refused = 0;
        for (client, stamp, address) in &asked {
            let page = site.post_from(client, "/join", &[("address", address), ("stamp", stamp)]).await.text();
            refused += i64::from(page.contains("wait two minutes"));
        }
        assert_eq!(site.count("joins").await, before + 37 - refused);
        assert!((1..=27).contains(&refused), "{refused} were asked to wait again");
    }

    async fn a_browser_works_by_itself_and_a_quiet_form_needs_no_script(db) {
        let join = "\n[join]\ntopics = [\"news\"]\nper_network = \"20/h\"\nchallenge_above = \"3/m\"\n";
        let site = Site::with(db, join).await;
        let browser = Browser::start().await;
        let url = format!("http://{}/join", site.server.address);
        let fill = |address: &str| format!("document.getElementById('address').value = '{address}'; return 1");
        for (address, scripts) in [("änne@example.org", 0), ("bert@example.org", 1)] {
            browser.open(&url).await;
            assert_eq!(browser.script("return document.scripts.length").await, scripts);
            site.pass(Duration::from_secs(5));
            browser.script(&fill(address)).await;
            browser.click("button").await;
            browser.wait_for("document.title.match(/mailbox|Postfach/)").await;
            for n in 0..5 {
                site.post_from(&format!("192.0.{n}.1"), "/join", &[]).await;
            }
        }
        assert_eq!(site.count("joins").await, 2);
    }
}
