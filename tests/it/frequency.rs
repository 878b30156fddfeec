//! How often people want to be mailed: the rule against a naive reading of it, and the claim against the plan.

use std::collections::BTreeMap;

use colloquy::args;
use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::message::{Exclusion, MessageState};
use colloquy::domain::pace::{OwnLimit, Pace};
use colloquy::domain::rate::Rate;
use colloquy::domain::score::{ClusterRules, Scale, ScoreRules};
use colloquy::domain::time::Micros;
use colloquy::store::audience::Audience;
use colloquy::store::claims::{self, Claim, Next};
use colloquy::store::eligibility::Permission;
use colloquy::store::subscriptions::set_pace;
use colloquy::store::{Store, forecast, runs};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::mailing::{self, TOPIC, claimant};
use crate::support::on_both_engines;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// 2027-01-15.
const NOW: Micros = Micros(1_800_000_000_000_000);
const PEOPLE: usize = 80;

/// A person's wishes, and what was sent to them.
#[derive(Clone, Debug, Default)]
struct Person {
    paused_until: Option<Micros>,
    limit: Option<OwnLimit>,
    messages: Vec<(MessageState, Micros)>,
}

impl Person {
    /// Messages within the time before NOW that count.
    fn counted(&self, within: i64) -> u32 {
        use MessageState::{Accepted, Claimed, Deferred, Sending, Unknown};
        let counts = |state| matches!(state, Accepted | Claimed | Deferred | Sending | Unknown);
        let found = self.messages.iter().filter(|(state, at)| counts(*state) && at.0 > NOW.0 - within);
        found.count() as u32
    }

    fn expected(&self, cap: Option<Rate>) -> Option<Exclusion> {
        if self.paused_until.is_some_and(|until| until > NOW) {
            return Some(Exclusion::Paused);
        }
        if cap.is_some_and(|cap| self.counted(cap.per.as_micros() as i64) >= cap.count) {
            return Some(Exclusion::FrequencyCap);
        }
        let limited = |limit: OwnLimit| self.counted(i64::from(limit.days) * DAY / 14 * 13) >= limit.count;
        self.limit.is_some_and(limited).then_some(Exclusion::OwnLimit)
    }
}

/// People with wishes of every kind, and messages of earlier runs around the ends of windows.
async fn population(store: &Store, random: &mut StdRng) -> (Vec<RecipientId>, Vec<Person>) {
    let ids = mailing::people(store, PEOPLE, Micros(NOW.0 - 400 * DAY)).await;
    let mut earlier = Vec::new();
    for days in [400, 40, 29, 10, 7, 3, 1] {
        earlier.push(mailing::run(store, &format!("{days} days ago"), Micros(NOW.0 - days * DAY)).await);
    }
    let mut people = Vec::new();
    let mut tx = store.write().await.unwrap();
    for id in &ids {
        let mut person = Person::default();
        if random.random_bool(0.2) {
            person.paused_until = Some(Micros(NOW.0 + random.random_range(-2..=2) * DAY));
        }
        if random.random_bool(0.6) {
            person.limit =
                Some(OwnLimit { count: random.random_range(1..=2), days: *[1, 7, 30, 366].choose(random).unwrap() });
        }
        if let Some(limit) = person.limit {
            set_pace(&mut tx, *id, Pace::AtMost(limit), &mailing::origin(Micros(1))).await.unwrap();
        }
        if let Some(until) = person.paused_until {
            set_pace(&mut tx, *id, Pace::PausedUntil(until), &mailing::origin(Micros(1))).await.unwrap();
        }
        for run in &earlier {
            if random.random_bool(0.3) {
                let state = *MessageState::ALL.choose(random).unwrap();
                let ago =
                    *[366, 340, 30, 28, 7, 6, 1].choose(random).unwrap() * DAY + random.random_range(-14..=14) * HOUR;
                let at = Micros(NOW.0 - ago);
                let sql = "INSERT INTO messages (run_id, recipient_id, state, at) VALUES ($1, $2, $3, $4)";
                tx.change(1, sql, args![*run, *id, state.as_str(), at]).await.unwrap();
                person.messages.push((state, at));
            }
        }
        people.push(person);
    }
    tx.commit().await.unwrap();
    (ids, people)
}

/// How many are excluded, by reason.
async fn planned(store: &Store, run: RunId, cap: Option<Rate>) -> BTreeMap<Exclusion, i64> {
    let scale = Scale::of(&ScoreRules::default(), &ClusterRules::default(), NOW);
    let audience = Audience { condition: None, at: NOW, joined_by: NOW, scale: &scale, resend: None, zones: None };
    let permission = Permission { topic: TOPIC, at: NOW, run: Some(run), cap };
    let mut session = store.read().await.unwrap();
    forecast::forecast(&mut session, &audience, &permission, None, &[]).await.unwrap().excluded
}

