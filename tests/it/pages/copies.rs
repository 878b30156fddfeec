//! Copies of everything, for readers who do not take them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// Copies that are in memory at once.
const AT_ONCE: usize = 8;

on_both_engines! {
    async fn no_more_copies_are_in_memory_than_may_be_however_slowly_they_are_read(db) {
        let site = Site::open(&db).await;
        let own = site.fresh().await;
        let mut session = db.store.write().await.unwrap();
        let sql = match session.kind() {
            EngineKind::Sqlite => "UPDATE recipients SET attributes = $1 WHERE id = $2",
            EngineKind::Postgres => "UPDATE recipients SET attributes = CAST($1 AS jsonb) WHERE id = $2",
        };
        // More than the kernel keeps for both ends of a connection.
        let attributes = serde_json::json!({"life": "x".repeat(16 * 1_024 * 1_024)}).to_string();
        session.execute(sql, args![attributes, site.anna]).await.unwrap();
        session.commit().await.unwrap();

        let mut slow = Vec::new();
        for _ in 0..AT_ONCE {
            let mut stream = TcpStream::connect(site.server.address).await.unwrap();
            stream.write_all(format!("GET {own}/data.json HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).await.unwrap();
            let mut head = [0; 15];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK");
            slow.push(stream);
        }
        let refused = site.server.get(&format!("{own}/data.csv")).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
        assert!(refused.text().contains("Einen Augenblick, bitte"), "{}", refused.text());
        drop(slow.pop());
        let copy = site.server.get(&format!("{own}/data.json")).await;
        assert_eq!((copy.status, copy.body.len() > 16 * 1_024 * 1_024), (200, true));
    }
}
