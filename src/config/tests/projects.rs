//! `config/colloquy.toml`.

use super::*;

const COMPLETE: &str = include_str!("complete.toml");

#[test]
fn the_complete_example_is_read_as_it_is_written() {
    let Loaded { project, settings, warnings, .. } = taken(COMPLETE, CAMPAIGN);
    assert_eq!(warnings, []);
    let rate = |text| Some(Rate::parse(text).unwrap());
    let days = |days: u64| Duration::from_secs(days * 86_400);

    assert_eq!(
        (project.sender.from_name.as_str(), project.sender.from_address.as_str()),
        ("Alpenlauf", "news@alpenlauf.example")
    );
    assert_eq!(project.sender.reply_to.as_deref(), Some("service@alpenlauf.example"));
    assert_eq!(project.sender.postal_address.as_deref(), Some("Alpenlauf GmbH, Am Ring 1, 80331 München"));
    assert_eq!(project.sender.imprint_url.as_deref(), Some("https://alpenlauf.example/impressum"));
    assert_eq!(project.sender.bounce_domain.as_deref(), Some("b.alpenlauf.example"));
    assert_eq!((project.sender.locale.as_str(), project.sender.timezone.as_str()), ("de-DE", "Europe/Berlin"));
    assert_eq!(project.base_url, "https://t.alpenlauf.example");

    assert_eq!(settings.machine.database_url, "sqlite:colloquy.db");
    assert_eq!(settings.machine.web.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.machine.console_listen.to_string(), "127.0.0.1:8081");
    assert_eq!(settings.machine.secrets_file.to_str(), Some("config/secrets.toml"));
    let web = &settings.machine.web;
    assert_eq!((web.trusted_proxies.len(), web.per_network.get(), web.burst.get()), (0, 2_000, 10_000));
    let [relay] = &settings.relays[..] else { panic!("one relay") };
    let url = RelayUrl::Smtp { host: "relay.alpenlauf.example".into(), port: 587, tls: Tls::Opportunistic };
    assert_eq!((relay.name.as_str(), &relay.url), ("main", &url));
    assert_eq!((relay.username.as_deref(), relay.password_env.as_deref()), (Some("colloquy"), Some("RELAY_PASSWORD")));
    assert_eq!((relay.connections, relay.order, relay.weight), (20, 1, 1));
    assert_eq!((relay.rate, relay.per_domain_default), (rate("200/s"), rate("20/s")));
    assert_eq!(relay.per_domain, BTreeMap::from([("gmail.com".into(), rate("50/s").unwrap())]));
    let dkim = DkimConfig {
        domain: "alpenlauf.example".into(),
        selector: "c1".into(),
        key_file: "config/dkim-rsa.pem".into(),
    };
    assert_eq!(settings.dkim, [dkim]);

    assert_eq!(project.topics, BTreeMap::from([("offers".into(), "Angebote".into())]));
    assert_eq!(project.categories["trail"], "Trail");
    assert_eq!((project.score.half_life, project.score.warm), (days(30), 20.0));
    assert_eq!(project.score.points["unsubscribe"], -20.0);
    let cluster = &project.cluster;
    assert_eq!((cluster.half_life, cluster.min_points, cluster.min_share), (days(90), 10.0, 0.5));
    assert_eq!((cluster.margin, cluster.prior), (0.1, 5.0));
    assert_eq!(project.frequency_cap, Some(Rate { count: 2, per: days(7) }));
    assert_eq!(project.pause_at_rejections, Some(0.05));
    let soft = SoftRun { count: 3, over: days(7) };
    assert_eq!(project.returns, ReturnLimits { dead: 0.04, complaints: 0.002, soft });
    assert!(project.sender.catches_replies);
    let retention = Retention {
        hits: days(30),
        replies: days(14),
        inbound: days(60),
        attributes: days(500),
        unused_consent: Some(days(730)),
    };
    assert_eq!(project.retention, retention);
    assert!(project.segments.contains_key("warm"));
    assert_eq!(project.attributes["birthday"].kind, AttributeType::Date);
    let limit = |days| OwnLimit { count: 1, days };
    assert_eq!((&project.choices.limits[..], &project.choices.pauses[..]), (&[limit(7), limit(30)][..], &[30][..]));
}

