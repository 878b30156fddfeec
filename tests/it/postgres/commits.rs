//! Commits that never arrive, and commits whose answer never does: nobody can tell one from the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{at, counter, holds};
use crate::project::{Project, Settings};
use crate::support::cluster::Cluster;
use crate::support::process::Process;

const PEOPLE: usize = 600;
/// The message of PostgreSQL's protocol that asks for a commit.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// What became of the commits that went through a line.
#[derive(Default)]
struct Line {
    commits: AtomicUsize,
    lost: AtomicUsize,
    swallowed: AtomicUsize,
}

impl Line {
    /// Passes on what is said in both directions. Once mails leave, of ten commits one is cut off before it arrives, and
    /// one before its answer does.
    async fn carry(&self, mut client: TcpStream, mut server: TcpStream, taken: &AtomicUsize) -> std::io::Result<()> {
        let (mut said, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            tokio::select! {
                n = client.read(&mut said) => {
                    let said = &said[..n?];
                    let counts = said.ends_with(COMMIT) && taken.load(Ordering::SeqCst) > 0;
                    let nth = if counts { self.commits.fetch_add(1, Ordering::SeqCst) } else { 0 };
                    match nth % 10 {
                        _ if said.is_empty() => return Ok(()),
                        3 => {
                            self.lost.fetch_add(1, Ordering::SeqCst);
                            return Ok(());
                        }
                        7 => {
                            server.write_all(said).await?;
                            let answers = server.read(&mut answered).await?.min(1);
                            self.swallowed.fetch_add(answers, Ordering::SeqCst);
                            return Ok(());
                        }
                        _ => server.write_all(said).await?,
                    }
                }
                n = server.read(&mut answered) => match n? {
                    0 => return Ok(()),
                    n => client.write_all(&answered[..n]).await?,
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_lost_commit_took_is_found_out_and_nobody_is_mailed_twice() {
    let cluster = Cluster::start();
    cluster.create("shop").await;
    let (taken, script) = counter();
    let settings = Settings { relay: "connections = 4\nrate = \"300/s\"", ..Settings::default() };
    let mut project = Project::new(at(&cluster.url("shop"), None).await, settings, script).await;
    project.import(PEOPLE).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let line = Arc::new(Line::default());
    tokio::spawn({
        let (line, server) = (Arc::clone(&line), cluster.port);
        async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (line, taken) = (Arc::clone(&line), Arc::clone(&taken));
                tokio::spawn(async move { line.carry(client, server, &taken).await });
            }
        }
    });
    let file = project.db.dir.path().join("config/colloquy.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace(&format!(":{}/shop", cluster.port), &format!(":{port}/shop"))).unwrap();

    assert_eq!(Process::start(project.db.dir.path(), &["send", "hello"]).end().await, 0);
    let (lost, swallowed) = (line.lost.load(Ordering::SeqCst), line.swallowed.load(Ordering::SeqCst));
    assert!(lost > 2 && swallowed > 2, "{lost} lost, {swallowed} swallowed");
    holds(&mut project, PEOPLE, 0).await;
}
