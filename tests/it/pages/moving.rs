//! A change of address, and what the old mailbox can still do.

use std::time::Duration;

use colloquy::domain::address::Address;
use colloquy::domain::consent;
use colloquy::domain::id::NodeId;
use colloquy::domain::notice::NoticeKind;
use colloquy::store::addresses::{self, Moved};
use colloquy::store::consents;
use colloquy::store::notices::{self, Stamp};
use colloquy::store::suppressions;
use serde_json::{Value, json};

use super::*;
use crate::support::suppression_key;

on_both_engines! {
    async fn the_old_address_is_still_told_and_asked(db) {
        let site = Site::open(&db).await;
        for to in ["new%40example.org", "anna%40example.org"] {
            let own = site.fresh().await;
            site.send(&own, &format!("do=address&address={to}")).await;
            let link = site.mailed(NoticeKind::ChangeAddress).await;
            assert!(site.send(&link, "do=move").await.text().contains("Von jetzt an schreiben wir an"));
        }
        assert_eq!(site.address().await.as_deref(), Some("anna@example.org"));
        let mut session = db.store.write().await.unwrap();
        let now = Clock::system().now();
        let claim = notices::claim(&mut session, NodeId(1), now, 9, |_| Some(Stamp::default())).await.unwrap();
        let sent: Vec<_> = claim.taken.iter().map(|notice| (notice.kind.as_str(), notice.address.as_str())).collect();
        let (old, new) = ("anna@example.org", "new@example.org");
        let expected = [
            ("fresh_link", old), ("change_address", new), ("address_changed", old),
            ("fresh_link", new), ("change_address", old), ("address_changed", new),
        ];
        assert_eq!(sent, expected);
    }

    async fn a_move_that_comes_between_takes_the_old_mailbox_out_of_the_hands_of_its_reader(db) {
        let site = Site::open(&db).await;
        for (n, wish) in ["do=erase-all", "do=attributes&attribute.first_name=Eva"].into_iter().enumerate() {
            let own = site.fresh().await;
            let before = site.person(site.anna).await.attributes;
            let new = Address::parse(&format!("new{n}@example.org")).unwrap();
            let origin = Origin { channel: "page", run: None, at: Micros(5), salts: Salts::new(&[8; 32]), shown: None };
            let mut session = db.store.write().await.unwrap();
            let moving = (&new, &suppression_key());
            let moved = addresses::change(&mut session, site.anna, moving, |_| true, &origin).await.unwrap();
            assert!(matches!(moved, Moved::Done(_)));
            let commit = async {
                // Time for the page to find the link good and to wait for this transaction.
                tokio::time::sleep(Duration::from_millis(300)).await;
                session.commit().await.unwrap();
            };
            let (page, ()) = tokio::join!(site.send(&own, wish), commit);
            assert_eq!(page.status, 410, "{wish}");
            let anna = site.person(site.anna).await;
            assert_eq!((anna.address.as_ref().map(Address::as_str), anna.attributes), (Some(new.as_str()), before));
        }
    }

    async fn a_new_address_is_confirmed_there_and_the_old_one_told(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        let page = site.send(&own, "do=address&address=+Anna.Neu%40B%C3%BCcher.example").await.text();
        assert!(page.contains("Wir haben eine Frage an die neue Adresse geschickt."), "{page}");
        let asked = site.notices().await.pop().unwrap();
        assert_eq!((asked.0.as_str(), asked.1.as_str()), ("change_address", "Anna.Neu@xn--bcher-kva.example"));
        assert_eq!(site.address().await.as_deref(), Some("anna@example.org"), "nothing before it is confirmed");
        let new = site.mailed(NoticeKind::ChangeAddress).await;
        let page = site.server.get(&new).await.text();
        assert!(page.contains("Sollen wir von jetzt an an Anna.Neu@xn--bcher-kva.example schreiben?"), "{page}");
        assert!(!page.contains("anna@example.org"), "the old address is not told at the new one");
        assert!(site.send(&new, "do=erase-all").await.text().contains("Es wurde nichts geändert"));
        assert!(site.send(&new, "do=move").await.text().contains("Von jetzt an schreiben wir an Anna.Neu@"));
        let anna = site.person(site.anna).await;
        assert_eq!(anna.address.as_ref().unwrap().as_str(), "Anna.Neu@xn--bcher-kva.example");
        let note = site.notices().await.pop().unwrap();
        assert_eq!((note.0.as_str(), note.1.as_str()), ("address_changed", "anna@example.org"));

        let sql = "SELECT domain, address_hash FROM recipients WHERE id = $1";
        let stored: (String, Vec<u8>) = site.store.read().await.unwrap().one(sql, args![site.anna]).await.unwrap();
        assert_eq!(stored, ("xn--bcher-kva.example".to_owned(), anna.address.unwrap().hash(&suppression_key()).to_vec()));
        let mut session = site.store.read().await.unwrap();
        let entries = consents::history(&mut session, site.anna, Micros(i64::MAX)).await.unwrap();
        consent::verify(entries.iter().map(|entry| entry.entry().unwrap())).unwrap();
        let last = entries.last().unwrap();
        let proof: Value = serde_json::from_str(last.payload.as_ref().unwrap()).unwrap();
        assert_eq!((last.purpose.as_str(), &proof["was"], &proof["channel"]), ("address", &json!("anna@example.org"), &json!("page")));
        drop(session);
        assert_eq!(site.subscribed().await, ["news", "offers"]);

        assert_eq!(site.send(&new, "do=move").await.status, 410, "it works once");
        assert_eq!(site.server.get(&own).await.status, 410, "a link to the old mailbox opens nothing any more");
        assert_eq!(site.send(&own, "do=erase-all").await.status, 410);
        assert!(site.address().await.is_some());
    }

    async fn of_two_changes_under_way_the_first_that_is_confirmed_counts(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        let mut links = Vec::new();
        for address in ["one", "two"] {
            site.send(&own, &format!("do=address&address={address}%40example.org")).await;
            links.push(site.mailed(NoticeKind::ChangeAddress).await);
        }
        let (two, one) = tokio::join!(site.send(&links[1], "do=move"), site.send(&links[0], "do=move"));
        let mut statuses = [one.status, two.status];
        let winner = if one.status == 200 { "one@example.org" } else { "two@example.org" };
        assert_eq!(site.address().await.as_deref(), Some(winner));
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 410]);
    }

    async fn an_address_of_somebody_else_or_one_that_is_suppressed_is_not_taken(db) {
        let site = Site::open(&db).await;
        let bert = site.bert().await;
        site.suppress("gone@example.org").await;
        let own = site.fresh().await;
        let said = "Wir haben eine Frage an die neue Adresse geschickt.";
        for (address, refusal) in [("BERT%40example.org", "für ein eigenes Abonnement"), ("gone%40example.org", "dürfen wir nicht schreiben")] {
            let page = site.send(&own, &format!("do=address&address={address}")).await.text();
            assert!(page.contains(said), "the page does not tell who is known: {page}");
            let link = site.mailed(NoticeKind::ChangeAddress).await;
            assert!(site.send(&link, "do=move").await.text().contains(refusal));
        }
        assert_eq!(site.address().await.as_deref(), Some("anna@example.org"));
        assert_eq!(site.person(bert).await.address.unwrap().as_str(), "bert@example.org");
        for (typed, fault) in [("anna%40example.org", "bereits"), ("a%0D%0ABcc%3A+x%40example.org", "keine Adresse"), ("", "keine Adresse")] {
            let page = site.send(&own, &format!("do=address&address={typed}")).await.text();
            let told = page.split_once("id=\"address-fault\">").unwrap().1;
            assert!(told.split_once('<').unwrap().0.contains(fault), "{typed}: {page}");
        }
        for _ in 0..4 {
            assert!(site.send(&own, "do=address&address=third%40example.org").await.text().contains(said));
        }
        let asked = site.notices().await.iter().filter(|(kind, ..)| kind == "change_address").count();
        assert_eq!(asked, 3, "one person has three addresses asked in a day");
    }

    async fn two_people_who_move_to_the_same_address_at_once_do_not_both_get_it(db) {
        let site = Site::open(&db).await;
        let bert = site.bert().await;
        let mut links = Vec::new();
        for who in [site.anna, bert] {
            let token = Token { run: site.run, recipient: who, purpose: Purpose::Preferences };
            site.send(&format!("/p/{}", site.keys.sign(&token)), "fresh=1").await;
            let own = site.mailed(NoticeKind::FreshLink).await;
            site.send(&own, "do=address&address=both%40example.org").await;
            links.push(site.mailed(NoticeKind::ChangeAddress).await);
        }
        let (one, two) = tokio::join!(site.send(&links[0], "do=move"), site.send(&links[1], "do=move"));
        assert_eq!((one.status, two.status), (200, 200));
        let sql = "SELECT COUNT(*) FROM recipients WHERE address = 'both@example.org'";
        assert_eq!(site.store.read().await.unwrap().one::<(i64,)>(sql, vec![]).await.unwrap(), (1,));
        let told = [one.text(), two.text()].map(|page| page.contains("für ein eigenes Abonnement"));
        assert_eq!(told.into_iter().filter(|told| *told).count(), 1);
    }

    async fn leaving_while_the_address_changes_loses_neither(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        site.send(&own, "do=address&address=new%40example.org").await;
        let new = site.mailed(NoticeKind::ChangeAddress).await;
        let (left, moved) = tokio::join!(site.post(Purpose::Unsubscribe, "leave=all"), site.send(&new, "do=move"));
        assert_eq!((left.status, moved.status), (200, 200));
        assert!(site.subscribed().await.is_empty());
        assert_eq!(site.address().await.as_deref(), Some("new@example.org"));
        let mut session = site.store.read().await.unwrap();
        let entries = consents::history(&mut session, site.anna, Micros(i64::MAX)).await.unwrap();
        consent::verify(entries.iter().map(|entry| entry.entry().unwrap())).unwrap();
    }

    async fn what_others_have_set_about_a_person_goes_along_and_what_is_about_the_mailbox_does_not(db) {
        let site = Site::open(&db).await;
        for (n, (reason, goes_along)) in
            [("complaint", true), ("by the operator", true), ("bounced", false), ("unreachable", false)].iter().enumerate()
        {
            let own = site.fresh().await;
            let old = site.address().await.unwrap();
            site.send(&own, &format!("do=address&address=new{n}%40example.org")).await;
            let link = site.mailed(NoticeKind::ChangeAddress).await;
            let hash = |address: &str| Address::parse(address).unwrap().hash(&suppression_key());
            let (old, new) = (old, format!("new{n}@example.org"));
            let mut session = db.store.write().await.unwrap();
            let who = [(Address::parse(&old).unwrap(), hash(&old))];
            suppressions::add(&mut session, &who, Micros(1), reason).await.unwrap();
            session.commit().await.unwrap();
            assert!(site.send(&link, "do=move").await.text().contains("Von jetzt an schreiben wir an"), "{reason}");
            let mut session = db.store.read().await.unwrap();
            let found = suppressions::reason(&mut session, &hash(&new)).await.unwrap();
            assert_eq!(found.as_deref(), goes_along.then_some(*reason), "{reason}");
            drop(session);
            let mut session = db.store.write().await.unwrap();
            session.execute("DELETE FROM suppressions", vec![]).await.unwrap();
            session.execute("DELETE FROM notices", vec![]).await.unwrap();
            session.commit().await.unwrap();
        }
    }
}