#[test]
fn what_is_left_out_has_the_documented_defaults() {
    let short = taken(PROJECT, CAMPAIGN);
    let complete = taken(COMPLETE, CAMPAIGN);
    assert_eq!(short.project.score, complete.project.score);
    assert_eq!(short.project.cluster, complete.project.cluster);
    assert_eq!(short.settings.machine.database_url, complete.settings.machine.database_url);
    assert_eq!(short.settings.machine.web.listen, complete.settings.machine.web.listen);
    assert_eq!(short.settings.machine.console_listen, complete.settings.machine.console_listen);
    assert_eq!(short.settings.machine.secrets_file, complete.settings.machine.secrets_file);
    assert_eq!((short.settings.relays[0].connections, short.settings.relays[0].rate), (10, None));
    assert_eq!((short.project.sender.locale.as_str(), short.project.sender.timezone.as_str()), ("en", "UTC"));
    assert_eq!(short.project.sender.bounce_domain, None);
    assert_eq!(short.project.choices, complete.project.choices);
    assert_eq!((short.project.frequency_cap, short.project.pause_at_rejections), (None, None));
    assert_eq!(short.project.retention, Retention::default());
}

/// Adds lines to the project and expects the one complaint.
#[track_caller]
fn complains_about(added: &str, complaint: &str) {
    assert_eq!(complaints(&format!("{PROJECT}{added}\n"), CAMPAIGN), [complaint], "after adding {added}");
}

#[test]
fn values_out_of_their_range_are_refused_where_they_stand() {
    complains_about(
        "[limits]\nfrequency_cap = \"2 in 7d\"",
        "colloquy.toml:14:17 \"2 in 7d\": '2 in 7d' is not a cap such as 2 per 7d (at most so many mails to one person in that time)",
    );
    complains_about(
        "[preferences]\nfrequency = [\"1 per 7d\", \"1 per 12h\"]",
        "colloquy.toml:14:26 \"1 per 12h\": '1 per 12h' is not a limit such as 1 per 7d (whole days, up to a year)",
    );
    complains_about(
        "[preferences]\npause = [\"2w\", \"14d\"]",
        "colloquy.toml:14:9 [\"2w\", \"14d\"]: `pause` has the same choice twice",
    );
    complains_about(
        "[preferences]\npause = [\"1d\"]",
        "colloquy.toml:14:10 \"1d\": '1d' is not a pause such as 30d, of two days at least (up to a year, as in 30d or 4w)",
    );
    complains_about(
        "[preferences.reasons]\n\"too many\" = \"Too many\"",
        "colloquy.toml:14:1 \"too many\": `too many` cannot be a name (a name has up to 63 letters a-z, digits, - and _, and starts with a letter or digit)",
    );
    complains_about("[preferences.reasons]\nmany = \" \"", "colloquy.toml:14:8 \" \": this is empty");
    complains_about(
        "[limits]\npause_at_rejections = 0.05",
        "colloquy.toml:14:23 0.05: `pause_at_rejections` must be text, not a number (put it in quotes)",
    );
    complains_about(
        "[limits]\npause_at_rejections = \"500%\"",
        "colloquy.toml:14:23 \"500%\": '500%' is not a share such as 5% (above 0% and up to 100%)",
    );
    complains_about("[score]\nhalf_life = \"0d\"", "colloquy.toml:14:13 \"0d\": it must be longer than nothing");
    complains_about("[score]\nwarm = 0", "colloquy.toml:14:8 0: `warm` must be a number above 0");
    complains_about(
        "[score.points]\nopen = inf",
        "colloquy.toml:14:8 inf: `open` must be a number of points between -1000000 and 1000000",
    );
    complains_about(
        "[score.points]\nvoid = 1",
        "colloquy.toml:14:1 void: `void` cannot have points: it marks what turned out to be no action (give the kind of your own actions another name)",
    );
    complains_about("[cluster]\nmargin = 1.5", "colloquy.toml:14:10 1.5: `margin` must be a share from 0 to 1");
    complains_about(
        "[attributes.x]\neditable = \"yes\"",
        "colloquy.toml:14:12 \"yes\": `editable` must be true or false, not text (write it without quotes)",
    );
    complains_about(
        "[attributes.x]\ntype = \"dat\"",
        "colloquy.toml:14:8 \"dat\": unknown type `dat` (did you mean `date`?)",
    );
    complains_about(
        "[attributes.score]\ntype = \"number\"",
        "colloquy.toml:13:13 score: `score` is built in and cannot be an attribute (choose another name, also in the header of the CSV file)",
    );
    complains_about(
        "[topics.\"my offers\"]",
        "colloquy.toml:13:9 \"my offers\": `my offers` cannot be a name (a name has up to 63 letters a-z, digits, - and _, and starts with a letter or digit)",
    );
    complains_about(
        "[web.x]",
        "colloquy.toml:13:6 x: unknown key `x` in [web] (known: `base_url`, `pictures`, `trusted_proxies`, `per_network`, `burst`, `listen`)",
    );
}

