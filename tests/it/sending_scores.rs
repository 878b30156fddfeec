//! Runs that ask for scores, while the scale of the scores moves.

use std::time::Duration;

use colloquy::args;
use colloquy::domain::id::RecipientId;
use colloquy::domain::score::Scale;
use colloquy::domain::time::Micros;
use colloquy::domain::token::{Purpose, Token};
use colloquy::lifecycle::Stop;
use colloquy::metrics::Metrics;
use colloquy::send::Ended;
use colloquy::services::{Role, Services};
use colloquy::store::score::{self, Facts, Lock, Rebuild};
use colloquy::store::{Result, Store};
use tokio_util::sync::CancellationToken;

use crate::project::{Project, Settings};
use crate::service::get;
use crate::support::{Database, on_both_engines};

const DAY: Duration = Duration::from_secs(86_400);

const WARM: &str = "topic = \"news\"\nsubject = \"Hello\"\ntemplate = \"hello.hbs\"\n\
                    [audience]\nwhere = 'score >= 40'\n";

const TEMPLATE: &str = "<html><body><p>{{score}} points</p>\
    <a href=\"{{unsubscribe_url}}\">Leave</a> {{sender.postal_address}}</body></html>";

/// Two people: `a0` has fifty points, `a1` thirty.
async fn fifty_and_thirty(db: Database) -> Project {
    let project = Project::new(db, Settings { campaign: WARM, ..Settings::default() }, |_, _| None).await;
    std::fs::write(project.db.dir.path().join("templates/hello.hbs"), TEMPLATE).unwrap();
    project.import(2).await;
    let now = project.app().clock.now();
    // So long a half-life that no test lasts long enough to lose a point.
    let scale = Scale { landmark: now.minus(DAY), half_life: 36_500 * DAY, affinity_half_life: 100 * DAY };
    let mut session = project.db.store.write().await.unwrap();
    score::facts(&mut session, Lock::Exclusive).await.unwrap();
    let (rules_hash, population) = (String::new(), [].into());
    score::save_facts(&mut session, &Facts { scale, rules_hash, population, rebuild: None }).await.unwrap();
    for (address, points) in [("a0@example.org", 50.4), ("a1@example.org", 30.4)] {
        let sql = "INSERT INTO profiles (recipient_id, f, f7, fa, points, last_at, last_id, rose, cooled, entered)
            SELECT id, $1, 0, 0, 0, $2, 0, 0, 0, 0 FROM recipients WHERE address = $3";
        session.execute(sql, args![points * scale.factor(now), now.minus(DAY), address]).await.unwrap();
    }
    session.commit().await.unwrap();
    project
}

/// Moves all sums to a landmark a thousand years ahead: ten half-lives, a factor of 1024.
async fn move_landmark(store: &Store) {
    let mut session = store.write().await.unwrap();
    let facts = score::facts(&mut session, Lock::Exclusive).await.unwrap().unwrap();
    let to = Micros(facts.scale.landmark.0).plus(365_000 * DAY);
    score::rebase(&mut session, facts, to).await.unwrap();
    session.commit().await.unwrap();
}

async fn set_rebuild(store: &Store, rebuild: Option<Rebuild>) -> Result<()> {
    let mut session = store.write().await?;
    let facts = score::facts(&mut session, Lock::Exclusive).await?.unwrap();
    score::save_facts(&mut session, &Facts { rebuild, ..facts }).await?;
    session.commit().await
}

on_both_engines! {
    async fn a_run_finds_the_right_people_when_the_landmark_moves_after_its_start(db) {
        let mut project = fifty_and_thirty(db).await;
        let app = project.app();
        let run = app.begin(&project.db.store, app.campaign("hello").unwrap(), true).await.unwrap();
        let sender = app.sender(&project.db.store, Metrics::new(), CancellationToken::new()).await.unwrap();
        let prepared = sender.prepare(&run).await.unwrap();
        move_landmark(&project.db.store).await;
        sender.count(&run, &prepared).await.unwrap();
        assert_eq!(sender.send(run, &prepared, false).await.unwrap(), Ended::Done);
        sender.finish().await;
        let mail = project.caught.try_recv().unwrap();
        assert_eq!(mail.recipients, ["a0@example.org"]);
        assert!(String::from_utf8(mail.message).unwrap().contains("50.4 points"));
        assert!(project.caught.try_recv().is_err());
    }

    async fn a_run_waits_while_the_scores_are_rebuilt(db) {
        let mut project = fifty_and_thirty(db).await;
        let store = project.db.store.clone();
        set_rebuild(&store, Some(Rebuild { token: "t".into(), rescales: true })).await.unwrap();
        let ((_, ended), rebuilt) = tokio::join!(project.send(), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            set_rebuild(&store, None).await
        });
        rebuilt.unwrap();
        assert_eq!(ended, Ended::Done);
        assert_eq!(project.drain(), ["a0@example.org"]);
    }

    async fn the_view_shows_the_same_score_after_the_landmark_moved(db) {
        let project = fifty_and_thirty(db).await;
        let (run, _) = project.send().await;
        let app = project.app();
        let keys = app.secrets().unwrap().keyring();
        let stop = Stop::default();
        let services = Services::start(app.site(), &[Role::Pages], stop.clone()).await.unwrap();
        let at = services.web.unwrap();
        let fifty = "SELECT id FROM recipients WHERE address = 'a0@example.org'";
        let (id,): (i64,) = project.db.store.read().await.unwrap().one(fifty, args![]).await.unwrap();
        let recipient = RecipientId(id);
        let token = Token { run: run.id, recipient, purpose: Purpose::View };
        let path = format!("/v/{}", keys.sign(&token));
        let before = get(at, &path).await;
        assert!(before.contains("50.4 points"), "{before}");
        move_landmark(&project.db.store).await;
        assert_eq!(text_of(&get(at, &path).await), text_of(&before));
        stop.soft.cancel();
        services.finished().await;
    }
}

fn text_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}
