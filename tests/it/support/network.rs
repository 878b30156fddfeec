//! A network of its own, for processes that lose sight of the database. It takes root.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use rand::RngExt as _;
use tokio::process::Command;

/// How the way to the database is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The nodes' own interface is down, and they are told so at once.
    Down,
    /// What nodes say does not arrive, and nobody is told.
    Asking,
    /// What the database says does not arrive.
    Answers,
    /// Neither does.
    Both,
}

impl Cut {
    pub const ALL: [Self; 4] = [Self::Down, Self::Asking, Self::Answers, Self::Both];
}

/// A network namespace with two links out of it, one to the database and one for everything else; gone with its value.
pub struct Network {
    name: String,
    /// The first three numbers of all addresses.
    block: [u8; 3],
}

/// Nobody has this one, so what is sent there is lost.
const NOBODY: &str = "02:00:00:00:00:01";

impl Network {
    pub async fn lay() -> Self {
        let mut random = colloquy::clock::random();
        let block = [10, random.random_range(100..250), random.random_range(0..250)];
        let network = Self { name: format!("cq{}", random.random_range(0..1_000_000)), block };
        let name = network.name.as_str();
        network.ip(["netns", "add", name]).await;
        for (link, outside) in [("d", 1), ("w", 5)] {
            let (out, inside) = (format!("{name}{link}"), format!("{link}0"));
            network.ip(["link", "add", &out, "type", "veth", "peer", "name", &inside, "netns", name]).await;
            let addresses = [outside, outside + 1].map(|last| format!("{}/30", network.address(last)));
            network.ip(["addr", "add", &addresses[0], "dev", &out]).await;
            network.ip(["link", "set", &out, "up"]).await;
            network.ip(["-n", name, "addr", "add", &addresses[1], "dev", &inside]).await;
            network.ip(["-n", name, "link", "set", &inside, "up"]).await;
        }
        network.ip(["-n", name, "link", "set", "lo", "up"]).await;
        network
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.block;
        Ipv4Addr::new(a, b, c, last)
    }

    /// Where both see the database.
    pub fn database(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// As whom the database sees those inside.
    pub fn inside(&self) -> Ipv4Addr {
        self.address(2)
    }

    /// Where both see a relay.
    pub fn relay(&self) -> SocketAddr {
        (self.address(5), 0).into()
    }

    /// Where readers reach those inside.
    pub fn web(&self) -> SocketAddr {
        (self.address(6), 8_080).into()
    }

    /// A command that runs inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Cuts the link to the database for as long as this takes.
    pub async fn cut<T>(&self, cut: Cut, meanwhile: impl Future<Output = T>) -> T {
        self.turn(cut, "down", "replace").await;
        let came = meanwhile.await;
        self.turn(cut, "up", "del").await;
        came
    }

    /// Turns the interface of those inside up or down, or replaces or deletes what they or the database know of each other.
    async fn turn(&self, cut: Cut, interface: &str, neighbour: &str) {
        let (name, out) = (self.name.as_str(), format!("{}d", self.name));
        let (theirs, ours) = (self.address(1).to_string(), self.address(2).to_string());
        if cut == Cut::Down {
            self.ip(["-n", name, "link", "set", "d0", interface]).await;
        }
        if matches!(cut, Cut::Asking | Cut::Both) {
            self.ip(["-n", name, "neigh", neighbour, &theirs, "lladdr", NOBODY, "dev", "d0", "nud", "permanent"]).await;
        }
        if matches!(cut, Cut::Answers | Cut::Both) {
            self.ip(["neigh", neighbour, &ours, "lladdr", NOBODY, "dev", &out, "nud", "permanent"]).await;
        }
    }

    async fn ip<const N: usize>(&self, words: [&str; N]) {
        let done = Command::new("ip").args(words).status().await.expect("iproute2 is installed by scripts/setup");
        assert!(done.success(), "only root may lay a network and cut it: ip {words:?}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for link in ["d", "w"].map(|link| format!("{}{link}", self.name)) {
            remove(&["link", "del", &link]);
        }
        remove(&["netns", "del", &self.name]);
    }
}

fn remove(words: &[&str]) {
    let _ = std::process::Command::new("ip").args(words).stderr(Stdio::null()).status();
}
