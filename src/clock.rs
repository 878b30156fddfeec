//! Time and randomness enter the house here, and nowhere else.

mod spell;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::spell::Spell;
use crate::domain::time::Micros;

/// A clock, cheap to clone; all clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    /// The machine's wall clock, until there is another to go by.
    System(RwLock<Option<Course>>),
    Fast(watch::Sender<Course>),
}

/// How a clock runs since it was set.
#[derive(Clone, Copy, Debug)]
struct Course {
    origin: Micros,
    since: Instant,
    factor: f64,
}

impl Course {
    fn now(&self) -> Micros {
        self.origin.plus(self.since.elapsed().mul_f64(self.factor))
    }
}

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Kind::System(RwLock::default())))
    }

    /// A clock that starts now at `origin` and runs `factor` times as fast; for demonstrations.
    #[must_use]
    pub fn fast(origin: Micros, factor: f64) -> Self {
        Self(Arc::new(Kind::Fast(watch::Sender::new(Course { origin, since: Instant::now(), factor }))))
    }

    /// A clock that stands still until it is set; for tests.
    #[must_use]
    pub fn stepped(origin: Micros) -> Self {
        Self::fast(origin, 0.0)
    }

    /// Sets a fast or stepped clock, and all its clones, to another time. The machine's clock is not ours to set.
    pub fn set(&self, to: Micros) {
        if let Kind::Fast(course) = &*self.0 {
            course.send_modify(|course| *course = Course { origin: to, since: Instant::now(), ..*course });
        }
    }

    /// Lets a fast clock and all its clones run at another speed from now on. The machine's clock
    /// has but one.
    pub fn set_factor(&self, factor: f64) {
        if let Kind::Fast(course) = &*self.0 {
            course.send_modify(|course| *course = Course { origin: course.now(), since: Instant::now(), factor });
        }
    }

    /// Lets the machine's clock, and all its clones, go by another one that `ask` reads: whatever happens to the wall
    /// clock from now on, they go on with the machine's counted time from there. Answers how far the other is ahead of
    /// the wall clock, in seconds, as far as the time that asking took leaves no doubt. Without an answer, and for a fast
    /// or stepped clock, nothing changes.
    ///
    /// # Errors
    /// Those of `ask`.
    pub async fn follow<E>(&self, ask: impl Future<Output = Result<Option<Micros>, E>>) -> Result<Option<f64>, E> {
        let Kind::System(course) = &*self.0 else { return Ok(None) };
        let (asked, asked_wall) = (self.now(), system_now());
        let Some(theirs) = ask.await? else { return Ok(None) };
        let (answered, answered_wall) = (self.now(), system_now());
        let origin = Micros(answered.0.saturating_add(theirs.outside(asked, answered)));
        let next = Course { origin, since: Instant::now(), factor: 1.0 };
        *course.write().unwrap_or_else(PoisonError::into_inner) = Some(next);
        Ok(Some(Micros(theirs.outside(asked_wall, answered_wall)).seconds_since(Micros(0))))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Micros {
        match &*self.0 {
            Kind::System(course) => {
                let course = *course.read().unwrap_or_else(PoisonError::into_inner);
                course.map_or_else(system_now, |course| course.now())
            }
            Kind::Fast(course) => course.borrow().now(),
        }
    }

    /// Waits until this clock has moved on by `d`. One that is set back keeps nobody waiting longer.
    pub async fn sleep(&self, d: Duration) {
        match &*self.0 {
            Kind::System(_) => tokio::time::sleep(d).await,
            Kind::Fast(course) => {
                let mut until = self.now().plus(d);
                let mut changes = course.subscribe();
                loop {
                    let Course { factor, .. } = *changes.borrow_and_update();
                    let now = self.now();
                    until = until.min(now.plus(d));
                    let left = until.since(now);
                    if left.is_zero() {
                        return;
                    }
                    let passes = async {
                        match Duration::try_from_secs_f64(left.as_secs_f64() / factor) {
                            Ok(real) => tokio::time::sleep(real).await,
                            Err(_) => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = passes => {}
                        _ = changes.changed() => {}
                    }
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
fn system_now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A generator seeded by the machine, for jitter and sampling; never for secrets.
#[must_use]
pub fn random() -> StdRng {
    // A machine without entropy does not get this far: its keys come from the same source.
    rand::make_rng()
}

/// Octets fit for keys and salts.
///
/// # Panics
/// When the machine has no source of entropy.
#[must_use]
pub fn secret<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the machine has a source of entropy");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fast_clock_passes_a_day_in_a_second() {
        let clock = Clock::fast(Micros(0), 86_400.0);
        clock.sleep(Duration::from_secs(86_400)).await;
        let day = clock.now().seconds_since(Micros(0)) / 86_400.0;
        assert!((day - 1.0).abs() < 0.01, "{day}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stepped_clock_wakes_sleepers_when_it_is_set_past_their_time() {
        let clock = Clock::stepped(Micros(0));
        let sleeper = clock.clone();
        let sleeping = tokio::spawn(async move { sleeper.sleep(Duration::from_secs(60)).await });
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        clock.set(Micros(59_999_999));
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert!(!sleeping.is_finished());
        clock.set(Micros(60_000_000));
        sleeping.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_keeps_nobody_waiting_longer() {
        let clock = Clock::stepped(Micros(86_400_000_000));
        let sleeper = clock.clone();
        let sleeping = tokio::spawn(async move { sleeper.sleep(Duration::from_secs(60)).await });
        tokio::task::yield_now().await;
        clock.set(Micros(0));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!sleeping.is_finished());
        clock.set(Micros(60_000_000));
        sleeping.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_machines_clock_goes_by_another_and_so_do_its_clones() {
        let day = Duration::from_secs(86_400);
        let (clock, theirs) = (Clock::system(), Clock::stepped(Clock::system().now().plus(day)));
        let clone = clock.clone();
        let ahead = clock.follow(async { Ok::<_, ()>(Some(theirs.now())) }).await.unwrap().unwrap();
        assert!((86_399.0..86_401.0).contains(&ahead), "{ahead}");
        assert_eq!(clone.now(), theirs.now());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(clone.now(), theirs.now().plus(Duration::from_secs(60)), "by counted time, not by the wall");
        clock.follow(async { Ok::<_, ()>(Some(theirs.now().minus(day))) }).await.unwrap();
        assert_eq!(clone.now(), theirs.now().minus(day), "backward as well");
    }

    #[tokio::test]
    async fn a_clock_without_another_to_go_by_stays_as_it_is() {
        let (stepped, machine) = (Clock::stepped(Micros(5)), Clock::system());
        assert_eq!(stepped.follow(async { Ok::<_, ()>(Some(Micros(9))) }).await, Ok(None));
        assert_eq!(machine.follow(async { Ok::<_, ()>(None) }).await, Ok(None));
        assert_eq!(machine.follow(async { Err::<Option<Micros>, _>("away") }).await, Err("away"));
        assert!(stepped.now() == Micros(5) && machine.now().seconds_since(system_now()).abs() < 60.0);
    }

    #[tokio::test(start_paused = true)]
    async fn another_speed_holds_for_sleepers_too_and_moves_no_hand() {
        let (clock, sleeper) = (Clock::fast(Micros(0), 1.0), Clock::fast(Micros(0), 1.0));
        let (started, other) = (Instant::now(), sleeper.clone());
        let sleeping = tokio::spawn(async move { sleeper.sleep(Duration::from_secs(7_200)).await });
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        for clock in [&clock, &other] {
            clock.set_factor(3_600.0);
            assert_eq!(clock.now().since(Micros(0)).as_secs(), 3_600);
        }
        sleeping.await.unwrap();
        assert_eq!(started.elapsed().as_secs(), 3_601);
    }
}
