//! Time and randomness enter the house here, and nowhere else.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::time::Micros;

/// A clock, cheap to clone; all clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System,
    Fast(watch::Sender<Course>),
}

/// How a fast clock runs since its speed was set.
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
        Self(Arc::new(Kind::System))
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

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Micros {
        match &*self.0 {
            Kind::System => system_now(),
            Kind::Fast(course) => course.borrow().now(),
        }
    }

    /// Waits until this clock has moved on by `d`. One that is set back keeps nobody waiting longer.
    pub async fn sleep(&self, d: Duration) {
        match &*self.0 {
            Kind::System => tokio::time::sleep(d).await,
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
    let mut seed = [0; 32];
    // A machine without entropy does not get this far: its keys come from the same source.
    let _ = aws_lc_rs::rand::fill(&mut seed);
    StdRng::from_seed(seed)
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
