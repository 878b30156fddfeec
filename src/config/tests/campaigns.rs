//! Campaign files.

use super::*;

#[test]
fn the_complete_example_is_read_as_it_is_written() {
    let loaded = taken(include_str!("complete.toml"), include_str!("spring.toml"));
    assert_eq!(loaded.warnings.len(), 0, "{:?}", loaded.warnings);
    let campaign = &loaded.campaigns["spring"];
    assert_eq!((campaign.name.as_str(), campaign.topic.as_str()), ("spring", "offers"));
    assert_eq!(campaign.content.subject, "{{first_name}}, new for your next run");
    assert_eq!(
        (campaign.content.template.as_str(), campaign.content.text_template.as_deref()),
        ("spring.hbs", Some("spring.txt.hbs"))
    );
    let schedule = campaign.schedule.as_ref().unwrap();
    assert_eq!(schedule.when, When::AtLocal(datetime(2026, 12, 1, 9, 0, 0, 0)));
    assert_eq!((campaign.timing.zone.as_str(), campaign.timing.fallback.as_str()), ("recipient", "Europe/Berlin"));
    assert_eq!(campaign.timing.window, Some(Window { from: time(8, 0, 0, 0), to: time(20, 0, 0, 0) }));
    assert_eq!(schedule.latest_start, Duration::from_secs(6 * 3_600));
    assert!(campaign.audience.is_some());
    assert_eq!(campaign.throttle, Some(Rate::parse("100/s").unwrap()));
    assert_eq!(campaign.links[0].category, "running");
    assert!(campaign.links[0].matches("https://shop.example.org/running/1"));
    assert_eq!(campaign.offers.explore, 0.1);
    assert_eq!(campaign.offers.items[0].image.as_deref(), Some("https://shop.example.org/trail/1.jpg"));
}

fn schedule(lines: &str) -> crate::domain::campaign::Schedule {
    let loaded = taken(PROJECT, &format!("{CAMPAIGN}[schedule]\n{lines}\n"));
    loaded.campaigns["spring"].schedule.clone().unwrap()
}