#[test]
fn machine_settings_are_checked_too() {
    let web = |added: &str| {
        let project = PROJECT.replace("[web]\n", &format!("[web]\n{added}\n"));
        complaints(&project, CAMPAIGN)
    };
    assert_eq!(
        web("trusted_proxies = [\"10.0.0.0/8\", \"10.1.2.3/8\"]"),
        [
            "colloquy.toml:4:19 [\"10.0.0.0/8\", \"10.1.2.3/8\"]: '10.1.2.3/8' is an address within a network; the network is 10.0.0.0/8"
        ]
    );
    assert_eq!(
        web("per_network = \"60/m\""),
        ["colloquy.toml:4:15 \"60/m\": this must be a rate per second (as in 2000/s)"]
    );
    assert_eq!(web("burst = 0"), ["colloquy.toml:4:9 0: `burst` must be a whole number from 1 up, and not so large"]);
    complains_about(
        "[console]\nlisten = \"8081\"",
        "colloquy.toml:14:10 \"8081\": '8081' is not an address to listen on (write IP and port, as in 127.0.0.1:8080 or [::]:8080)",
    );
    complains_about(
        "[database]\nurl = \"mysql://x\"",
        "colloquy.toml:14:7 \"mysql://x\": this is not a database's URL (sqlite:colloquy.db, or postgres://user@host/database)",
    );
    complains_about(
        "[secrets]\nfile = \"templates/secrets.toml\"",
        "colloquy.toml:14:8 \"templates/secrets.toml\": secrets cannot be kept there (config/secrets.toml, or an absolute path outside of the project)",
    );
    complains_about(
        "[[dkim]]\ndomain = \"alpenlauf.example\"\nselector = \"c 1\"\nkey_file = \"k.pem\"",
        "colloquy.toml:15:12 \"c 1\": 'c 1' is not a selector (a DNS label such as c1 (RFC 6376 §3.1))",
    );
}

#[test]
fn a_relay_needs_a_name_of_its_own_and_a_user_with_a_password() {
    complains_about(
        "[[relay]]\nname = \"main\"\nurl = \"file:x\"",
        "colloquy.toml:14:8 \"main\": there is another relay named `main` (name each relay differently)",
    );
    complains_about(
        "[[relay]]\nname = \"b\"\nurl = \"smtp://r\"\nusername = \"u\"",
        "colloquy.toml:16:1 username: `username` needs `password_env` (password_env = \"RELAY_PASSWORD\" names the environment variable that holds the password)",
    );
    complains_about(
        "[[relay]]\nname = \"b\"\nurl = \"smtp://r\"\npassword_env = \"P\"",
        "colloquy.toml:16:1 password_env: `password_env` needs `username`",
    );
    complains_about(
        "[[relay]]\nname = \"b\"\nurl = \"smtp://r:99999\"",
        "colloquy.toml:15:7 \"smtp://r:99999\": '99999' is not a port between 1 and 65535 (smtp://HOST:PORT, smtp+starttls://HOST:PORT, smtps://HOST:PORT or file:DIR)",
    );
    complains_about(
        "[[relay]]\nname = \"b\"\nurl = \"smtp://r\"\nconnections = 0",
        "colloquy.toml:16:15 0: `connections` must be a whole number from 1 up, and not so large",
    );
    complains_about(
        "[[relay]]\nname = \"b\"\nurl = \"smtp://r\"\n[relay.per_domain]\n\"gmail\" = \"5/s\"",
        "colloquy.toml:17:1 \"gmail\": 'gmail' is not a domain (as in example.org)",
    );
    let single = PROJECT.replace("[[relay]]", "[relay]");
    assert_eq!(
        complaints(&single, CAMPAIGN),
        [
            "colloquy.toml:5:1 [relay]: `relay` must be a list of sections, not a section (write [[relay]] on a line of its own, and its keys below)"
        ]
    );
}

