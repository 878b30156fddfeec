//! Who has moved to another address is not brought back by the old one.

use colloquy::domain::consent::Salts;
use colloquy::domain::id::RecipientId;
use colloquy::domain::time::Micros;
use colloquy::store::addresses::{self, Moved};
use colloquy::store::erasure::forget_address;
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::suppressions;

use super::support::{address, find, import, key};
use crate::support::{Database, on_both_engines};

fn origin() -> Origin<'static> {
    Origin { channel: "page", run: None, at: Micros(5), salts: Salts::new(&[9; 32]), shown: None }
}

async fn move_to(db: &Database, who: RecipientId, to: &str) -> Moved {
    let mut session = db.store.write().await.unwrap();
    let moved = addresses::change(&mut session, who, (&address(to), &key()), |_| true, &origin()).await.unwrap();
    if let Moved::Done(_) = moved {
        session.commit().await.unwrap();
    }
    moved
}

async fn suppressed(db: &Database, text: &str) -> bool {
    suppressions::contains(&mut db.store.read().await.unwrap(), &address(text).hash(&key())).await.unwrap()
}

on_both_engines! {
    async fn an_import_of_the_old_address_brings_nobody_back(db) {
        let list = "address\nanna@example.org\nbert@example.org\n";
        import(&db, list).await;
        let anna = find(&db, "anna@example.org").await.unwrap().id;
        assert_eq!(move_to(&db, anna, "new@example.org").await, Moved::Done(address("anna@example.org")));
        let mut session = db.store.write().await.unwrap();
        assert_eq!(subscriptions::leave_all(&mut session, anna, &origin()).await.unwrap(), 1);
        session.commit().await.unwrap();
        let again = import(&db, list).await.tally;
        assert_eq!((again.new, again.suppressed), (0, 1));
        assert!(find(&db, "anna@example.org").await.is_none());
        assert!(!suppressed(&db, "new@example.org").await, "the person may be mailed there");

        assert!(forget_address(&db.store, &key(), &address("new@example.org"), Micros(6)).await.unwrap());
        assert_eq!(import(&db, "address\nAnna@example.org\nnew@example.org\n").await.tally.suppressed, 2);
        assert!(find(&db, "anna@example.org").await.is_none() && find(&db, "new@example.org").await.is_none());
    }

    async fn who_moves_back_may_be_mailed_there_again_unless_others_have_forbidden_it(db) {
        import(&db, "address\nanna@example.org\n").await;
        let anna = find(&db, "anna@example.org").await.unwrap().id;
        for (to, given_up) in [("new@example.org", "anna@example.org"), ("anna@example.org", "new@example.org")] {
            assert!(matches!(move_to(&db, anna, to).await, Moved::Done(_)));
            assert_eq!((suppressed(&db, to).await, suppressed(&db, given_up).await), (false, true), "{to}");
        }
        assert!(matches!(move_to(&db, anna, "Anna@example.org").await, Moved::Done(_)));
        assert!(!suppressed(&db, "anna@example.org").await, "it is the same address");
        let old = address("complained@example.org");
        let mut session = db.store.write().await.unwrap();
        suppressions::add(&mut session, &[(old.clone(), old.hash(&key()))], Micros(6), "complaint").await.unwrap();
        session.commit().await.unwrap();
        assert_eq!(move_to(&db, anna, old.as_str()).await, Moved::Suppressed);
    }
}
