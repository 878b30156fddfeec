//! Mail that means no good, and mail that comes twice at once.

use colloquy::inbox::{MOST_KEPT, Taken};

use super::support::{Post, report};
use crate::support::on_both_engines;

on_both_engines! {
    async fn a_huge_mail_is_kept_in_part_and_its_report_is_read(db) {
        let mut post = Post::begin(db, 1).await;
        let to = post.mail_to("a0@example.org").return_path;
        let mut raw = report(&to, "a0@example.org", "5.1.1", "550 5.1.1 User unknown").into_bytes();
        raw.resize(MOST_KEPT + 1_000_000, b'x');
        assert_eq!(post.bring(&to, &raw).await, Taken::New);
        assert_eq!(post.bring(&to, &raw).await, Taken::Known);
        post.read_all().await;
        assert_eq!(post.effects().await, [("bounce", "dead")]);
        let sql = if post.store().kind() == colloquy::store::EngineKind::Sqlite { "SELECT size, LENGTH(raw) FROM inbound" }
            else { "SELECT size, LENGTH(raw)::BIGINT FROM inbound" };
        let sizes: (i64, i64) = post.store().read().await.unwrap().one(sql, vec![]).await.unwrap();
        assert_eq!(sizes, (raw.len() as i64, 256 << 10));
    }

    async fn bytes_without_sense_are_handled_and_kept(db) {
        let mut post = Post::begin(db, 1).await;
        let to = post.mail_to("a0@example.org").return_path;
        let nested = format!("Content-Type: multipart/mixed; boundary=a\n\n{}", "--a\nContent-Type: multipart/mixed; boundary=a\n\n".repeat(1_000));
        for raw in [&b"\0\0\0"[..], b"", b"From: \r\r\rx\r", nested.as_bytes(), &[0xff; 5_000]] {
            post.bring("", raw).await;
            post.bring(&to.replace("b-", "b-\u{0}"), raw).await;
        }
        post.read_all().await;
        let listed = post.listed().await;
        assert_eq!(listed.len(), 10);
        assert!(listed.iter().all(|mail| mail.state == "handled" && mail.effect.as_deref() == Some("nobody")), "{listed:?}");
        assert_eq!(post.suppressed().await, Vec::<String>::new());
    }

    async fn two_readers_at_once_do_what_follows_once(db) {
        let mut post = Post::begin(db, 8).await;
        for n in 0..8 {
            let name = format!("a{n}@example.org");
            let to = post.mail_to(&name).reply_to();
            post.deliver(&to, &format!("From: {name}\nTo: {to}\nSubject: Re: Hello\n\nThanks, {n}\n")).await;
        }
        let mut other = post.another_reader();
        let rules = post.rules();
        tokio::join!(post.read_all(), async { while other.step(&rules).await.unwrap() {} });
        assert_eq!((post.actions("reply").await.len(), post.open_notices().await), (8, 8));
    }
}
