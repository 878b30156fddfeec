//! Mail by each recipient's own clocks, on a clock that the test sets.

use std::fmt::Write as _;
use std::time::Duration;

use colloquy::args;
use colloquy::clock::Clock;
use colloquy::domain::hours::Closed;
use colloquy::domain::run::RunState;
use colloquy::people::import;
use colloquy::plan::Planner;
use colloquy::store::runs::{self, Wait};
use colloquy::store::waves;

use crate::hours::{HEAD, Service, apply, at, by_hand, open, run, until};
use crate::project::{Project, Settings};
use crate::support::{Database, on_both_engines};

const NINE: &str =
    "[schedule]\nat = 2026-12-01T09:00:00\ntimezone = \"recipient\"\nfallback_timezone = \"Europe/Berlin\"\n";
const PEOPLE: [(&str, &str); 6] = [
    ("berlin", "Europe/Berlin"),
    ("mars", "Mars/Base"),
    ("newyork", "america/new_york"),
    ("nowhere", ""),
    ("paris", "Europe/Paris"),
    ("tokyo", "Asia/Tokyo"),
];

/// A project whose campaign has these lines, with `PEOPLE`, so many of each.
async fn project(db: Database, lines: &str, each: usize) -> Project {
    let campaign = format!("{HEAD}{lines}");
    let project = Project::new(db, Settings { campaign: &campaign, ..Settings::default() }, |_, _| None).await;
    let mut csv = String::from("address,timezone,first_name\n");
    for (name, zone) in PEOPLE {
        for n in 0..each {
            let _ = writeln!(csv, "{name}{n}@example.org,{zone},Anna");
        }
    }
    let file = project.db.dir.path().join("people.csv");
    std::fs::write(&file, csv).unwrap();
    let app = open(&project, &Clock::stepped(at("2026-11-01T00:00:00Z")));
    let (topic, source) = ("news".to_owned(), "test".to_owned());
    let options = import::Options { file, topic, source, tracking: true, dry_run: false };
    let key = app.secrets().unwrap().suppression_key();
    import::run(&project.db.store, &app.loaded.project, &key, &app.clock, &options, |_| {}).await.unwrap();
    project
}

/// Lets the clock go on a little until so many mails came, and a little longer; answers to whom, without numbers.
async fn mailed(project: &mut Project, clock: &Clock, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut quiet = 0;
    while names.len() < count || quiet < 10 {
        clock.set(clock.now().plus(Duration::from_millis(100)));
        tokio::time::sleep(Duration::from_millis(5)).await;
        let new = project.drain();
        quiet = if new.is_empty() { quiet + 1 } else { 0 };
        names.extend(new.iter().map(|to| to.split('@').next().unwrap().trim_end_matches(char::is_numeric).to_owned()));
    }
    names.sort();
    names
}

async fn move_to(project: &Project, address: &str, zone: &str) {
    let mut tx = project.db.store.write().await.unwrap();
    let attributes = format!("{{\"first_name\":\"Anna\",\"timezone\":\"{zone}\"}}");
    let sql = match tx.kind() {
        colloquy::store::EngineKind::Sqlite => "UPDATE recipients SET attributes = $1 WHERE address = $2",
        colloquy::store::EngineKind::Postgres => {
            "UPDATE recipients SET attributes = CAST($1 AS JSONB) WHERE address = $2"
        }
    };
    tx.change(1, sql, args![attributes, address]).await.unwrap();
    tx.commit().await.unwrap();
}

