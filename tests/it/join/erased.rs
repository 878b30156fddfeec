//! Whoever joined and is erased leaves no former address behind.

use std::time::Duration;

use colloquy::args;
use colloquy::clock;
use colloquy::domain::address::Address;
use colloquy::domain::consent::Salts;
use colloquy::domain::id::JoinId;
use colloquy::domain::shown::Request;
use colloquy::people::suppress;
use colloquy::store::EngineKind;
use colloquy::store::addresses::{self, Moved};
use colloquy::store::erasure::forget_address;
use colloquy::store::joins::{self, Confirmation, Confirmed};
use colloquy::store::subscriptions::Origin;

use super::desk::Site;
use crate::support::dump::dump;
use crate::support::{database, on_both_engines, until_somebody_waits};

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

impl Site {
    fn key(&self) -> aws_lc_rs::hmac::Key {
        self.app.secrets().unwrap().suppression_key()
    }

    async fn move_to(&self, old: &str, new: &str) {
        let (who, new) = (self.recipient(old).await.unwrap().id, address(new));
        let (at, salts) = (self.clock.now(), Salts::new(&clock::secret()));
        let origin = Origin { channel: "page", run: None, at, salts, shown: None };
        let mut session = self.store.write().await.unwrap();
        let moved = addresses::change(&mut session, who, (&new, &self.key()), |_| true, &origin).await.unwrap();
        assert_eq!(moved, Moved::Done(address(old)));
        session.commit().await.unwrap();
    }

    async fn everything(&self) -> String {
        format!("{:?}", dump(&self.store).await).to_lowercase()
    }
}

on_both_engines! {
    async fn an_address_that_was_given_up_goes_with_the_person(db) {
        let site = Site::open(db).await;
        // Anna joins, and asks for more under the same address; Bert asked before somebody else brought him in.
        for (who, topic) in [("anna@old.example", "news"), ("anna@old.example", "events"), ("bert@old.example", "news")] {
            site.pass(Duration::from_secs(3_600));
            site.join(&[("address", who), ("topic", topic)]).await;
            let (_, link) = site.mailed(who).await.unwrap();
            if (who, topic) == ("anna@old.example", "news") {
                site.post(&link, &[]).await;
            }
        }
        let sql = "INSERT INTO recipients (address, domain, address_hash, created_at) VALUES ($1, 'old.example', $2, 1)";
        let hash = address("bert@old.example").hash(&site.key());
        let mut session = site.store.write().await.unwrap();
        session.execute(sql, args!["bert@old.example", hash.as_slice()]).await.unwrap();
        session.commit().await.unwrap();
        assert!(site.everything().await.matches("@old.example").count() > 4);
        for name in ["anna", "bert"] {
            let new = format!("{name}@new.example");
            site.move_to(&format!("{name}@old.example"), &new).await;
            assert!(forget_address(&site.store, &site.key(), &address(&new), site.clock.now()).await.unwrap());
        }
        let after = site.everything().await;
        assert!(!after.contains("old.example") && !after.contains("new.example"), "{after}");
    }

    async fn a_complaint_after_the_persons_own_reason_is_not_lifted_by_joining(db) {
        let site = Site::open(db).await;
        let (anna, key) = (address("anna@example.org"), site.key());
        forget_address(&site.store, &key, &anna, site.clock.now()).await.unwrap();
        let order = suppress::Order { reason: "complaint", at: site.clock.now(), key: &key };
        assert_eq!(suppress::addresses(&site.store, &order, std::slice::from_ref(&anna)).await.unwrap(), 0);
        site.join(&[("address", anna.as_str()), ("topic", "news")]).await;
        site.post(&site.mailed(anna.as_str()).await.unwrap().1, &[]).await;
        assert_eq!((site.count("recipients").await, site.count("suppressions").await), (1, 1));
    }
}

/// On PostgreSQL the confirmation is not seen by others before it is committed.
#[tokio::test]
async fn whoever_confirms_in_the_instant_of_the_erasure_is_erased() {
    let site = Site::open(database(EngineKind::Postgres).await).await;
    site.join(&[("address", "anna@example.org"), ("topic", "news")]).await;
    let request = Request { network: "203.0.113.0/24".to_owned(), user_agent: "Firefox/1".to_owned() };
    let salts = Salts::new(&clock::secret());
    let confirmation = Confirmation { join: JoinId(1), at: site.clock.now(), request, salts };
    let mut confirming = site.store.write().await.unwrap();
    let confirmed = joins::confirm(&mut confirming, &confirmation).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Now(..)), "{confirmed:?}");
    let (anna, key) = (address("anna@example.org"), site.key());
    let confirm = async {
        until_somebody_waits(&site.store).await;
        confirming.commit().await.unwrap();
    };
    let (erased, ()) = tokio::join!(forget_address(&site.store, &key, &anna, site.clock.now()), confirm);
    assert!(erased.unwrap(), "there is somebody to be erased");
    let after = site.everything().await;
    assert!(!after.contains("anna@example.org"), "{after}");
    assert_eq!(site.count("suppressions").await, 1);
}
