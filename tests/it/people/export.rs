//! Exporting.

use colloquy::domain::consent::Salts;
use colloquy::domain::time::Micros;
use colloquy::people::export::export;
use colloquy::store::subscriptions::{self, Origin};

use super::support::{file, find, import, import_with, options};
use crate::support::{Database, on_both_engines};

async fn csv(db: &Database, topic: Option<&str>) -> String {
    let mut out = Vec::new();
    export(&db.store, topic, &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

on_both_engines! {
    async fn what_is_exported_imports_as_it_was(db) {
        import(&db, "email,age,first_name,member\nanna@example.org,41.5,\"A \"\"x\"\",\nB\",yes\n").await;
        import(&db, "email,city\nbert@example.org,Chur\n").await;
        let exported = csv(&db, None).await;
        let expected = "address,age,city,first_name,member\n\
            anna@example.org,41.5,,\"A \"\"x\"\",\nB\",true\nbert@example.org,,Chur,,\n";
        assert_eq!(exported, expected);
        let again = import_with(&db, &options(file(&db, "again.csv", exported))).await;
        assert_eq!((again.tally.unchanged, again.rejects.rows), (2, 0));
    }

    async fn the_export_of_a_topic_holds_its_subscribers(db) {
        let rows: String = (0..2_500).map(|n| format!("p{n}@example.org\n")).collect();
        import(&db, &format!("email\n{rows}")).await;
        let gone = find(&db, "p7@example.org").await.unwrap().id;
        let mut session = db.store.write().await.unwrap();
        let origin = Origin { channel: "page", run: None, at: Micros(1), salts: Salts::new(&[0; 32]), shown: None };
        subscriptions::leave(&mut session, gone, "offers", &origin).await.unwrap();
        session.commit().await.unwrap();
        let exported = csv(&db, Some("offers")).await;
        assert_eq!(exported.lines().count(), 2_500);
        assert!(!exported.contains("p7@example.org"));
        assert_eq!(csv(&db, Some("news")).await, "address\n");
    }
}