#[test]
fn an_instant_is_read_in_the_zone_of_the_schedule() {
    let instant = |lines| match schedule(lines).when {
        When::At(at) => at.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(instant("at = 2026-12-01T09:00:00"), "2026-12-01T09:00:00Z");
    assert_eq!(instant("at = 2026-12-01 09:00\ntimezone = \"Europe/Berlin\""), "2026-12-01T08:00:00Z");
    assert_eq!(instant("at = 2026-12-01T09:00:00+02:00\ntimezone = \"recipient\""), "2026-12-01T07:00:00Z");
    assert_eq!(schedule("every = \"Tue 09:00\"").when, When::Every("0 9 * * TUE".into()));
}

#[test]
fn a_time_that_clocks_skip_is_warned_about() {
    let lines = "[schedule]\nat = 2026-03-29T02:30:00\ntimezone = \"Europe/Berlin\"\n";
    let loaded = taken(PROJECT, &format!("{CAMPAIGN}{lines}"));
    assert!(loaded.warnings[0].message.contains("2026-03-29T03:30:00 is taken"), "{:?}", loaded.warnings);
}

/// Adds lines to the campaign and expects the one complaint.
#[track_caller]
fn complains_about(added: &str, complaint: &str) {
    assert_eq!(complaints(PROJECT, &format!("{CAMPAIGN}{added}\n")), [complaint], "after adding {added}");
}

#[test]
fn mistakes_in_a_schedule_are_shown_where_they_stand() {
    let no_time = "`at` must be a date and time (as in 2026-12-01T09:00:00, without quotes)";
    complains_about("[schedule]\nat = 2026-12-01", &format!("spring.toml:5:6 2026-12-01: {no_time}"));
    complains_about("[schedule]\nat = \"tomorrow\"", &format!("spring.toml:5:6 \"tomorrow\": {no_time}"));
    complains_about(
        "[schedule]\nat = 2026-12-01T09:00:00\nevery = \"daily 09:00\"",
        "spring.toml:6:1 every: `at` and `every` exclude each other (keep one of them)",
    );
    complains_about(
        "[schedule]",
        "spring.toml:4:2 schedule: `at` is missing in [schedule] (add at = 2026-12-01T09:00:00 or every = \"Tue 09:00\"; or a window for sending by hand)",
    );
    complains_about(
        "[schedule]\nevery = \"Tuesdays 9am\"",
        "spring.toml:5:9 \"Tuesdays 9am\": 'Tuesdays 9am' is not a recurrence (did you mean `Tue 09:00`?)",
    );
    complains_about(
        "[schedule]\nevery = \"0 9,17 * * 2\"\ntimezone = \"recipient\"",
        "spring.toml:5:9 \"0 9,17 * * 2\": by the recipients' own clocks a campaign comes once a day at most (write one time of day, or the zone whose clocks count: timezone = \"Europe/Berlin\")",
    );
    complains_about("[schedule]\nevery = \"0 9 30 2 *\"", "spring.toml:5:9 \"0 9 30 2 *\": '0 9 30 2 *' never comes");
    for window in ["[\"8\", \"20:00\"]", "[\"08:00\"]", "[\"08:00\", \"24:00\"]", "[\"08:00\", \"08:00\"]"] {
        complains_about(
            &format!("[schedule]\nevery = \"daily 09:00\"\nwindow = {window}"),
            &format!(
                "spring.toml:6:10 {window}: `window` must hold two times of day, from and to (window = [\"08:00\", \"20:00\"], or [\"20:00\", \"06:00\"] over midnight)"
            ),
        );
    }
    complains_about(
        "[schedule]\nwindow = [\"08:00\", \"20:00\"]\nlatest_start = \"1h\"",
        "spring.toml:6:1 latest_start: `latest_start` counts from `at` or `every`, and there is neither (`valid_for` beside `topic` limits what is sent by hand)",
    );
    complains_about(
        "valid_for = \"soon\"",
        "spring.toml:4:13 \"soon\": 'soon' is not a duration such as 30s, 15m, 6h, 14d or 2w",
    );
}

#[test]
fn what_is_sent_by_hand_may_have_hours_and_a_limit_too() {
    let timing = |lines: &str| {
        let loaded = taken(PROJECT, &format!("{CAMPAIGN}{lines}\n"));
        assert!(loaded.campaigns["spring"].schedule.is_none());
        loaded.campaigns["spring"].timing.clone()
    };
    let plain = timing("");
    assert_eq!((plain.window, plain.blackout.len(), plain.valid_for), (None, 0, None));
    let some = timing("valid_for = \"24h\"\n[schedule]\nwindow = [\"20:00\", \"06:00\"]\ntimezone = \"Europe/Vienna\"");
    assert_eq!(some.window, Some(Window { from: time(20, 0, 0, 0), to: time(6, 0, 0, 0) }));
    assert_eq!((some.zone.as_str(), some.fallback.as_str()), ("Europe/Vienna", "Europe/Vienna"));
    assert_eq!(some.valid_for, Some(Duration::from_secs(86_400)));
}

#[test]
fn people_without_a_zone_have_the_fallback_or_the_senders() {
    let fallback = |lines: &str| {
        let loaded = taken(PROJECT, &format!("{CAMPAIGN}[schedule]\nevery = \"daily 09:00\"\n{lines}\n"));
        loaded.campaigns["spring"].timing.fallback.clone()
    };
    assert_eq!(fallback("timezone = \"recipient\""), "UTC");
    assert_eq!(fallback("timezone = \"recipient\"\nfallback_timezone = \"Asia/Tokyo\""), "Asia/Tokyo");
    complains_about(
        "[schedule]\nevery = \"daily 09:00\"\nfallback_timezone = \"Asia/Tokyo\"",
        "spring.toml:6:1 fallback_timezone: `fallback_timezone` is for people without a zone of their own (it goes with timezone = \"recipient\")",
    );
}

#[test]
fn days_without_mail_are_the_projects_and_the_campaigns() {
    let project = format!("{PROJECT}[calendar]\nblackout = [\"2026-12-24/2026-12-26\"]\n");
    let loaded = taken(&project, &format!("{CAMPAIGN}[schedule]\nblackout = [\"2026-12-31\"]\n"));
    let day = |day| date(2026, 12, day);
    let christmas = Days { from: day(24), to: day(26) };
    assert_eq!(loaded.project.blackout, [christmas]);
    assert_eq!(loaded.campaigns["spring"].timing.blackout, [christmas, Days { from: day(31), to: day(31) }]);
    let hint = "(as in 2026-12-24, or 2026-12-24/2026-12-26 for the first and the last of several)";
    let blackout = "[schedule]\nevery = \"daily 09:00\"\nblackout = [\"2026-12-24\",\n";
    for (bad, message) in [
        ("2026-12-32", "'2026-12-32' is no day"),
        ("2026-12-26/2026-12-24", "'2026-12-26/2026-12-24' ends before it begins"),
        ("Christmas", "'Christmas' is no day"),
    ] {
        complains_about(&format!("{blackout}  \"{bad}\"]"), &format!("spring.toml:7:3 \"{bad}\": {message} {hint}"));
    }
}

#[test]
fn names_from_the_project_must_exist_there() {
    assert_eq!(
        complaints(PROJECT, &CAMPAIGN.replace("offers", "offer")),
        ["spring.toml:1:9 \"offer\": there is no topic `offer` in config/colloquy.toml (did you mean `offers`?)"]
    );
    complains_about(
        "[links]\n\"https://x.example/*\" = \"trial\"",
        "spring.toml:5:25 \"trial\": there is no category `trial` in config/colloquy.toml (did you mean `trail`?)",
    );
    complains_about(
        "[[offers.item]]\ncategory = \"golf\"\ntitle = \"x\"\nurl = \"https://x.example\"",
        "spring.toml:5:12 \"golf\": there is no category `golf` in config/colloquy.toml (known: `running`, `trail`)",
    );
    complains_about(
        "[links]\n\"x.example/*\" = \"trail\"",
        "spring.toml:5:1 \"x.example/*\": a link's pattern starts with https://, http:// or * (as in \"https://shop.example.org/running/*\" = \"running\")",
    );
}

#[test]
fn a_template_must_be_a_file_of_the_project() {
    for (template, complaint) in [
        ("sprint.hbs", "there is no file templates/sprint.hbs (did you mean `spring.hbs`?)"),
        ("spring.mjml", "there is no file templates/spring.mjml (known: `spring.hbs`, `spring.txt.hbs`)"),
        ("spring.html", "a template's name ends in .hbs or .mjml (as in news.hbs, or news.mjml for MJML)"),
        ("../secrets.hbs", "a template is a file under templates/ (write its path below templates/)"),
        ("/etc/x.hbs", "a template is a file under templates/ (write its path below templates/)"),
    ] {
        let found = complaints(PROJECT, &CAMPAIGN.replace("spring.hbs", template));
        assert_eq!(found, [format!("spring.toml:3:12 \"{template}\": {complaint}")]);
    }
    complains_about(
        "text_template = \"spring.mjml\"",
        "spring.toml:4:17 \"spring.mjml\": a text template's name ends in .hbs (as in news.txt.hbs)",
    );
}

#[test]
fn an_offer_keeps_its_further_keys_and_needs_its_own() {
    let offer = "[[offers.item]]\ncategory = \"trail\"\ntitle = \"Shoes\"\nurl = \"https://x.example\"\n";
    let further = "price = 129.5\nsizes = [41, 42]\nuntil = 2026-12-24\nmaker = { name = \"A\" }\n";
    let loaded = taken(PROJECT, &format!("{CAMPAIGN}{offer}{further}"));
    let extra = &loaded.campaigns["spring"].offers.items[0].extra;
    let json = r#"{"price":129.5,"sizes":[41,42],"until":"2026-12-24","maker":{"name":"A"}}"#;
    assert_eq!(serde_json::to_string(extra).unwrap(), json);
    let found = complaints(PROJECT, &format!("{CAMPAIGN}{}", offer.replace("title = \"Shoes\"\n", "")));
    assert_eq!(found, ["spring.toml:4:1 [[offers.item]]: `title` is missing in [offers.item] (add title = \"…\")"]);
    let found = complaints(PROJECT, &format!("{CAMPAIGN}{}", offer.replace("https://", "shop.")));
    assert_eq!(
        found,
        ["spring.toml:7:7 \"shop.x.example\": 'shop.x.example' is not a web address (as in https://example.org/page)"]
    );
}

#[test]
fn a_subject_is_one_line() {
    let found = complaints(PROJECT, &CAMPAIGN.replace("\"Hello\"", "\"Hello\\r\\nBcc: x@example.org\""));
    assert!(found[0].contains("the subject has more than one line"), "{found:?}");
    assert!(complaints(PROJECT, &CAMPAIGN.replace("Hello", " "))[0].contains("the subject is empty"));
}

#[test]
fn a_fault_in_an_audience_is_shown_within_its_text() {
    let found = complaints(PROJECT, &format!("{CAMPAIGN}[audience]\nwhere = 'score >= 5 and cluster = \"trial\"'\n"));
    assert_eq!(found, ["spring.toml:5:35 \"trial\": unknown category `trial` (did you mean `trail`?)"]);
    let found = complaints(PROJECT, &format!("{CAMPAIGN}[audience]\nwhere = '''\nscore >= 5 and\n  score >'''\n"));
    assert!(found[0].starts_with("spring.toml:7:"), "{found:?}");
}

#[test]
fn a_campaign_without_a_file_is_warned_about_as_its_history_may_be_meant() {
    let loaded =
        taken(PROJECT, &format!("{CAMPAIGN}[audience]\nwhere = 'clicked(\"winter\") and opened(\"spring\")'\n"));
    let warnings: Vec<_> = loaded.warnings.iter().map(shown).collect();
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("spring.toml:5:18 \"winter\": unknown campaign"),
        "{warnings:?}"
    );
}

