//! How messages spread over relays, and how long the limits make it last.

use std::collections::BTreeMap;

use crate::domain::rate::Rate;
use crate::domain::relay::RelayConfig;
use crate::domain::time::Micros;
use crate::store::warm_ups::Standing;

/// How long a run lasts at best.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duty {
    /// Whole seconds, rounded up; 0 where nothing limits it.
    pub seconds: u64,
    /// The limit that decides it.
    pub limited_by: Option<String>,
}

impl Duty {
    /// The slowest of all limits: the campaign's, each relay's, and each relay's for a domain or for a group of those
    /// that it names. Whose mail host is whose is not looked up.
    #[must_use]
    pub fn of(messages: i64, domains: &BTreeMap<String, i64>, relays: &[RelayConfig], throttle: Option<Rate>) -> Self {
        let mut slowest = (0.0, None);
        let mut weigh = |messages: f64, rate: Option<Rate>, name: &dyn Fn() -> String| {
            let seconds = rate.map_or(0.0, |rate| messages / rate.per_second());
            if seconds > slowest.0 {
                slowest = (seconds, Some(name()));
            }
        };
        weigh(messages as f64, throttle, &|| "the campaign's rate".to_owned());
        for (relay, share) in shares(relays) {
            weigh(messages as f64 * share, relay.rate, &|| format!("the rate of relay {}", relay.name));
            let mut together: BTreeMap<&str, i64> = BTreeMap::new();
            for (domain, messages) in domains {
                if let Some(group) = relay.group_of(domain) {
                    *together.entry(group).or_default() += messages;
                    continue;
                }
                let name = || format!("the rate of relay {} for {domain}", relay.name);
                weigh(*messages as f64 * share, relay.domain_rate(domain), &name);
            }
            for (group, messages) in together {
                let rate = relay.groups[group].rate.or(relay.per_domain_default);
                let name = || format!("the rate of relay {} for the group {group}", relay.name);
                weigh(messages as f64 * share, rate, &name);
            }
        }
        // Conversion saturates.
        Self { seconds: slowest.0.ceil() as u64, limited_by: slowest.1 }
    }

    /// The same, or longer where relays warm up: as long as no relay of another order takes over, a
    /// relay's share waits for the days of its table.
    #[must_use]
    pub fn or_warm_up(mut self, messages: i64, relays: &[RelayConfig], today: &[Standing], begins: Micros) -> Self {
        if relays.iter().any(|relay| relay.order != relays[0].order) {
            return self;
        }
        for (relay, share) in shares(relays) {
            let Some(warm_up) = &relay.warm_up else { continue };
            let day = warm_up.day(begins);
            let used = today.iter().find(|of| of.relay == relay.name && of.domain.is_none()).map_or(0, |of| of.drawn);
            // Conversion saturates.
            let last = warm_up.last_day((messages as f64 * share).ceil() as u64, day.number, used.unsigned_abs());
            let Ok(days) = u64::try_from(last - day.number - 1) else { continue };
            let seconds = day.ends.since(begins).as_secs() + days * 86_400;
            if seconds > self.seconds {
                self = Self { seconds, limited_by: Some(format!("the warm-up of relay {}", relay.name)) };
            }
        }
        self
    }
}

/// The relays that are used while all answer, those of the lowest order, and their share.
fn shares(relays: &[RelayConfig]) -> impl Iterator<Item = (&RelayConfig, f64)> {
    let first = relays.iter().map(|relay| relay.order).min().unwrap_or_default();
    let used = move || relays.iter().filter(move |relay| relay.order == first);
    let total: f64 = used().map(|relay| f64::from(relay.weight)).sum();
    used().map(move |relay| (relay, f64::from(relay.weight) / total))
}