#[test]
fn what_is_required_is_asked_for() {
    let found = complaints("[sender]\nlocale = \"en\"\n", CAMPAIGN);
    assert_eq!(
        found[..3],
        [
            "colloquy.toml: `base_url` is missing in [web] (add base_url = \"https://t.example.org\")",
            "colloquy.toml: `relay` is missing (add [[relay]] with name = \"main\" and url = \"file:outbox\" below it)",
            "colloquy.toml:1:2 sender: `from` is missing in [sender] (add from = \"News <news@example.org>\")",
        ]
    );
}

#[test]
fn a_key_that_resembles_none_is_answered_with_those_that_there_are() {
    let known = "`sender`, `web`, `database`, `console`, `inbox`, `secrets`, `relay`, `dns`, `dkim`, `topics`, `categories`, \
                 `score`, `cluster`, `limits`, `attributes`, `preferences`, `calendar`, `retention`, `segments`, `join`, `utm`";
    let project = format!("colour = 1\n{PROJECT}");
    assert_eq!(
        complaints(&project, CAMPAIGN),
        [format!("colloquy.toml:1:1 colour: unknown key `colour` (known: {known})")]
    );
}

#[test]
fn a_zone_and_an_address_are_checked() {
    let project = PROJECT.replace("[web]", "timezone = \"Europe/Berlim\"\nreply_to = \"service\"\n[web]");
    assert_eq!(
        complaints(&project, CAMPAIGN),
        [
            "colloquy.toml:3:12 \"Europe/Berlim\": 'Europe/Berlim' is not a time zone (did you mean `Europe/Berlin`?)",
            "colloquy.toml:4:12 \"service\": the address has no @ (write the address alone, as in service@example.org)",
        ]
    );
    let project = PROJECT.replace("https://t.alpenlauf.example", "https://t.alpenlauf.example/?a=1");
    assert_eq!(
        complaints(&project, CAMPAIGN),
        [
            "colloquy.toml:4:12 \"https://t.alpenlauf.example/?a=1\": a base address has no query and no fragment (as in https://t.example.org)"
        ]
    );
}

#[test]
fn a_segment_may_use_others_in_any_order_but_not_itself() {
    let segments = "[segments]\nz = 'segment(\"m\") and score > 1'\nm = 'segment(\"a\")'\na = 'score > 2'\n";
    assert_eq!(taken(&format!("{PROJECT}{segments}"), CAMPAIGN).project.segments.len(), 3);

    let circle = "[segments]\na = 'segment(\"b\")'\nb = '''\nscore > 1 and\n segment(\"a\")'''\nc = 'segment(\"a\")'\n";
    assert_eq!(
        complaints(&format!("{PROJECT}{circle}"), CAMPAIGN),
        [
            "colloquy.toml:14:14 \"b\": segment `a` uses itself: `a` → `b` → `a` (write one of them without the other)",
            "colloquy.toml:17:10 \"a\": segment `b` uses itself: `b` → `a` → `b` (write one of them without the other)",
        ]
    );
}

#[test]
fn a_segment_that_does_not_exist_is_shown_within_its_condition() {
    complains_about(
        "[segments]\nwarm = 'score > 1'\nhot = 'score > 2 and segment(\"warn\")'",
        "colloquy.toml:15:30 \"warn\": unknown segment `warn` (did you mean `warm`?)",
    );
    complains_about(
        "[segments]\nwarm = 'score > 1'\nhot = \"segment(\\\"warn\\\")\"",
        "colloquy.toml:15:7 \"segment(\\\"warn\\\")\": unknown segment `warn` (did you mean `warm`?)",
    );
}

#[test]
fn settings_do_not_show_a_database_password() {
    let direct = "direct_url = \"postgres://u:s3cret@db.example:5433/c\"";
    let project = format!("{PROJECT}[database]\nurl = \"postgres://u:s3cret@db.example/c\"\n{direct}\n");
    let settings = taken(&project, CAMPAIGN).settings;
    assert_eq!(settings.machine.database_url, "postgres://u:s3cret@db.example/c");
    assert!(!format!("{settings:?}").contains("s3cret"));
}
