//! On tokio's paused clock, whose timers have the millisecond granularity of the real ones.

mod amounts;
mod shares;

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use super::*;
use crate::domain::relay::RelayUrl;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn rate(count: u32, per: Duration) -> Rate {
    Rate { count, per }
}

fn relay(total: Option<Rate>, domain: Option<Rate>) -> RelayConfig {
    RelayConfig {
        rate: total,
        per_domain_default: domain,
        per_domain: BTreeMap::from([("slow.example".to_owned(), rate(1, SECOND))]),
        ..RelayConfig::new("main", RelayUrl::File("outbox".into()))
    }
}

fn throttle(total: Option<Rate>, domain: Option<Rate>) -> Arc<Throttle> {
    let throttle = Arc::new(Throttle::new());
    throttle.set_relay(&relay(total, domain));
    throttle
}

fn to(domain: &str) -> Passage<'_> {
    Passage { relay: "main", domain, campaign: Some("spring") }
}

/// Lets a message pass and be handed over at once, or says when to ask again.
fn ask(throttle: &Arc<Throttle>, passage: Passage<'_>) -> Result<(), Instant> {
    match throttle.try_admit(passage) {
        Ok(pass) => {
            drop(pass);
            Ok(())
        }
        Err(Hold::Until(again)) => Err(again),
        Err(hold) => panic!("{hold:?}"),
    }
}

/// Waits until one message passes.
async fn admit(throttle: &Arc<Throttle>, passage: Passage<'_>) {
    while let Err(again) = ask(throttle, passage) {
        tokio::time::sleep_until(again).await;
    }
}