/// Messages by relay in the file's order, as long as all answer; they add up.
#[must_use]
pub fn by_relay(messages: i64, relays: &[RelayConfig]) -> Vec<(String, i64)> {
    let mut spread: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut share_before, mut given) = (0.0, 0);
    for (relay, share) in shares(relays) {
        share_before += share;
        let until = (messages as f64 * share_before).round() as i64;
        spread.insert(&relay.name, until - given);
        given = until;
    }
    relays.iter().map(|relay| (relay.name.clone(), spread.get(&*relay.name).copied().unwrap_or(0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::group::Group;
    use crate::domain::relay::RelayUrl;
    use crate::domain::warm_up::WarmUp;

    fn relay(name: &str, order: u32, weight: u32, rate: Option<&str>, gmail: Option<&str>) -> RelayConfig {
        let parse = |text: &str| Rate::parse(text).unwrap();
        RelayConfig {
            rate: rate.map(parse),
            per_domain: gmail.map(|text| ("gmail.com".to_owned(), parse(text))).into_iter().collect(),
            order,
            weight,
            ..RelayConfig::new(name, RelayUrl::File("outbox".into()))
        }
    }

    fn gmail(messages: i64) -> BTreeMap<String, i64> {
        BTreeMap::from([("gmail.com".to_owned(), messages), ("example.org".to_owned(), 10)])
    }

    #[test]
    fn the_slowest_limit_decides_how_long_it_lasts() {
        let relays = [relay("a", 1, 1, Some("200/s"), Some("10/s"))];
        let duty = |messages, throttle: Option<&str>| {
            Duty::of(messages, &gmail(900), &relays, throttle.map(|text| Rate::parse(text).unwrap()))
        };
        assert_eq!(duty(1_000, None).seconds, 90);
        assert_eq!(duty(1_000, None).limited_by.unwrap(), "the rate of relay a for gmail.com");
        assert_eq!(duty(100_001, None).seconds, 501);
        assert_eq!(duty(1_000, Some("1/s")).seconds, 1_000);
    }

    #[test]
    fn domains_of_a_group_share_its_limit_and_those_with_their_own_do_not() {
        let mut relay = relay("a", 1, 1, None, Some("100/s"));
        let domains = ["gmail.com", "gmx.example", "web.example"].map(str::to_owned).to_vec();
        let rate = Some(Rate::parse("10/s").unwrap());
        relay.groups.insert("big".into(), Group { domains, rate, ..Group::default() });
        let to = [("gmail.com", 900), ("gmx.example", 300), ("web.example", 200), ("other.example", 500)];
        let to: BTreeMap<_, _> = to.map(|(domain, messages)| (domain.to_owned(), messages)).into();
        let duty = |relay: &RelayConfig| Duty::of(1_900, &to, std::slice::from_ref(relay), None);
        assert_eq!(
            (duty(&relay).seconds, duty(&relay).limited_by.unwrap().as_str()),
            (50, "the rate of relay a for the group big")
        );
        relay.groups.get_mut("big").unwrap().rate = None;
        assert_eq!(duty(&relay).limited_by.unwrap(), "the rate of relay a for gmail.com");
        relay.per_domain_default = Some(Rate::parse("5/s").unwrap());
        assert_eq!(duty(&relay).seconds, 100, "together they have as much as one domain");
    }

    #[test]
    fn relays_of_the_first_order_share_by_weight_and_the_next_order_waits() {
        let relays = [
            relay("spare", 2, 9, Some("1/d"), None),
            relay("a", 1, 3, Some("100/s"), None),
            relay("b", 1, 1, Some("10/s"), None),
        ];
        assert_eq!(by_relay(1_000, &relays), [("spare".into(), 0), ("a".into(), 750), ("b".into(), 250)]);
        assert_eq!(by_relay(1, &relays).iter().map(|(_, messages)| messages).sum::<i64>(), 1);
        assert_eq!(Duty::of(1_000, &BTreeMap::new(), &relays, None).seconds, 25);
    }

    #[test]
    fn without_limits_nothing_can_be_said() {
        assert_eq!(Duty::of(1_000, &gmail(5), &[relay("a", 1, 1, None, None)], None), Duty::default());
    }

    #[test]
    fn a_warm_up_makes_it_last_until_the_day_that_takes_the_rest() {
        let mut warming = relay("a", 1, 1, Some("10/s"), None);
        warming.warm_up = Some(WarmUp {
            start: jiff::civil::date(2026, 12, 1),
            zone: "UTC".into(),
            table: vec![200, 500],
            per_domain: BTreeMap::new(),
        });
        let begins = Micros::parse_rfc3339("2026-12-01T18:00:00Z").unwrap();
        let lasts = |messages, relays: &[RelayConfig]| {
            let duty = Duty::of(messages, &BTreeMap::new(), relays, None).or_warm_up(messages, relays, &[], begins);
            (duty.seconds, duty.limited_by.unwrap())
        };
        let alone = [warming.clone()];
        assert_eq!(lasts(200, &alone), (20, "the rate of relay a".into()));
        assert_eq!(lasts(201, &alone), (6 * 3_600, "the warm-up of relay a".into()));
        assert_eq!(lasts(5_000, &alone), (30 * 3_600, "the warm-up of relay a".into()));
        let spare = [warming, relay("b", 2, 1, None, None)];
        assert_eq!(lasts(5_000, &spare).0, 500, "the spare relay takes what is too much");
    }
}
