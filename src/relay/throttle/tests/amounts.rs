//! Places at domains, and the amounts of days.

use jiff::civil::date;

use super::*;
use crate::domain::time::Micros;
use crate::domain::warm_up::{Day, WarmUp};

fn throttle_of(change: impl Fn(&mut RelayConfig)) -> Arc<Throttle> {
    let mut config = RelayConfig::new("main", RelayUrl::File("outbox".into()));
    change(&mut config);
    let throttle = Arc::new(Throttle::new());
    throttle.set_relay(&config);
    throttle
}

fn places(throttle: &Arc<Throttle>, domain: &str, most: usize) -> Vec<Pass> {
    (0..most).map_while(|_| throttle.try_admit(to(domain)).ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn only_so_many_messages_to_a_domain_are_in_hand_over_at_once() {
    let throttle = throttle_of(|config| {
        config.connections_per_domain_default = Some(3);
        config.connections_per_domain.insert("gmail.com".into(), 5);
    });
    let mut others = places(&throttle, "example.org", 10);
    let gmail = places(&throttle, "gmail.com", 10);
    assert_eq!((others.len(), gmail.len()), (3, 5));
    let freed = throttle.freed("main");
    let before = freed.times();
    assert_eq!(throttle.try_admit(to("example.org")).unwrap_err(), Hold::Freed);
    others.pop();
    assert!(freed.times() > before);
    assert_eq!(places(&throttle, "example.org", 10).len(), 1, "it was freed again at the end of the line");
    assert_eq!(places(&throttle, "example.net", 10).len(), 3);
    drop((others, gmail));
    assert_eq!(places(&throttle, "gmail.com", 10).len(), 5, "no place is lost");
}

#[tokio::test(start_paused = true)]
async fn places_hold_over_a_change_of_the_files() {
    let with = |most| RelayConfig {
        connections_per_domain_default: most,
        ..RelayConfig::new("main", RelayUrl::File("outbox".into()))
    };
    let throttle = Arc::new(Throttle::new());
    throttle.set_relay(&with(Some(4)));
    let mut held = places(&throttle, "example.org", 4);
    throttle.set_relay(&with(Some(2)));
    held.truncate(2);
    assert_eq!(throttle.try_admit(to("example.org")).unwrap_err(), Hold::Freed);
    held.truncate(1);
    assert!(throttle.try_admit(to("example.org")).is_ok());
    throttle.set_relay(&with(None));
    assert!(throttle.try_admit(to("example.org")).is_ok());
    drop(held);
}

fn day(number: i64) -> Day {
    Day { date: date(2026, 12, 1), number, ends: Micros(1_000 * (number + 1)) }
}

/// A relay of 100 messages on the first day and 200 on the second, 10 of them and 20 to Gmail.
fn warming() -> Arc<Throttle> {
    throttle_of(|config| {
        config.warm_up = Some(WarmUp {
            start: date(2026, 12, 1),
            zone: "UTC".into(),
            table: vec![100, 200],
            per_domain: BTreeMap::from([("gmail.com".into(), vec![10, 20])]),
        });
    })
}

/// Lets as many pass as a database allows that has so many left; they are handed over or not.
fn passed(throttle: &Arc<Throttle>, day: Day, domain: &str, left: &mut [u32; 2], handed_over: bool) -> usize {
    let mut passed = 0;
    loop {
        match throttle.try_admit(to(domain)) {
            Ok(mut pass) => {
                passed += 1;
                if handed_over {
                    pass.use_up();
                } else if passed == 1_000 {
                    return passed;
                }
            }
            Err(Hold::Freed) => {
                for slice in throttle.begin_day("main", day) {
                    let left = &mut left[usize::from(slice.domain.is_some())];
                    let messages = slice.messages.min(*left);
                    *left -= messages;
                    throttle.grant(day, &Slice { messages, ..slice });
                }
            }
            Err(Hold::Spent) => return passed,
            Err(Hold::Until(_)) => panic!("no rate is limited"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_leaves_on_a_day_than_was_drawn_for_it() {
    let throttle = warming();
    let (first, second) = (&mut [100, 10], &mut [200, 20]);
    assert_eq!(throttle.try_admit(to("example.org")).unwrap_err(), Hold::Freed, "no day has begun");
    assert_eq!(passed(&throttle, day(0), "gmail.com", first, true), 10);
    assert_eq!(throttle.spent_until("main", Some("gmail.com")), Some(Micros(1_000)));
    assert_eq!(throttle.spent_until("main", Some("example.org")), None);
    assert_eq!(passed(&throttle, day(0), "example.org", first, true), 90);
    assert_eq!(throttle.spent_until("main", None), Some(Micros(1_000)));
    assert_eq!(passed(&throttle, day(1), "gmail.com", second, true), 0, "the day has not begun");
    throttle.begin_day("main", day(1));
    assert_eq!(throttle.spent_until("main", None), None);
    assert_eq!(passed(&throttle, day(1), "gmail.com", second, true), 20);
    throttle.begin_day("main", day(2));
    assert_eq!(places(&throttle, "gmail.com", 5_000).len(), 5_000, "the table has ended");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_handed_over_does_not_count_and_what_was_not_used_is_given_back() {
    let throttle = warming();
    assert_eq!(passed(&throttle, day(0), "example.org", &mut [2, 0], false), 1_000);
    let unused: Vec<_> = throttle.take_unused().into_iter().map(|(_, slice)| (slice.domain, slice.messages)).collect();
    assert_eq!(unused, [(None, 2)]);
    let late = Slice { relay: "main".into(), domain: None, messages: 50 };
    throttle.begin_day("main", day(1));
    throttle.grant(day(0), &late);
    assert_eq!(throttle.try_admit(to("example.org")).unwrap_err(), Hold::Freed, "a slice of yesterday is void");
}

#[tokio::test(start_paused = true)]
async fn before_its_first_day_nothing_leaves() {
    let throttle = warming();
    assert_eq!(passed(&throttle, day(-1), "example.org", &mut [0, 0], true), 0);
    assert_eq!(throttle.spent_until("main", None), Some(Micros(0)));
}