on_both_engines! {
    async fn plan_claim_and_a_naive_reading_agree_about_everybody(db) {
        let mut random = StdRng::seed_from_u64(4);
        let (ids, people) = population(&db.store, &mut random).await;
        let node = mailing::node(&db.store, NOW).await;
        let mut seen = BTreeMap::<Exclusion, usize>::new();
        for (occasion, cap) in [("capped", Some(Rate::parse_cap("2 per 7d").unwrap())), ("free", None)] {
            let mut expected = BTreeMap::<Exclusion, i64>::new();
            for reason in people.iter().filter_map(|person| person.expected(cap)) {
                *expected.entry(reason).or_default() += 1;
                *seen.entry(reason).or_default() += 1;
            }
            let run = mailing::run(&db.store, occasion, NOW).await;
            assert_eq!(planned(&db.store, run, cap).await, expected, "{occasion}: the plan");

            let mut tx = db.store.write().await.unwrap();
            let next = Next { cursor: RecipientId(0), people: &ids, last: true, room: PEOPLE };
            let claimant = claims::Claimant { cap, ..claimant(run, node, NOW) };
            let (claim, _) = claims::take_next(&mut tx, claimant, next).await.unwrap();
            let Claim::Taken(claimed) = claim else { panic!("{claim:?}") };
            let claimed: Vec<_> = claimed.iter().map(|claimed| claimed.recipient).collect();
            let allowed = ids.iter().zip(&people).filter(|(_, person)| person.expected(cap).is_none());
            assert_eq!(claimed, allowed.map(|(id, _)| *id).collect::<Vec<_>>(), "{occasion}: the claim");
            let counted = runs::exclusions(&mut tx, run).await.unwrap();
            let counted = counted.into_iter().map(|(word, n)| (Exclusion::parse(&word).unwrap(), n)).collect();
            assert_eq!(expected, counted, "{occasion}: what the run tells");
            tx.rollback().await.unwrap();
        }
        assert!(seen.len() == 3 && seen.values().all(|people| *people >= 5), "too few of a kind: {seen:?}");
    }

    async fn a_limit_set_during_a_run_holds_for_what_waits(db) {
        let ids = mailing::people(&db.store, 2, NOW).await;
        let node = mailing::node(&db.store, NOW).await;
        let earlier = mailing::run(&db.store, "1", NOW).await;
        mailing::claim_all(&db.store, claimant(earlier, node, NOW), &ids).await;
        let run = mailing::run(&db.store, "2", NOW).await;
        mailing::claim_all(&db.store, claimant(run, node, NOW), &ids).await;
        let mut tx = db.store.write().await.unwrap();
        let put_back = "UPDATE messages SET state = 'waiting', node_id = NULL, due_at = at WHERE run_id = $1";
        tx.change(2, put_back, args![run]).await.unwrap();
        let weekly = Pace::AtMost(OwnLimit { count: 1, days: 7 });
        assert!(set_pace(&mut tx, ids[0], weekly, &mailing::origin(NOW)).await.unwrap());
        tx.commit().await.unwrap();

        let mut tx = db.store.write().await.unwrap();
        let claim = claims::take_due(&mut tx, claimant(run, node, NOW), 10).await.unwrap();
        let Claim::Taken(claimed) = claim else { panic!("{claim:?}") };
        assert_eq!(claimed.iter().map(|claimed| claimed.recipient).collect::<Vec<_>>(), ids[1..]);
        let sql = "SELECT state, reply FROM messages WHERE run_id = $1 AND recipient_id = $2";
        let skipped: (String, String) = tx.one(sql, args![run, ids[0]]).await.unwrap();
        assert_eq!(skipped, ("skipped".to_owned(), "own_limit".to_owned()));
    }

    async fn a_weekly_mailing_reaches_who_wants_one_a_week(db) {
        let ids = mailing::people(&db.store, 1, NOW).await;
        let node = mailing::node(&db.store, NOW).await;
        let mut tx = db.store.write().await.unwrap();
        let weekly = Pace::AtMost(OwnLimit { count: 1, days: 7 });
        set_pace(&mut tx, ids[0], weekly, &mailing::origin(NOW)).await.unwrap();
        tx.commit().await.unwrap();
        // Each week one leaves at some time of the same morning, and one more two days later.
        let mut reached = Vec::new();
        for (n, hours) in [0, 50, 7 * 24 - 3, 7 * 24 + 50, 14 * 24 - 5, 14 * 24 + 48].into_iter().enumerate() {
            let at = Micros(NOW.0 + hours * HOUR);
            let run = mailing::run(&db.store, &n.to_string(), at).await;
            let mut tx = db.store.write().await.unwrap();
            let next = Next { cursor: RecipientId(0), people: &ids, last: true, room: 1 };
            let (claim, _) = claims::take_next(&mut tx, claimant(run, node, at), next).await.unwrap();
            tx.commit().await.unwrap();
            let Claim::Taken(claimed) = claim else { panic!("{claim:?}") };
            reached.push(!claimed.is_empty());
        }
        assert_eq!(reached, [true, false, true, false, true, false]);
    }
}
