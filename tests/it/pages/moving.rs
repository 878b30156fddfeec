//! A change of address, and what the old mailbox can still do.

use std::time::Duration;

use colloquy::domain::address::Address;
use colloquy::domain::id::NodeId;
use colloquy::domain::notice::NoticeKind;
use colloquy::store::addresses::{self, Moved};
use colloquy::store::notices::{self, Stamp};

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
}
