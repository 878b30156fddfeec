//! Importing.

use colloquy::clock::Clock;
use colloquy::config::{self, ProjectFiles};
use colloquy::domain::consent::Salts;
use colloquy::domain::time::Micros;
use colloquy::people::import::{Options, run};
use colloquy::store::imports::Tally;
use colloquy::store::subscriptions::{self, Origin};
use colloquy::store::{consents, suppressions};
use serde_json::json;

use super::support::{address, file, find, import, import_with, key, ledger, options, project};
use crate::support::{Database, on_both_engines};

fn granted(purpose: &str, topic: &str) -> (String, String, bool) {
    (purpose.to_owned(), topic.to_owned(), true)
}

fn origin(at: i64) -> Origin<'static> {
    Origin { channel: "one-click", run: None, at: Micros(at), salts: Salts::new(&[9; 32]), shown: None }
}

async fn count(db: &Database, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    db.store.read().await.unwrap().one::<(i64,)>(sql, vec![]).await.unwrap().0
}

on_both_engines! {
    async fn people_come_in_with_typed_attributes_and_their_consent(db) {
        let csv = "\u{feff}E-Mail of the person,EMAIL,first_name,Age,birthday,member,note\r\n\
            x, Anna@B\u{fc}cher.example ,Anna,41.0,1984-02-29,yes,\"two\nlines, \"\"quoted\"\"\"\r\n\
            ,bert@example.org,,,,,\r\n";
        let summary = import_with(&db, &Options { tracking: true, ..options(file(&db, "people.csv", csv)) }).await;
        assert_eq!(summary.tally, Tally { new: 2, ..Tally::default() });
        assert_eq!(summary.rejects.rows, 0);

        let anna = find(&db, "Anna@xn--bcher-kva.example").await.unwrap();
        let expected = json!({"E-Mail of the person": "x", "first_name": "Anna", "age": 41, "birthday": "1984-02-29",
            "member": true, "note": "two\nlines, \"quoted\""});
        assert_eq!(serde_json::Value::Object(anna.attributes), expected);
        assert!(anna.tracking);
        assert!(find(&db, "bert@example.org").await.unwrap().attributes.is_empty());
        assert_eq!(ledger(&db, anna.id).await, [granted("contact", "offers"), granted("tracking", "")]);

        let mut session = db.store.read().await.unwrap();
        let entries = consents::history(&mut session, anna.id, Micros(i64::MAX)).await.unwrap();
        let payload: serde_json::Value = serde_json::from_str(entries[0].payload.as_deref().unwrap()).unwrap();
        let proof = ["address", "topic", "source", "channel", "file"].map(|k| payload[k].as_str().unwrap());
        assert_eq!(proof, ["Anna@B\u{fc}cher.example", "offers", "fair 2026", "import", "people.csv"]);
        assert_eq!(payload["line"], 2);
        assert_eq!(entries[1].payload, entries[0].payload, "one proof covers both permissions");
    }

    async fn another_spelling_of_an_address_is_the_same_person_and_revives_nobody(db) {
        assert_eq!(import(&db, "email\nAnna@example.org\nANNA@example.org\n").await.tally.new, 1);
        let anna = find(&db, "anna@example.org").await.unwrap();
        assert_eq!(anna.address.as_ref().map(|a| a.as_str().to_owned()), Some("Anna@example.org".to_owned()));
        let mut tx = db.store.write().await.unwrap();
        assert!(subscriptions::leave(&mut tx, anna.id, "offers", &origin(2)).await.unwrap());
        tx.commit().await.unwrap();
        let again = import(&db, "email\nanna@example.org\n").await;
        assert_eq!((again.tally.new, again.tally.kept_unsubscribed), (0, 1));
        let left = subscriptions::of(&mut db.store.read().await.unwrap(), anna.id).await.unwrap();
        assert!(!left[0].subscribed);
        assert_eq!(count(&db, "recipients").await, 1);
    }

    async fn bad_rows_are_kept_aside_and_the_rest_is_taken(db) {
        let csv = "email;age;birthday\n\
            good@example.org;7;2000-01-01\n\
            nobody;7;\n\
            old@example.org;old;\n\
            late@example.org;;2000-13-01\n\
            \"stray@example.org;;\n\
            short@example.org\n\
            inject@example.org\"\r\nBcc: x@example.org;1;\n\
            fine@example.org;;\n";
        let summary = import(&db, csv).await;
        assert_eq!(summary.tally, Tally { new: 2, ..Tally::default() });
        let rejected = std::fs::read_to_string(summary.rejects.file.unwrap()).unwrap();
        let lines: Vec<&str> = rejected.lines().map(|l| l.split(';').next().unwrap()).collect();
        assert_eq!(lines, ["rejected_line", "3", "4", "5", "6", "7", "8", "9"], "{rejected}");
        assert!(rejected.contains("\"age: 'old' is not a number such as 12 or 3.5\";old@example.org;old;\n"));
        assert!(find(&db, "fine@example.org").await.is_some());
    }

    async fn a_repaired_file_of_rejects_can_be_imported_as_it_is(db) {
        let mut rejects = import(&db, "email,age\nanna@example.org,x\n").await.rejects;
        // Repaired for a part only, it is rejected again.
        for (wrong, mended) in [(",x\n", ",y\n"), (",y\n", ",30\n")] {
            assert_eq!(rejects.rows, 1);
            let repaired = std::fs::read_to_string(rejects.file.unwrap()).unwrap().replace(wrong, mended);
            rejects = import(&db, &repaired).await.rejects;
        }
        assert_eq!(rejects.rows, 0);
        let anna = find(&db, "anna@example.org").await.unwrap();
        assert_eq!(serde_json::Value::Object(anna.attributes), json!({"age": 30}));
    }

    async fn rows_for_one_address_are_merged_and_the_later_wins(db) {
        let csv = "address,first_name,city\na@example.org,Ann,Bern\na@EXAMPLE.org.,Anna,\na@example.org,,Chur\n";
        let summary = import(&db, csv).await;
        assert_eq!(summary.tally, Tally { new: 1, duplicates: 2, ..Tally::default() });
        let anna = find(&db, "a@example.org").await.unwrap();
        assert_eq!(serde_json::Value::Object(anna.attributes), json!({"first_name": "Anna", "city": "Chur"}));
        assert_eq!(ledger(&db, anna.id).await.len(), 1);
    }

    async fn an_address_that_comes_again_far_down_the_file_is_a_duplicate(db) {
        let mut csv = String::from("address,n\nfirst@example.org,1\n");
        for n in 0..5_000 {
            csv += &format!("p{n}@example.org,{n}\n");
        }
        csv += "first@example.org,2\n";
        let summary = import(&db, &csv).await;
        assert_eq!(summary.tally, Tally { new: 5_001, duplicates: 1, ..Tally::default() });
        assert_eq!(find(&db, "first@example.org").await.unwrap().attributes["n"], "2");
        assert_eq!(count(&db, "consents").await, 5_001);
    }

    async fn importing_again_renews_attributes_and_repeats_nothing_else(db) {
        import(&db, "address,city,age\na@example.org,Bern,30\nb@example.org,Chur,1e3\n").await;
        let again = import(&db, "address,city,age\na@example.org,,31\nb@example.org,Chur,1000\nc@example.org,,\n").await;
        assert_eq!(again.tally, Tally { new: 1, updated: 1, unchanged: 1, ..Tally::default() });
        let anna = find(&db, "a@example.org").await.unwrap();
        assert_eq!(serde_json::Value::Object(anna.attributes), json!({"city": "Bern", "age": 31}));
        assert_eq!(ledger(&db, anna.id).await.len(), 1);
    }

    async fn an_import_that_was_killed_can_be_run_again(db) {
        let rows: Vec<String> = (0..10_000).map(|n| format!("p{n}@example.org,{n}\n")).collect();
        let whole = format!("address,n\n{}", rows.concat());
        // A killed import leaves whole batches, which is the file's beginning.
        import(&db, &format!("address,n\n{}", rows[..8_192].concat())).await;
        let again = import(&db, &whole).await;
        assert_eq!(again.tally, Tally { new: 1_808, unchanged: 8_192, ..Tally::default() });
        for table in ["recipients", "subscriptions", "consents"] {
            assert_eq!(count(&db, table).await, 10_000, "{table}");
        }
    }

    async fn whoever_left_is_not_brought_back(db) {
        let csv = "address,city\na@example.org,Bern\nb@example.org,Bern\n";
        import(&db, csv).await;
        let (a, b) = (find(&db, "a@example.org").await.unwrap().id, find(&db, "b@example.org").await.unwrap().id);
        let mut session = db.store.write().await.unwrap();
        subscriptions::leave(&mut session, a, "offers", &origin(5)).await.unwrap();
        subscriptions::set_tracking(&mut session, b, true, &origin(6)).await.unwrap();
        subscriptions::set_tracking(&mut session, b, false, &origin(7)).await.unwrap();
        session.commit().await.unwrap();

        let csv = csv.replace("Bern", "Chur");
        for topic in ["offers", "news"] {
            let again = Options { tracking: true, topic: topic.into(), ..options(file(&db, "people.csv", &csv)) };
            assert_eq!(import_with(&db, &again).await.tally.kept_unsubscribed, 1, "{topic}");
        }
        let mut session = db.store.read().await.unwrap();
        let topics = subscriptions::of(&mut session, a).await.unwrap();
        assert_eq!(topics.iter().map(|s| (s.topic.as_str(), s.subscribed)).collect::<Vec<_>>(), [("offers", false)]);
        let anna = find(&db, "a@example.org").await.unwrap();
        assert_eq!((anna.tracking, &anna.attributes["city"]), (false, &json!("Chur")));
        assert!(!find(&db, "b@example.org").await.unwrap().tracking);
        let bert = ledger(&db, b).await;
        assert_eq!(bert.last().unwrap(), &granted("contact", "news"));
        assert_eq!(bert.len(), 4);
    }

    async fn a_suppressed_address_is_not_taken_in(db) {
        import(&db, "address,city\nold@example.org,Bern\n").await;
        let suppressed: Vec<_> = ["old@example.org", "new@example.org", "other@example.org"]
            .map(|a| (address(a), address(a).hash(&key())))
            .into();
        let mut session = db.store.write().await.unwrap();
        suppressions::add(&mut session, &suppressed, Micros(1), "asked").await.unwrap();
        session.commit().await.unwrap();

        let csv = file(&db, "people.csv", "address,city\nold@example.org,Chur\nNEW@example.org,\nok@example.org,\n");
        let summary = import_with(&db, &Options { topic: "news".into(), ..options(csv) }).await;
        assert_eq!(summary.tally, Tally { new: 1, suppressed: 2, ..Tally::default() });
        assert!(find(&db, "NEW@example.org").await.is_none());
        let old = find(&db, "old@example.org").await.unwrap();
        assert_eq!(old.attributes["city"], "Chur");
        assert_eq!(ledger(&db, old.id).await, [granted("contact", "offers")]);
    }

    async fn a_suppressed_address_is_not_among_the_first_people(db) {
        let mut session = db.store.write().await.unwrap();
        let gone = address("gone@example.org");
        suppressions::add(&mut session, &[(gone.clone(), gone.hash(&key()))], Micros(1), "asked").await.unwrap();
        session.commit().await.unwrap();
        let summary = import(&db, "address\ngone@example.org\nok@example.org\n").await;
        assert_eq!(summary.tally, Tally { new: 1, suppressed: 1, ..Tally::default() });
        assert!(find(&db, "gone@example.org").await.is_none());
    }

    async fn a_second_topic_adds_to_the_chain(db) {
        let csv = file(&db, "people.csv", "address\na@example.org\nb@example.org\nc@example.org\n");
        import_with(&db, &options(csv.clone())).await;
        let more = Options { topic: "news".into(), tracking: true, ..options(csv) };
        assert_eq!(import_with(&db, &more).await.tally, Tally { updated: 3, ..Tally::default() });
        for who in ["a@example.org", "b@example.org", "c@example.org"] {
            let id = find(&db, who).await.unwrap().id;
            let expected = [granted("contact", "offers"), granted("contact", "news"), granted("tracking", "")];
            assert_eq!(ledger(&db, id).await, expected);
        }
    }

    async fn a_trial_run_tells_and_writes_nothing(db) {
        let csv = file(&db, "people.csv", "address\na@example.org\nnobody\n");
        let summary = import_with(&db, &Options { dry_run: true, ..options(csv) }).await;
        assert_eq!((summary.tally.new, summary.rejects.rows), (1, 1));
        assert_eq!(count(&db, "recipients").await, 0);
    }

    async fn progress_ends_at_the_size_of_the_file(db) {
        let csv = "address\n".to_owned() + &(0..6_000).map(|n| format!("p{n}@example.org\n")).collect::<String>();
        let options = options(file(&db, "people.csv", &csv));
        let mut seen = Vec::new();
        run(&db.store, &project(), &key(), &Clock::system(), &options, |p| seen.push((p.rows, p.octets))).await.unwrap();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen.last(), Some(&(6_000, csv.len() as u64)));
    }
}

