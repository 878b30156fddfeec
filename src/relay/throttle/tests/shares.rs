//! Several nodes under one limit, which come, go, and lose sight of the database while they send on.

use super::*;
use crate::domain::share::Share;

/// A node renews its part so often,
const BEAT: Duration = SECOND;
/// uses it for so long,
const HOLDS: Duration = Duration::from_secs(7);
/// and is buried after so long.
const DEAD: Duration = Duration::from_secs(8);

/// What the database knows of a node, and the node itself.
struct Node {
    number: usize,
    share: Share,
    beat: Instant,
    throttle: Arc<Throttle>,
    alone: bool,
    sees_database: bool,
    /// Ends with it.
    work: tokio::task::JoinHandle<()>,
}

struct Nodes {
    limit: Rate,
    nodes: Vec<Node>,
    /// Nodes that are buried and do not know it.
    ghosts: Vec<Node>,
    came: usize,
    times: Arc<Mutex<Vec<Instant>>>,
}

impl Nodes {
    fn new(limit: Rate) -> Self {
        Self { limit, nodes: Vec::new(), ghosts: Vec::new(), came: 0, times: Arc::default() }
    }

    fn join(&mut self) {
        let throttle = throttle(Some(self.limit), None);
        throttle.set_share(Share::NONE, Instant::now(), true);
        self.came += 1;
        let work = tokio::spawn(send(Arc::clone(&throttle), Arc::clone(&self.times)));
        self.nodes.push(Node {
            number: self.came,
            share: Share::NONE,
            beat: Instant::now(),
            throttle,
            alone: self.nodes.is_empty() && self.ghosts.is_empty(),
            sees_database: true,
            work,
        });
    }

    /// A node that stops in order.
    fn leave(&mut self, place: usize) {
        self.nodes.remove(place).work.abort();
    }

    /// All nodes that see the database renew their parts.
    fn beat(&mut self) {
        for place in 0..self.nodes.len() {
            if place < self.nodes.len() && self.nodes[place].sees_database {
                let number = self.nodes[place].number;
                let now = Instant::now();
                let (dead, living) = std::mem::take(&mut self.nodes)
                    .into_iter()
                    .partition(|node| node.number != number && now - node.beat >= DEAD);
                self.nodes = living;
                self.ghosts.extend::<Vec<_>>(dead);
                let place = self.nodes.iter().position(|node| node.number == number).unwrap();
                let others: Vec<_> =
                    self.nodes.iter().filter(|node| node.number != number).map(|node| node.share).collect();
                let share = Share::renewed(place, self.nodes.len(), &others);
                let node = &mut self.nodes[place];
                node.alone &= others.is_empty();
                (node.share, node.beat) = (share, now);
                node.throttle.set_share(share, now + HOLDS, node.alone);
            }
        }
    }
}

/// Hands over without a pause what may pass.
async fn send(throttle: Arc<Throttle>, times: Arc<Mutex<Vec<Instant>>>) {
    loop {
        match throttle.try_admit(to("example.org")) {
            Ok(_) => times.lock().unwrap().push(Instant::now()),
            Err(Hold::Until(again)) => tokio::time::sleep_until(again).await,
            Err(Hold::Freed | Hold::Spent) => sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_come_and_go_keep_a_limit_together_in_every_window() {
    for seed in 0..9 {
        let mut random = SmallRng::seed_from_u64(seed);
        let limit = rate(random.random_range(1..200), if seed % 3 == 0 { MINUTE } else { SECOND });
        let mut nodes = Nodes::new(limit);
        nodes.join();
        for _ in 0..250 {
            match random.random_range(0..30) {
                0..2 if nodes.nodes.len() < 5 => nodes.join(),
                2 if nodes.nodes.len() > 1 => nodes.leave(random.random_range(0..nodes.nodes.len())),
                3 if nodes.nodes.len() > 1 => {
                    let place = random.random_range(0..nodes.nodes.len());
                    nodes.nodes[place].sees_database = false;
                }
                _ => {}
            }
            nodes.beat();
            sleep(BEAT.mul_f64(random.random_range(0.9..1.1))).await;
        }
        let times = std::mem::take(&mut *nodes.times.lock().unwrap());
        nodes.nodes.iter().chain(&nodes.ghosts).for_each(|node| node.work.abort());
        for window in [limit.per, MINUTE] {
            let allowed = f64::from(limit.count) * window.as_secs_f64() / limit.per.as_secs_f64();
            let most = fullest(&times, window);
            let spare = if window < MINUTE { 1.05 } else { 1.0 };
            assert!(most as f64 <= (allowed * spare).floor(), "{most} in {window:?} of {limit:?}, seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_a_limit_is_used_once_each_node_knows_of_the_others() {
    for (limit, count) in [(rate(50, SECOND), 3), (rate(7, SECOND), 4), (rate(2, SECOND), 3), (rate(120, MINUTE), 2)] {
        let mut nodes = Nodes::new(limit);
        (0..count).for_each(|_| nodes.join());
        for second in 0..140 {
            if second == 80 {
                nodes.times.lock().unwrap().clear();
            }
            nodes.beat();
            sleep(BEAT).await;
        }
        nodes.nodes.iter().for_each(|node| node.work.abort());
        let used = nodes.times.lock().unwrap().len() as f64 / (limit.per_second() * 60.0);
        assert!((0.93..=1.0).contains(&used), "{used} of {limit:?} by {count} nodes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_part_lets_nothing_pass_and_begins_when_it_is_renewed() {
    let throttle = throttle(Some(rate(50, SECOND)), None);
    let freed = throttle.freed("main");
    throttle.set_share(Share::NONE, Instant::now(), true);
    assert_eq!(throttle.try_admit(to("example.org")).err(), Some(Hold::Freed));
    assert!(!throttle.shares_in("main"));
    let before = freed.times();
    throttle.set_share(Share::WHOLE, Instant::now() + HOLDS, true);
    assert!(freed.times() > before && throttle.shares_in("main"));
    assert_eq!(ask(&throttle, to("example.org")), Ok(()), "whoever is alone need not wait");
    sleep(HOLDS).await;
    assert_eq!(throttle.try_admit(to("example.org")).err(), Some(Hold::Freed), "it was not renewed");
    throttle.set_share(Share::WHOLE, Instant::now() + HOLDS, true);
    assert_eq!(ask(&throttle, to("example.org")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_is_nobodys_part_of_a_domain_goes_back_to_be_claimed_by_others() {
    let throttle = throttle(Some(rate(50, SECOND)), Some(rate(1, SECOND)));
    throttle.set_campaign("spring", Some(rate(30, SECOND)));
    let second = Share::renewed(1, 2, &[]);
    throttle.set_share(second, Instant::now() + HOLDS, true);
    assert_eq!(throttle.relay_rate("main"), Some(rate(25, SECOND)));
    assert_eq!(throttle.campaign_rate("spring"), Some(rate(15, SECOND)));
    assert_eq!(throttle.domain_rate("main", "example.org"), Some(rate(0, SECOND)));
    assert_eq!(throttle.try_admit(to("example.org")).err(), Some(Hold::Spent));
}
