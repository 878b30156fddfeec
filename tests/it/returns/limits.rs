//! A run of which too much comes back pauses itself, and so does the campaign's next one.

use colloquy::args;
use colloquy::domain::run::RunState;

use super::support::{Post, complaint, report};
use crate::support::on_both_engines;

/// Makes as many accepted messages of the run as are missing to `messages`.
async fn pad(post: &Post, messages: i64) {
    let mut tx = post.store().write().await.unwrap();
    let (have,): (i64,) = tx.one("SELECT COUNT(*) FROM messages WHERE run_id = $1", args![post.run.id]).await.unwrap();
    for n in have..messages {
        let sql = "INSERT INTO messages (run_id, recipient_id, state, at) VALUES ($1, $2, 'accepted', 0)";
        tx.execute(sql, args![post.run.id, 1_000 + n]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

on_both_engines! {
    async fn a_run_pauses_itself_when_more_than_the_configured_share_is_dead_and_says_why(db) {
        let mut post = Post::begin(db, 6).await;
        pad(&post, 100).await;
        post.change("UPDATE runs SET state = 'running'", vec![]).await;
        for n in 0..6 {
            let name = format!("a{n}@example.org");
            let to = post.mail_to(&name).return_path;
            post.deliver(&to, &report(&to, &name, "5.1.1", "550 5.1.1 User unknown")).await;
            post.read_all().await;
            let (state, reason): (String, Option<String>) = post.store().read().await.unwrap()
                .one("SELECT state, reason FROM runs", vec![]).await.unwrap();
            let expected = (n == 5).then(|| {
                "6 of 100 messages went to addresses that are dead, more than the 5% of pause_at_dead".to_owned()
            });
            assert_eq!((state.as_str(), reason), (if n == 5 { "paused" } else { "running" }, expected), "{n}");
        }
        let text = post.metrics.encode();
        assert!(text.contains(r#"colloquy_returned_total{campaign="hello",relay="catcher",domain="example.org",effect="dead"} 6"#), "{text}");
        assert!(text.contains(r#"colloquy_inbound_total{way="pipe",kind="bounce",effect="dead"} 6"#), "{text}");
    }

    async fn when_it_shows_only_after_the_end_the_next_scheduled_run_begins_paused(db) {
        let mut post = Post::begin(db, 3).await;
        pad(&post, 100).await;
        for n in 0..2 {
            let mail = post.mail_to(&format!("a{n}@example.org"));
            post.deliver("", &complaint(&mail)).await;
        }
        post.read_all().await;
        let run = post.scheduled_run().await;
        assert_eq!(run.state, RunState::Paused);
        let reason = run.reason.unwrap();
        assert_eq!(reason, "run 1, the one before: 2 of 100 messages were reported as unwanted, more than the 0.1% of pause_at_complaints");
    }
}