const DECLARING: &str = "[sender]\nfrom = \"Alpenlauf <news@alpenlauf.example>\"\n\
    [web]\nbase_url = \"https://t.alpenlauf.example\"\n[[relay]]\nname = \"main\"\nurl = \"file:outbox\"\n\
    [topics.offers]\ntitle = \"Offers\"\n";

#[tokio::test]
async fn a_column_named_as_what_templates_know_is_refused_as_its_declaration_is() {
    let db = crate::support::database(colloquy::store::EngineKind::Sqlite).await;
    let urls = ["keep_url", "preferences_url", "unsubscribe_url", "view_url"];
    for name in ["cluster", "score", "sender"].into_iter().chain(urls) {
        let options = options(file(&db, "people.csv", format!("address,city,{name}\n")));
        let error =
            run(&db.store, &project(), &key(), &Clock::system(), &options, |_| ()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("people.csv:1: column 3: `{name}` is built in")), "{error}");
        assert!(error.contains("rename the column"), "{error}");
        let declared = format!("{DECLARING}[attributes.{name}]\ntype = \"text\"\n");
        let files = ProjectFiles::Frozen([("config/colloquy.toml".to_owned(), declared)].into());
        let Err(problems) = config::load(&files) else { panic!("it is refused") };
        assert!(problems.0.iter().any(|p| p.message.starts_with(&format!("`{name}` is built in"))), "{problems:?}");
    }
}

/// Two imports of the same new people at the same time: nobody comes in twice, and neither fails.
#[tokio::test]
async fn two_imports_at_once_take_everybody_in_once() {
    let db = crate::support::database(colloquy::store::EngineKind::Postgres).await;
    let csv = "address\n".to_owned() + &(0..3_000).map(|n| format!("p{n}@example.org\n")).collect::<String>();
    let backwards =
        "address\n".to_owned() + &(0..3_000).rev().map(|n| format!("p{n}@example.org\n")).collect::<String>();
    let (one, other) = (options(file(&db, "a.csv", &csv)), options(file(&db, "b.csv", &backwards)));
    let (one, other) = tokio::join!(import_with(&db, &one), import_with(&db, &other));
    assert_eq!(one.tally.new + other.tally.new, 3_000);
    assert_eq!(count(&db, "recipients").await, 3_000);
    assert_eq!(count(&db, "consents").await, 3_000);
}