/// The most that any half-open window of this length holds.
fn fullest(times: &[Instant], window: Duration) -> usize {
    let mut from = 0;
    let mut most = 0;
    for (to, time) in times.iter().enumerate() {
        while *time - times[from] >= window {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most
}

/// Lets workers send without a pause until `duration` has passed; says when each message passed.
async fn busy(throttle: &Arc<Throttle>, workers: usize, duration: Duration) -> Vec<Instant> {
    let end = Instant::now() + duration;
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let throttle = Arc::clone(throttle);
            tokio::spawn(async move {
                let mut times = Vec::new();
                while tokio::time::timeout_at(end, admit(&throttle, to("example.org"))).await.is_ok() {
                    times.push(Instant::now());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort();
    times
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_never_exceeded_and_nearly_all_of_it_is_used() {
    for (limit, seconds) in [
        (rate(1, SECOND), 300),
        (rate(3, SECOND), 300),
        (rate(10, SECOND), 120),
        (rate(20, SECOND), 60),
        (rate(33, SECOND), 60),
        (rate(50, SECOND), 60),
        (rate(200, SECOND), 20),
        (rate(1_000, SECOND), 10),
        (rate(30, MINUTE), 1_200),
        (rate(100, MINUTE), 1_200),
    ] {
        let duration = seconds * SECOND;
        // An odd start, so that due times do not coincide with the timer's ticks.
        sleep(Duration::from_micros(1_234_567)).await;
        let times = busy(&throttle(Some(limit), None), 3, duration).await;
        let most = fullest(&times, limit.per);
        assert!(most <= limit.count as usize, "{most} in a window of {limit:?}");
        let used = times.len() as f64 / (limit.per_second() * duration.as_secs_f64());
        assert!(used >= 0.97, "{used} of {limit:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_pattern_of_arrivals_exceeds_a_limit() {
    for seed in 0..12 {
        let mut random = SmallRng::seed_from_u64(seed);
        let limit = rate(random.random_range(1..300), if seed % 3 == 0 { MINUTE } else { SECOND });
        let throttle = throttle(Some(limit), None);
        let mut times = Vec::new();
        while times.len() < 1_500 {
            for _ in 0..random.random_range(0..2 * limit.count) {
                if ask(&throttle, to("example.org")).is_ok() {
                    times.push(Instant::now());
                }
                if random.random_bool(0.2) {
                    sleep(Duration::from_micros(random.random_range(0..30_000))).await;
                }
            }
            sleep(limit.per.mul_f64(random.random_range(0.0..1.5))).await;
        }
        let most = fullest(&times, limit.per);
        assert!(most <= limit.count as usize, "{most} in a window of {limit:?}, seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_idling_there_is_no_burst_worth_the_name() {
    let throttle = throttle(Some(rate(1_000, SECOND)), None);
    sleep(MINUTE).await;
    let at_once = (0..1_000).take_while(|_| ask(&throttle, to("example.org")).is_ok()).count();
    assert!(at_once <= 21, "{at_once} at once");
}

#[tokio::test(start_paused = true)]
async fn the_time_to_ask_again_is_exact() {
    let throttle = throttle(Some(rate(3, SECOND)), None);
    admit(&throttle, to("example.org")).await;
    let again = ask(&throttle, to("example.org")).unwrap_err();
    tokio::time::advance(again - Instant::now() - Duration::from_nanos(1)).await;
    assert_eq!(ask(&throttle, to("example.org")), Err(again));
    tokio::time::advance(Duration::from_nanos(1)).await;
    assert_eq!(ask(&throttle, to("example.org")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_one_limit_holds_back_uses_none_of_the_others() {
    let throttle = throttle(Some(rate(10, SECOND)), None);
    throttle.set_campaign("spring", Some(rate(30, SECOND)));
    let (mut slow, mut others) = (0, 0);
    let end = Instant::now() + MINUTE;
    while Instant::now() < end {
        slow += usize::from(ask(&throttle, to("slow.example")).is_ok());
        match ask(&throttle, to("example.org")) {
            Ok(()) => others += 1,
            Err(again) => tokio::time::sleep_until(again).await,
        }
    }
    assert!(slow >= 58 && slow + others >= 582, "{slow} to the slow domain and {others} beside it");
    let waits = throttle.waits();
    assert!(waits.domain > 0 && waits.relay > 0 && waits.campaign == 0, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn each_domain_and_each_campaign_has_a_limit_of_its_own() {
    let throttle = throttle(None, Some(rate(2, SECOND)));
    throttle.set_campaign("spring", Some(rate(1, MINUTE)));
    assert_eq!(ask(&throttle, to("a.example")), Ok(()));
    assert!(ask(&throttle, to("b.example")).is_err(), "the campaign holds it back");
    let notice = |domain| Passage { relay: "main", domain, campaign: None };
    assert_eq!(ask(&throttle, notice("b.example")), Ok(()), "a notice has no campaign");
    assert!(ask(&throttle, notice("a.example")).is_err(), "the domain was used by the campaign");
    let elsewhere = Passage { relay: "other", domain: "a.example", campaign: None };
    assert_eq!(ask(&throttle, elsewhere), Ok(()), "a relay without limits");
    assert_eq!(throttle.waits(), Waits { relay: 0, domain: 1, campaign: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_changed_limit_holds_at_once_and_frees_nothing_that_was_used() {
    let throttle = throttle(Some(rate(1, MINUTE)), None);
    admit(&throttle, to("example.org")).await;
    throttle.set_relay(&relay(Some(rate(50, SECOND)), None));
    assert!(ask(&throttle, to("example.org")).is_err(), "the minute is not over");
    sleep(MINUTE + SECOND).await;
    let times = busy(&throttle, 2, MINUTE).await;
    assert!((2_910..=3_000).contains(&times.len()), "{} in a minute", times.len());
    throttle.set_relay(&relay(Some(rate(2, SECOND)), None));
    let times = busy(&throttle, 2, MINUTE).await;
    assert!(fullest(&times, SECOND) <= 2 && times.len() >= 116, "{} in a minute", times.len());
    throttle.set_relay(&relay(None, None));
    assert!((0..1_000).all(|_| ask(&throttle, to("example.org")).is_ok()));
}

#[tokio::test(start_paused = true)]
async fn domains_that_nobody_writes_to_are_forgotten() {
    let throttle = throttle(None, Some(rate(100, SECOND)));
    for domain in 0..1_000 {
        ask(&throttle, to(&format!("d{domain}.example"))).unwrap();
    }
    let known = |throttle: &Throttle| throttle.lock().relays["main"].domains.len();
    assert_eq!(known(&throttle), 1_000);
    sleep(MINUTE + SECOND).await;
    ask(&throttle, to("last.example")).unwrap();
    assert_eq!(known(&throttle), 1);
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_asks_for_less_gets_less_at_once_and_more_again_step_by_step() {
    let throttle = throttle(None, Some(rate(40, SECOND)));
    busy(&throttle, 3, MINUTE).await;
    throttle.refused("main", "example.org", Scope::Domain, "451 4.7.0 at rcpt".into());
    throttle.refused("main", "example.org", Scope::Domain, "451 4.7.0 at rcpt".into());
    let changes = throttle.changes();
    assert_eq!(changes.len(), 1, "once per change: {changes:?}");
    let full = changes[0].full;
    assert!((36.0..=40.0).contains(&full), "{full}");
    assert_eq!(throttle.changes(), []);
    // An eighth more after each quiet minute, and in every window of it never more than that.
    for eighths in [4.0, 5.0, 6.0, 7.0] {
        let allowed = full * eighths / 8.0;
        let slowed = throttle.slowed_to("main", Some("example.org")).unwrap();
        assert!((slowed - allowed).abs() < 1e-9, "{slowed}, not {allowed}");
        let times = busy(&throttle, 3, MINUTE - SECOND).await;
        let most = fullest(&times, 10 * SECOND);
        assert!(most as f64 <= (10.0 * allowed).round(), "{most} in ten seconds of {allowed}");
        let used = times.len() as f64 / (59.0 * allowed);
        assert!(used >= 0.97, "{used} of {allowed}");
        sleep(SECOND).await;
        assert_eq!(throttle.changes().len(), 1);
    }
    let times = busy(&throttle, 3, MINUTE).await;
    assert!(fullest(&times, SECOND) <= 40 && times.len() >= 40 * 58, "{} in a minute", times.len());
    assert_eq!(throttle.slowed_to("main", Some("example.org")), None);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_less_slows_nobody_else() {
    let throttle = throttle(None, None);
    for _ in 0..300 {
        ask(&throttle, to("a.example")).unwrap();
        ask(&throttle, to("b.example")).unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    throttle.refused("main", "a.example", Scope::Domain, String::new());
    let slowed = throttle.slowed_to("main", Some("a.example")).unwrap();
    assert!((45.0..=55.0).contains(&slowed), "half of what it got: {slowed}");
    assert_eq!(throttle.slowed_to("main", Some("b.example")), None);
    assert!((0..100).all(|_| ask(&throttle, to("b.example")).is_ok()));
    throttle.refused("main", "b.example", Scope::Relay, String::new());
    let all = throttle.slowed_to("main", None).unwrap();
    assert!(all > slowed && all < 150.0, "{all}");
    let waits = (0..100).filter(|_| ask(&throttle, to("b.example")).is_err()).count();
    assert!(waits > 90, "the whole relay goes slowly: {waits}");
    let elsewhere = Passage { relay: "other", domain: "a.example", campaign: None };
    assert_eq!(ask(&throttle, elsewhere), Ok(()));
}