on_both_engines! {
    async fn everybody_is_mailed_when_their_own_clocks_show_the_time(db) {
        let mut project = project(db, NINE, 2).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-11-30T18:59:00Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-20T00:00:00Z")).await;
        let service = Service::start(&app, &store).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(run(&store, 1).await.is_none(), "nobody's clocks show nine yet");
        clock.set(at("2026-11-30T19:00:00Z"));
        let begun = until(&store, &clock, 1, |run| run.wait.is_some()).await;
        assert_eq!((begun.occasion.as_str(), begun.state), ("2026-12-01T09:00:00", RunState::Running));
        assert_eq!(begun.wait, Some(Wait { reason: Closed::Wave, until: at("2026-11-30T19:15:00Z") }), "Chatham is next");
        assert_eq!(mailed(&mut project, &clock, 0).await, Vec::<String>::new());
        clock.set(at("2026-12-01T00:00:00Z"));
        assert_eq!(mailed(&mut project, &clock, 2).await, ["tokyo", "tokyo"]);
        clock.set(at("2026-12-01T07:59:55Z"));
        assert_eq!(mailed(&mut project, &clock, 0).await, Vec::<String>::new());
        clock.set(at("2026-12-01T08:00:00Z"));
        let europe = ["berlin", "berlin", "mars", "mars", "nowhere", "nowhere", "paris", "paris"];
        assert_eq!(mailed(&mut project, &clock, 8).await, europe, "who has no zone has the fallback's");
        clock.set(at("2026-12-01T14:00:00Z"));
        assert_eq!(mailed(&mut project, &clock, 2).await, ["newyork", "newyork"]);
        clock.set(at("2026-12-01T20:59:00Z"));
        assert_eq!(until(&store, &clock, 1, |run| run.wait.is_some()).await.state, RunState::Running);
        clock.set(at("2026-12-01T21:00:00Z"));
        until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        assert!(run(&store, 2).await.is_none());
        service.stop().await;
    }

    async fn two_services_and_restarts_mail_everybody_once_in_their_wave(db) {
        const EACH: usize = 40;
        let daily = NINE.replace("at = 2026-12-01T09:00:00", "every = \"daily 09:00\"");
        let mut project = project(db, &daily, EACH).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-11-30T19:00:00Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-30T18:00:00Z")).await;
        let mut services = vec![Service::start(&app, &store).await, Service::start(&app, &store).await];
        for (hour, zones) in [("12-01T00", 1), ("12-01T08", 4), ("12-01T14", 1), ("12-02T00", 1), ("12-02T08", 4)] {
            clock.set(at(&format!("2026-{hour}:00:00Z")));
            assert_eq!(mailed(&mut project, &clock, zones * EACH).await.len(), zones * EACH, "at {hour}");
            services.remove(0).stop().await;
            services.push(Service::start(&app, &store).await);
        }
        let first = run(&store, 1).await.unwrap();
        assert_eq!((first.occasion.as_str(), first.state), ("2026-12-01T09:00:00", RunState::Done));
        assert_eq!(run(&store, 2).await.unwrap().occasion, "2026-12-02T09:00:00");
        let twice = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM messages GROUP BY run_id, recipient_id HAVING COUNT(*) > 1) t";
        assert_eq!(store.read().await.unwrap().one::<(i64,)>(twice, args![]).await.unwrap().0, 0);
        for service in services {
            service.stop().await;
        }
    }

    async fn an_occasion_that_began_before_the_first_apply_never_happens_in_the_zones_that_come_later(db) {
        let daily = NINE.replace("at = 2026-12-01T09:00:00", "every = \"daily 09:00\"");
        let project = project(db, &daily, 1).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-11-30T19:00:00Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-30T18:00:00Z")).await;
        let service = Service::start(&app, &store).await;
        let first = until(&store, &clock, 1, |_| true).await;
        assert_eq!(first.occasion, "2026-12-01T09:00:00");
        for _ in 0..60 {
            clock.set(clock.now().plus(Duration::from_millis(200)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(run(&store, 2).await.map(|run| run.occasion), None, "nine o'clock of the day before");
        service.stop().await;
    }

    async fn who_moves_to_another_zone_during_the_run_is_not_mailed_again(db) {
        let mut project = project(db, NINE, 1).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T00:00:00Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-20T00:00:00Z")).await;
        let service = Service::start(&app, &store).await;
        assert_eq!(mailed(&mut project, &clock, 1).await, ["tokyo"]);
        move_to(&project, "tokyo0@example.org", "America/New_York").await;
        move_to(&project, "berlin0@example.org", "America/New_York").await;
        clock.set(at("2026-12-01T08:00:00Z"));
        assert_eq!(mailed(&mut project, &clock, 3).await, ["mars", "nowhere", "paris"]);
        clock.set(at("2026-12-01T14:00:00Z"));
        assert_eq!(mailed(&mut project, &clock, 2).await, ["berlin", "newyork"]);
        clock.set(at("2026-12-01T21:00:00Z"));
        let done = until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        let mut reader = store.read().await.unwrap();
        assert_eq!(runs::exclusions(&mut reader, done.id).await.unwrap(), [], "everybody has a message");
        assert_eq!(runs::states(&mut reader, done.id).await.unwrap().values().sum::<i64>(), 6);
        drop(reader);
        service.stop().await;
    }

    async fn who_moves_to_a_zone_whose_wave_was_claimed_is_counted_and_so_is_who_may_not_be_mailed(db) {
        let mut project = project(db, NINE, 2).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T00:00:00Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-20T00:00:00Z")).await;
        let mut tx = store.write().await.unwrap();
        let leave = "UPDATE subscriptions SET subscribed = FALSE
            WHERE recipient_id = (SELECT id FROM recipients WHERE address = 'newyork0@example.org')";
        tx.change(1, leave, args![]).await.unwrap();
        tx.commit().await.unwrap();
        let service = Service::start(&app, &store).await;
        assert_eq!(mailed(&mut project, &clock, 2).await, ["tokyo"; 2]);
        clock.set(at("2026-12-01T08:00:00Z"));
        assert_eq!(mailed(&mut project, &clock, 8).await.len(), 8);
        move_to(&project, "newyork1@example.org", "Asia/Tokyo").await;
        clock.set(at("2026-12-01T14:00:00Z"));
        let id = run(&store, 1).await.unwrap().id;
        while runs::exclusions(&mut store.read().await.unwrap(), id).await.unwrap().is_empty() {
            assert_eq!(mailed(&mut project, &clock, 0).await, Vec::<String>::new());
        }
        clock.set(at("2026-12-01T21:00:00Z"));
        let done = until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        let mut reader = store.read().await.unwrap();
        let excluded = runs::exclusions(&mut reader, done.id).await.unwrap();
        assert_eq!(excluded, [("missed".to_owned(), 1), ("no_consent".to_owned(), 1)]);
        assert_eq!(runs::states(&mut reader, done.id).await.unwrap().values().sum::<i64>(), 10);
        drop(reader);
        service.stop().await;
    }

    async fn a_wave_whose_latest_start_passed_is_counted_and_the_others_are_sent(db) {
        let mut project = project(db, &format!("{NINE}latest_start = \"2h\"\n"), 3).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T02:00:01Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-20T00:00:00Z")).await;
        let service = Service::start(&app, &store).await;
        let begun = until(&store, &clock, 1, |run| run.wait.is_some()).await;
        let excluded = runs::exclusions(&mut store.read().await.unwrap(), begun.id).await.unwrap();
        assert_eq!(excluded, [("expired".to_owned(), 3)], "Tokyo's");
        clock.set(at("2026-12-01T09:59:00Z"));
        assert_eq!(mailed(&mut project, &clock, 12).await.len(), 12, "Berlin's is late, but not too late");
        clock.set(at("2026-12-01T14:00:00Z"));
        assert_eq!(mailed(&mut project, &clock, 3).await, ["newyork"; 3]);
        clock.set(at("2026-12-01T21:00:00Z"));
        until(&store, &clock, 1, |run| run.state == RunState::Done).await;
        service.stop().await;
    }

    async fn a_run_whose_every_wave_expires_is_expired(db) {
        let mut project = project(db, &format!("{NINE}blackout = [\"2026-12-01\"]\n"), 2).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-11-30T19:00:00Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-20T00:00:00Z")).await;
        let service = Service::start(&app, &store).await;
        let expired = until(&store, &clock, 1, |run| run.state.is_final()).await;
        assert_eq!(expired.state, RunState::Expired);
        let excluded = runs::exclusions(&mut store.read().await.unwrap(), expired.id).await.unwrap();
        assert_eq!(excluded, [("expired".to_owned(), 12)]);
        assert_eq!(project.drain().len(), 0);
        service.stop().await;
    }

    async fn a_run_that_is_stale_in_every_zone_expires_at_once(db) {
        let project = project(db, NINE, 1).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-02T03:00:01Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-20T00:00:00Z")).await;
        let service = Service::start(&app, &store).await;
        assert_eq!(until(&store, &clock, 1, |_| true).await.state, RunState::Expired);
        service.stop().await;
    }

    async fn a_plan_shows_the_waves_and_how_long_they_last(db) {
        let project = project(db, NINE, 2).await;
        let app = open(&project, &Clock::stepped(at("2026-11-30T00:00:00Z")));
        let campaign = app.campaign("hello").unwrap();
        let planner = Planner {
            store: &project.db.store,
            project: &app.loaded.project,
            campaign,
            mailing: &app.compile(campaign).unwrap(),
            relays: &app.loaded.settings.relays,
            keyring: &app.secrets().unwrap().keyring(),
            now: app.clock.now(),
            at: None,
            resend: None,
        };
        let plan = planner.plan().await.unwrap();
        let waves: Vec<_> = plan.waves.iter().map(|wave| (wave.due_at, wave.people, wave.zones.join(" "))).collect();
        assert_eq!(waves, [
            (at("2026-12-01T00:00:00Z"), 2, "asia/tokyo".to_owned()),
            (at("2026-12-01T08:00:00Z"), 8, "europe/berlin europe/paris (other)".to_owned()),
            (at("2026-12-01T14:00:00Z"), 2, "america/new_york".to_owned()),
        ]);
        assert_eq!((plan.starts_at, plan.ends_at), (at("2026-12-01T00:00:00Z"), at("2026-12-01T14:00:00Z")));
        let shown = plan.to_string();
        assert!(shown.contains("2026-12-01T08:00:00Z          8  europe/berlin, europe/paris, (other)\n"), "{shown}");
    }

    async fn a_send_by_hand_keeps_to_the_window_of_each_zone(db) {
        let lines = "[schedule]\ntimezone = \"recipient\"\nfallback_timezone = \"Europe/Berlin\"\nwindow = [\"08:00\", \"20:00\"]\n";
        let mut project = project(db, lines, 1).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-12-01T12:00:00Z"));
        let app = open(&project, &clock);
        let run = by_hand(&app, &store).await;
        let waves = waves::of(&mut store.read().await.unwrap(), run.id).await.unwrap();
        assert!(waves.iter().all(|wave| wave.wave.due == run.at));
        let service = Service::start(&app, &store).await;
        assert_eq!(mailed(&mut project, &clock, 4).await, ["berlin", "mars", "nowhere", "paris"]);
        clock.set(at("2026-12-01T13:00:00Z"));
        assert_eq!(mailed(&mut project, &clock, 1).await, ["newyork"]);
        clock.set(at("2026-12-01T22:59:50Z"));
        assert_eq!(mailed(&mut project, &clock, 0).await, Vec::<String>::new());
        clock.set(at("2026-12-01T23:00:00Z"));
        assert_eq!(mailed(&mut project, &clock, 1).await, ["tokyo"]);
        service.stop().await;
    }

    async fn a_wave_that_sent_nothing_in_its_time_expires_by_its_own_clocks(db) {
        let campaign = format!("valid_for = \"1h\"\n{NINE}window = [\"10:00\", \"20:00\"]\nlatest_start = \"2d\"\n");
        let mut project = project(db, &campaign, 1).await;
        let store = project.db.store.clone();
        let clock = Clock::stepped(at("2026-11-30T19:00:00Z"));
        let app = open(&project, &clock);
        apply(&app, &store, at("2026-11-20T00:00:00Z")).await;
        let service = Service::start(&app, &store).await;
        for hour in ["12-01T01", "12-01T09", "12-01T15", "12-01T22"] {
            clock.set(at(&format!("2026-{hour}:00:00Z")));
            assert_eq!(mailed(&mut project, &clock, 0).await, Vec::<String>::new(), "its time was over as it opened");
        }
        let expired = until(&store, &clock, 1, |run| run.state.is_final()).await;
        let excluded = runs::exclusions(&mut store.read().await.unwrap(), expired.id).await.unwrap();
        assert_eq!((expired.state, excluded), (RunState::Expired, vec![("expired".to_owned(), 6)]));
        service.stop().await;
    }
}