#[test]
fn an_audience_that_uses_a_refused_segment_brings_no_second_complaint() {
    let project = format!("{PROJECT}[segments]\nbad = 'score >'\n");
    let found = complaints(&project, &format!("{CAMPAIGN}[audience]\nwhere = 'segment(\"bad\")'\n"));
    assert!(found.len() == 1 && found[0].starts_with("colloquy.toml:14:"), "{found:?}");
}

#[test]
fn each_language_has_content_of_its_own() {
    let english = "[language.en-gb]\nsubject = \"Hi\"\npreheader = \"New\"\ntemplate = \"spring.hbs\"\n";
    let project = PROJECT.replace("[sender]\n", "[sender]\nlocale = \"de-DE\"\n");
    let loaded = taken(&project, &format!("{CAMPAIGN}{english}"));
    let content = &loaded.campaigns["spring"].languages["en-GB"];
    assert_eq!((content.subject.as_str(), content.preheader.as_deref()), ("Hi", Some("New")));
    assert_eq!(loaded.campaigns["spring"].content.preheader, None);
    for (lines, complaint) in [
        ("[language.de-DE]\nsubject = \"x\"\ntemplate = \"spring.hbs\"\n", "is the language of [sender] locale"),
        ("[language.dx-DE]\nsubject = \"x\"\ntemplate = \"spring.hbs\"\n", "'dx-DE' names no language"),
        ("[language.fr]\nsubject = \"x\"\n", "`template` is missing"),
        ("[language.fr]\nsubject = \"x\"\ntemplate = \"spring.hbs\"\ntopic = \"x\"\n", "unknown key `topic`"),
        ("[language.EN-GB]\nsubject = \"x\"\ntemplate = \"spring.hbs\"\n", "`en-GB` is there twice"),
    ] {
        let found = complaints(&project, &format!("{CAMPAIGN}{english}{lines}"));
        assert!(found.len() == 1 && found[0].contains(complaint), "{complaint}: {found:?}");
        assert!(found[0].starts_with("spring.toml:8:") || found[0].starts_with("spring.toml:11:"), "{found:?}");
    }
}

