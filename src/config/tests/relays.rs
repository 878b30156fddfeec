//! `[[relay]]` and what stands below it.

use super::*;

#[test]
fn a_relay_says_after_which_quiet_time_it_goes_faster_again() {
    let with = |more: &str| format!("{PROJECT}\n[relay.slow_down]\n{more}\n");
    let relay = |text: &str| taken(text, CAMPAIGN).settings.relays.remove(0);
    assert_eq!(relay(PROJECT).slow_down_quiet, Duration::from_secs(60));
    assert_eq!(relay(&with("quiet = \"5m\"")).slow_down_quiet, Duration::from_secs(300));
}

#[test]
fn a_relay_hands_so_many_over_at_once_to_a_domain() {
    let with = format!("{PROJECT}[relay.connections_per_domain]\ndefault = 5\n\"Gmail.com\" = 10\n");
    let relay = taken(&with, CAMPAIGN).settings.relays.remove(0);
    assert_eq!(relay.connections_per_domain_default, Some(5));
    assert_eq!(relay.connections_per_domain, BTreeMap::from([("gmail.com".into(), 10)]));
    let none = format!("{PROJECT}[relay.connections_per_domain]\ndefault = 0\n");
    assert_eq!(
        complaints(&none, CAMPAIGN),
        ["colloquy.toml:14:11 0: `default` must be a whole number from 1 up, and not so large"]
    );
}

#[test]
fn a_relay_warms_up_by_days_of_the_senders_zone() {
    let project = PROJECT.replace("[web]", "timezone = \"Europe/Berlin\"\n[web]");
    let with = |lines: &str| format!("{project}[relay.warm_up]\n{lines}\n");
    let lines = "start = 2026-12-01\ntable = [200, 500]\n[relay.warm_up.per_domain]\n\"gmail.com\" = [50]";
    let relay = taken(&with(lines), CAMPAIGN).settings.relays.remove(0);
    let per_domain = BTreeMap::from([("gmail.com".into(), vec![50])]);
    let start = jiff::civil::date(2026, 12, 1);
    assert_eq!(relay.warm_up, Some(WarmUp { start, zone: "Europe/Berlin".into(), table: vec![200, 500], per_domain }));
    for (lines, complaint) in [
        (
            "table = [1]",
            "14:8 warm_up: `start` is missing in [relay.warm_up] (add start = 2026-12-01, the day on which the relay begins)",
        ),
        (
            "start = 2026-12-01",
            "14:8 warm_up: `table` is missing in [relay.warm_up] (add table = [200, 500, 1000], the messages of the first, second and third day)",
        ),
        (
            "start = \"2026-12-01\"\ntable = [1]",
            "15:9 \"2026-12-01\": `start` must be a day, not text (write it without quotes, as in 2026-12-01)",
        ),
        (
            "start = 2026-12-01T00:00:00\ntable = [1]",
            "15:9 2026-12-01T00:00:00: `start` must be a day, without a time (write it without quotes, as in 2026-12-01)",
        ),
        (
            "start = 2026-12-01\ntable = [1, 0]",
            "16:9 [1, 0]: `table` must hold whole numbers from 1 up (write a list such as [200, 500, 1000])",
        ),
        (
            "start = 2026-12-01\ntable = []",
            "16:9 []: `table` must hold whole numbers from 1 up (write a list such as [200, 500, 1000])",
        ),
        (
            "start = 2026-12-01\ntabel = [1]",
            "16:1 tabel: unknown key `tabel` in [relay.warm_up] (did you mean `table`?)",
        ),
    ] {
        let found = complaints(&with(lines), CAMPAIGN);
        assert!(found.contains(&format!("colloquy.toml:{complaint}")), "{lines}: {found:#?}");
    }
}

#[test]
fn domains_share_limits_in_groups_and_by_their_mail_host() {
    let with = |lines: &str| format!("{PROJECT}{lines}\n");
    let lines = "[relay.group.google]\nmx = [\"*.Google.com\"]\ndomains = [\"gmail.com\"]\nrate = \"50/s\"\nconnections = 4\n\
        [dns]\nservers = [\"127.0.0.1:5353\", \"[::1]:53\"]";
    let settings = taken(&with(lines), CAMPAIGN).settings;
    let group = Group {
        domains: vec!["gmail.com".into()],
        hosts: vec!["*.google.com".into()],
        rate: Some(Rate::parse("50/s").unwrap()),
        connections: Some(4),
    };
    assert_eq!(settings.relays[0].groups, BTreeMap::from([("google".into(), group)]));
    assert_eq!(settings.relays[0].domain_rate("gmail.com"), Some(Rate::parse("50/s").unwrap()));
    assert_eq!(settings.name_servers, ["127.0.0.1:5353".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    assert!(!settings.relays[0].share_limits_by_mx);
    for (lines, complaint) in [
        (
            "[relay.group.a]\nrate = \"1/s\"",
            "13:14 a: `domains` is missing in [relay.group.a] (add domains = [\"example.org\"], or mx = [\"*.example.org\"] for mail hosts)",
        ),
        (
            "[relay.group.a]\nmx = [\"*\"]",
            "14:6 [\"*\"]: '*' is not a mail host (as in mx.example.org or *.example.org)",
        ),
        (
            "[relay.group.a]\ndomains = [\"gmail.com\"]\n[relay.per_domain]\n\"gmail.com\" = \"1/s\"",
            "14:11 [\"gmail.com\"]: `gmail.com` has a limit of its own at this relay (take it out of the group, or out of per_domain and connections_per_domain)",
        ),
        (
            "[dns]\nservers = [\"localhost\"]",
            "14:11 [\"localhost\"]: 'localhost' is not the address of a name server (write IP and port, as in [\"192.0.2.53:53\"])",
        ),
    ] {
        let found = complaints(&with(lines), CAMPAIGN);
        assert_eq!(found, [format!("colloquy.toml:{complaint}")], "{lines}");
    }
}
