//! A link scanner, as mail servers have them: it follows every link of every mail before a reader sees it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use colloquy::clock::Clock;
use colloquy::metrics::Metrics;
use colloquy::pages::{Options, Pages};
use colloquy::send::Ended;
use colloquy::store::spool::Spool;
use colloquy::track::{self, Intake, Tracker};
use colloquy::web::Limits;
use regex::Regex;
use tokio::task::JoinSet;

use crate::http::Server;
use crate::project::{Project, Settings};
use crate::support::on_both_engines;
use crate::support::{dump::dump, key_and_proxies};

const MAILS: usize = 1_000;
const MANY: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();
const TEMPLATE: &str = "<html><body><p>Hello {{first_name}}</p>\
    <a href=\"https://shop.example/run\" data-category=\"running\">Run</a> <a href=\"https://shop.example/trail\">Trail</a>\
    <a href=\"{{view_url}}\">Look</a> <a href=\"{{preferences_url}}\">Choose</a> <a href=\"{{unsubscribe_url}}\">Leave</a> <a href=\"{{keep_url}}\">Stay</a>\
    {{sender.postal_address}}</body></html>";

/// Paths under the base of links, wherever they stand in the mail.
fn links(mail: &[u8]) -> BTreeSet<String> {
    let message = mail_parser::MessageParser::default().parse(mail).unwrap();
    let header = message.header_raw("List-Unsubscribe").unwrap();
    let texts = format!("{header} {} {}", message.body_html(0).unwrap(), message.body_text(0).unwrap());
    let link = Regex::new(r#"http://127\.0\.0\.1:1(/[a-z]/[^"<>\s]+)"#).unwrap();
    link.captures_iter(&texts).map(|found| found[1].to_owned()).collect()
}

on_both_engines! {
    async fn a_scanner_that_follows_every_link_of_a_thousand_mails_changes_nothing(db) {
        let mut project = Project::new(db, Settings::default(), |_, _| None).await;
        std::fs::write(project.db.dir.path().join("templates/hello.hbs"), TEMPLATE).unwrap();
        project.import(MAILS).await;
        assert_eq!(project.send().await.1, Ended::Done);
        let mut paths = BTreeSet::new();
        while let Ok(mail) = project.caught.try_recv() {
            let found = links(&mail.message);
            let kinds: BTreeSet<_> = found.iter().map(|path| path[..3].to_owned()).collect();
            assert_eq!(kinds, ["/c/", "/k/", "/o/", "/p/", "/u/", "/v/"].map(str::to_owned).into());
            paths.extend(found);
        }
        assert!(paths.len() >= 7 * MAILS, "{} links", paths.len());

        let app = project.app();
        let keys = Arc::new(app.secrets().unwrap().keyring());
        let spool = Spool::open(&project.db.dir.path().join("spool.db")).await.unwrap();
        let (intake, _) = Intake::spawn(spool.clone(), Metrics::new());
        let pages = Pages::new(Arc::clone(&keys), key_and_proxies(), project.db.store.clone(), Clock::system(), Options::from(&app.loaded));
        let options = track::Options { trusted_proxies: Vec::new(), per_network: MANY, burst: MANY };
        let tracker = Tracker::new(keys, intake, Clock::system(), Metrics::new(), options, Some(pages));
        let server = Arc::new(Server::start(tracker, Limits::default()).await);

        let before = dump(&project.db.store).await;
        let paths: Vec<_> = paths.into_iter().collect();
        let mut scanners = JoinSet::new();
        for share in paths.chunks(paths.len().div_ceil(8)) {
            let (server, share) = (Arc::clone(&server), share.to_vec());
            scanners.spawn(async move {
                for path in share {
                    let answers = if path.starts_with("/c/") || path.starts_with("/o/") { [302, 204] } else { [200, 405] };
                    let answers = if path.starts_with("/o/") { [200, 204] } else { answers };
                    for (method, answer) in [("GET", answers[0]), ("HEAD", answers[0]), ("OPTIONS", answers[1])] {
                        let reply = server.request(method, &path, &[("User-Agent", "LinkScanner/1.0")], b"").await;
                        assert_eq!(reply.status, answer, "{method} {}", &path[..3]);
                    }
                }
            });
        }
        scanners.join_all().await;
        let after = dump(&project.db.store).await;
        assert!(before["recipients"].len() == MAILS && before["messages"].len() == MAILS);
        for (table, rows) in before {
            assert!(rows == after[&table], "{table} has changed");
        }
        assert_eq!(spool.depth().await.unwrap(), 3 * 3 * MAILS as i64, "only the hit log has grown");
    }
}
