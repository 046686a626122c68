//! What the machine goes through: it idles, runs inference, draws far more than PL1, recovers, and runs inference again.
//! The burst heats it above 75 °C and is long enough for `PowerLimitExceeded` to fire; what follows is long enough for
//! the alert to resolve before the next round.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a round is, in seconds.
pub(crate) const ROUND: u64 = 420;

/// A part of the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Idle,
    Inference,
    Burst,
    Recovery,
}

/// A value that depends on the phase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    pub(crate) idle: u64,
    pub(crate) inference: u64,
    pub(crate) burst: u64,
    pub(crate) recovery: u64,
}

impl Course {
    pub(crate) const fn new(idle: u64, inference: u64, burst: u64, recovery: u64) -> Self {
        Self {
            idle,
            inference,
            burst,
            recovery,
        }
    }
}

/// What the machine does at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) phase: Phase,
    /// By how much this second differs from others, in thousandths.
    pub(crate) unrest: u64,
}

impl Scene {
    /// The scene at a time since the beginning.
    pub(crate) fn at(told: Duration) -> Self {
        let seconds = told.as_secs();
        Self {
            phase: match seconds % ROUND {
                0..20 => Phase::Idle,
                60..220 => Phase::Burst,
                220..280 => Phase::Recovery,
                _ => Phase::Inference,
            },
            // No real machine draws a straight line: each second differs by 3 % at most.
            unrest: 970 + seconds * 37 % 61,
        }
    }

    /// The value now, with its unrest.
    pub(crate) fn value(self, course: Course) -> u64 {
        self.steady(course) * self.unrest / 1000
    }

    /// The value of the phase.
    pub(crate) const fn steady(self, course: Course) -> u64 {
        match self.phase {
            Phase::Idle => course.idle,
            Phase::Inference => course.inference,
            Phase::Burst => course.burst,
            Phase::Recovery => course.recovery,
        }
    }
}

/// A step of the story.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) scene: Scene,
    /// Since the moment before.
    pub(crate) elapsed: Duration,
    /// What the clock shows.
    pub(crate) now: SystemTime,
}

impl Moment {
    /// Milliseconds since the moment before.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// What the clock shows, as Unix time.
    pub(crate) fn unix(&self) -> Duration {
        self.now.duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// The same in whole seconds, as SQLite counts them.
    pub(crate) fn unix_seconds(&self) -> i64 {
        i64::try_from(self.unix().as_secs()).unwrap_or(i64::MAX)
    }

    /// A value that follows another one with a lag.
    pub(crate) fn follow(&self, value: u64, other: u64, lag: Duration) -> u64 {
        let lag = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        let step = self.millis().min(lag);
        (value * (lag - step) + other * step) / lag
    }
}

/// Makes whole events of a rate: what is left over counts next time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace(u64);

impl Pace {
    /// How many came, at so many in a thousand seconds.
    pub(crate) fn events(&mut self, rate: u64, moment: &Moment) -> u64 {
        const WHOLE: u64 = 1_000_000;
        let come = self.0.saturating_add(rate.saturating_mul(moment.millis()));
        self.0 = come % WHOLE;
        come / WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_loses_nothing() {
        let mut pace = Pace::default();
        let moment = Moment {
            scene: Scene::at(Duration::ZERO),
            elapsed: Duration::from_millis(250),
            now: UNIX_EPOCH,
        };
        // 0.7 a second for 100 s.
        let events: u64 = (0..400).map(|_| pace.events(700, &moment)).sum();
        assert_eq!(events, 70);
    }

    #[test]
    fn a_value_follows_with_a_lag_and_never_overshoots() {
        let moment = |seconds| Moment {
            scene: Scene::at(Duration::ZERO),
            elapsed: Duration::from_secs(seconds),
            now: UNIX_EPOCH,
        };
        let lag = Duration::from_secs(10);
        assert_eq!(moment(1).follow(1000, 2000, lag), 1100);
        assert_eq!(moment(3600).follow(1000, 2000, lag), 2000);
    }
}
