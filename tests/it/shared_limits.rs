//! Domains that share a mail host share limits: over real SMTP, and a name server that speaks DNS.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use colloquy::demo::catcher::{Act, Step};
use colloquy::domain::message::MessageState;
use colloquy::send::Ended;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::project::{Project, Settings, shared};
use crate::support::on_both_engines;

/// A name server on loopback that knows mail hosts by domain (RFC 1035 §4), and says SERVFAIL for the
/// rest. Gone with the guard.
async fn name_server(hosts: &'static [(&'static str, &'static str)]) -> (SocketAddr, DropGuard) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let stop = CancellationToken::new();
    let over = stop.clone();
    tokio::spawn(async move {
        let hosts: HashMap<&str, &str> = hosts.iter().copied().collect();
        let mut query = [0; 1_500];
        while let Some(Ok((length, peer))) = over.run_until_cancelled(socket.recv_from(&mut query)).await {
            let answer = answer(&query[..length], &hosts);
            let _ = socket.send_to(&answer, peer).await;
        }
    });
    (address, stop.drop_guard())
}

fn answer(query: &[u8], hosts: &HashMap<&str, &str>) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut place = 12;
    while query[place] > 0 {
        let end = place + 1 + usize::from(query[place]);
        labels.push(String::from_utf8_lossy(&query[place + 1..end]).to_ascii_lowercase());
        place = end;
    }
    let question = &query[12..place + 5];
    let host = hosts.get(labels.join(".").as_str());
    // The question's number; an answer, recursion available; SERVFAIL where nothing is known.
    let mut answer = [&query[..2], &[0x85, if host.is_some() { 0x80 } else { 0x82 }]].concat();
    answer.extend([0, 1, 0, u8::from(host.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(host) = host {
        let mut name: Vec<u8> = host.split('.').flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat()).collect();
        name.push(0);
        // The same name, MX, IN, five minutes, preference 10.
        answer.extend([0xc0, 12, 0, 15, 0, 1, 0, 0, 1, 44, 0, name.len() as u8 + 2, 0, 10]);
        answer.extend(name);
    }
    answer
}

/// Counts how many messages are in hand over at once, and never refuses.
fn counting(most: std::sync::Arc<AtomicUsize>) -> impl Fn(Step, &str) -> Option<Act> + Send + Sync + 'static {
    let now = AtomicUsize::new(0);
    move |step, _: &str| {
        if step == Step::Rcpt {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        } else if step == Step::Dot {
            now.fetch_sub(1, Ordering::SeqCst);
        }
        None
    }
}

on_both_engines! {
    async fn domains_with_one_mail_host_share_a_limit(db) {
        let known = &[("a.example", "MX.Big.example"), ("b.example", "mx.big.example"), ("c.example", "mx.big.example")];
        let (dns, _server) = name_server(known).await;
        let (most, in_script) = shared(AtomicUsize::new(0));
        let relay = format!(
            "connections = 8\nshare_limits_by_mx = true\n[relay.connections_per_domain]\ndefault = 2\n\
             [dns]\nservers = [\"{dns}\"]"
        );
        let mut project = Project::new(db, Settings { relay: &relay, ..Settings::default() }, counting(in_script)).await;
        project.import_addresses((0..300).map(|n| format!("a{n}@{}.example", ["a", "b", "c"][n % 3]))).await;
        let (run, ended) = project.send().await;
        assert_eq!((ended, most.load(Ordering::SeqCst)), (Ended::Done, 2));
        assert_eq!(project.count(&run, MessageState::Accepted).await, 300);
        assert_eq!(project.drain().len(), 300);
    }

    async fn a_group_that_the_file_names_has_domains_and_hosts_and_limits_of_its_own(db) {
        let (dns, _server) = name_server(&[("b.example", "mx7.big.example"), ("free.example", "mx.free.example")]).await;
        let (most, in_script) = shared(AtomicUsize::new(0));
        let relay = format!(
            "connections = 8\n[relay.connections_per_domain]\ndefault = 1\n\
             [relay.group.big]\nmx = [\"*.big.example\"]\ndomains = [\"a.example\"]\nconnections = 3\n\
             [dns]\nservers = [\"{dns}\"]"
        );
        let mut project = Project::new(db, Settings { relay: &relay, ..Settings::default() }, counting(in_script)).await;
        project.import_addresses((0..300).map(|n| format!("a{n}@{}.example", ["a", "b"][n % 2]))).await;
        let (_, ended) = project.send().await;
        assert_eq!((ended, most.load(Ordering::SeqCst)), (Ended::Done, 3));
        assert_eq!(project.drain().len(), 300);
    }

    async fn where_nothing_can_be_looked_up_each_domain_stands_for_itself(db) {
        let (dns, server) = name_server(&[]).await;
        drop(server);
        let (most, in_script) = shared(AtomicUsize::new(0));
        let relay = format!(
            "connections = 8\nshare_limits_by_mx = true\n[relay.connections_per_domain]\ndefault = 1\n\
             [dns]\nservers = [\"{dns}\"]"
        );
        let mut project = Project::new(db, Settings { relay: &relay, ..Settings::default() }, counting(in_script)).await;
        project.import_addresses((0..60).map(|n| format!("a{n}@{}.example", ["a", "b"][n % 2]))).await;
        let (_, ended) = project.send().await;
        assert_eq!(ended, Ended::Done);
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert_eq!(project.drain().len(), 60);
    }
}