#[test]
fn utm_parameters_of_a_campaign_go_before_those_of_the_project() {
    let utm = |project: &str, campaign: &str| {
        let loaded = taken(&format!("{PROJECT}{project}"), &format!("{CAMPAIGN}{campaign}"));
        loaded.campaigns["spring"].utm.clone()
    };
    let named = |utm: Option<crate::domain::campaign::Utm>| {
        let parameters = utm.unwrap().parameters.into_iter();
        parameters.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(utm("", ""), None);
    assert_eq!(named(utm("[utm]\n", "")), ["utm_source=newsletter", "utm_medium=email", "utm_campaign=spring"]);
    let general = "[utm]\nsource = \"a\"\nmedium = \"m\"\nonly = [\"Shop.Example\"]\n";
    let both = utm(general, "[utm]\nsource = \"b\"\nterm = \"t\"\n");
    assert_eq!(both.as_ref().unwrap().only, Some(vec!["shop.example".to_owned()]));
    assert_eq!(named(both), ["utm_source=b", "utm_medium=m", "utm_campaign=spring", "utm_term=t"]);
    assert_eq!(utm("[utm]\n", "[utm]\nonly = []\n").unwrap().only, Some(Vec::new()));
    for (lines, complaint) in [
        ("source = \"{{first_name}}\"", "the same for everybody"),
        ("source = \" \"", "one line with something on it"),
        ("sorce = \"x\"", "unknown key `sorce` in [utm] (did you mean `source`?)"),
        ("only = [\"https://shop.example\"]", "is not a domain"),
    ] {
        let found = complaints(PROJECT, &format!("{CAMPAIGN}[utm]\n{lines}\n"));
        assert!(found.len() == 1 && found[0].contains(complaint), "{complaint}: {found:?}");
        assert!(found[0].starts_with("spring.toml:5:"), "{found:?}");
    }
}

#[test]
fn an_attachment_is_a_file_of_the_project() {
    let with = |lines: &str| {
        let mut files = files(PROJECT, &format!("{CAMPAIGN}[[attachment]]\n{lines}\n"));
        if let ProjectFiles::Frozen(files) = &mut files {
            files.insert("files/a.pdf".into(), "cGRm\r\n".into());
            files.insert("files/big.zip".into(), "cGRm".repeat(600_000));
        }
        load(&files)
    };
    let attached = |lines| with(lines).unwrap().campaigns["spring"].content.attachments[0].clone();
    let plain = attached("file = \"files/a.pdf\"");
    assert_eq!((plain.name.as_str(), plain.media.as_str()), ("a.pdf", "application/pdf"));
    let named = attached("file = \"files/a.pdf\"\nname = \"Für dich.txt\"\ntype = \"text/plain\"");
    assert_eq!((named.name.as_str(), named.media.as_str()), ("Für dich.txt", "text/plain"));
    let warnings = with("file = \"files/big.zip\"").unwrap().warnings;
    assert!(warnings[0].message.contains("everybody gets these 1.7 MB"), "{warnings:?}");
    for (lines, complaint) in [
        ("file = \"files/b.pdf\"", "there is no file files/b.pdf"),
        ("file = \"config/secrets.toml\"", "an attachment is a file under files/"),
        ("file = \"files/../config/secrets.toml\"", "an attachment is a file under files/"),
        ("file = \"files/a.pdf\"\nname = \"a/b\"", "a file's name is one line"),
        ("file = \"files/a.pdf\"\ntype = \"message/rfc822\"", "is not the type of a file"),
        ("file = \"files/a.pdf\"\ntype = \"Message/RFC822\"", "is not the type of a file"),
        ("file = \"files/a.pdf\"\ntype = \"Multipart/mixed\"", "is not the type of a file"),
        ("file = \"files/a.pdf\"\nnam = \"x\"", "unknown key `nam`"),
        ("name = \"x\"", "`file` is missing"),
    ] {
        let found: Vec<_> = with(lines).unwrap_err().0.iter().map(shown).collect();
        assert!(found.len() == 1 && found[0].contains(complaint), "{complaint}: {found:?}");
        assert!(found[0].starts_with("spring.toml:"), "{found:?}");
    }
}

#[test]
fn pictures_go_with_the_mail_or_are_linked_as_campaign_or_project_say() {
    let pictures = |web: &str, campaign: &str| {
        let project = PROJECT.replace("[web]\n", &format!("[web]\n{web}"));
        taken(&project, &format!("{CAMPAIGN}{campaign}")).campaigns["spring"].pictures
    };
    assert_eq!(pictures("", ""), Pictures::Embedded);
    assert_eq!(pictures("pictures = \"linked\"\n", ""), Pictures::Linked);
    assert_eq!(pictures("pictures = \"linked\"\n", "pictures = \"embedded\"\n"), Pictures::Embedded);
    complains_about(
        "pictures = \"link\"",
        "spring.toml:4:12 \"link\": 'link' is no way for pictures (embedded: they go with each mail; linked: they are served below base_url)",
    );
}
