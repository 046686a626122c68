//! The time of samples: a clock that nobody sets, corrected by what the receiver's clock says.
//!
//! The wall clock of a virtual machine that sleeps with its host stands still for hours, is then set forward, and at
//! times steps back by a second. So samples are stamped by the clock that counts since boot (`CLOCK_BOOTTIME`) plus an
//! offset, which begins as the wall clock's and is corrected by the `Date` header of the receiver's answers.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The wall clock is followed forward from this step on: it was set after a sleep.
const STEP_MS: i64 = 2_000;
/// Up to here a stamp waits rather than goes back; a clock that was further ahead was wrong.
const PATIENCE_MS: i64 = 60_000;
/// How far the bounds of the offset may widen per second since they were found: more than clocks drift apart.
const DRIFT_PER_SECOND_MS: f64 = 0.2;

/// Where a request's answer says what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The receiver's clock, cut to whole seconds.
    pub date: SystemTime,
    /// When the request went out, by [`uptime`].
    pub sent: Duration,
    /// When the answer came.
    pub received: Duration,
}

/// Gives samples their time.
#[derive(Debug)]
pub struct Clock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Unix time less uptime, in milliseconds.
    offset: i64,
    /// What it was at the start, or when the receiver last said what time it is.
    sound: i64,
    /// The wall clock's offset when it was last looked at.
    wall_offset: i64,
    /// Between these the receiver's offset lies, and since when (uptime).
    bounds: Option<(f64, f64, Duration)>,
    last_stamp: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that agrees with the wall clock until a receiver says otherwise.
    pub fn new() -> Self {
        let offset = wall_ms() - millis(uptime());
        let state = State {
            offset,
            sound: offset,
            wall_offset: offset,
            bounds: None,
            last_stamp: i64::MIN,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Unix time in milliseconds, as the receiver would say it.
    pub fn now_ms(&self) -> i64 {
        let uptime = millis(uptime());
        self.locked(|state| state.offset + uptime)
    }

    /// The time for the samples of one scrape, in milliseconds of Unix time. It is above all earlier ones, unless the
    /// clock turned out to have been more than a minute ahead.
    pub fn stamp(&self) -> i64 {
        let (uptime, wall) = (millis(uptime()), wall_ms());
        self.locked(|state| state.stamp(uptime, wall))
    }

    /// Says what the last stamp was before this start, so that the next one is above it.
    pub fn resume_after(&self, stamp_ms: i64) {
        self.locked(|state| state.last_stamp = state.last_stamp.max(stamp_ms));
    }

    /// Takes what the receiver's clock said.
    pub fn observe(&self, reading: &Reading) {
        let Some(date) = unix_ms(reading.date) else { return };
        self.locked(|state| state.observe(date, reading.sent, reading.received));
    }

    /// Whether the receiver said what time it is, and the wall clock was not set forward since.
    pub fn is_certain(&self) -> bool {
        self.locked(|state| state.bounds.is_some())
    }

    /// How far this machine's wall clock is ahead of the receiver's; `None` before the receiver said anything.
    pub fn skew(&self) -> Option<f64> {
        let wall_offset = wall_ms() - millis(uptime());
        self.locked(|state| state.skew(wall_offset))
            .map(|ms| ms as f64 / 1000.0)
    }

    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn stamp(&mut self, uptime: i64, wall: i64) -> i64 {
        let wall_offset = wall - uptime;
        let step = wall_offset - self.wall_offset;
        if step.abs() >= STEP_MS {
            tracing::warn!(seconds = step as f64 / 1000.0, "the wall clock was set");
            self.wall_offset = wall_offset;
            if step > 0 {
                // It slept; what the receiver said before no longer holds, unless it said so after the sleep.
                self.offset = (self.offset + step).min(self.offset.max(wall_offset));
                self.bounds = None;
            } else {
                // A step forward that was wrong is taken back; what was sound before stays.
                self.offset = (self.offset + step).max(self.sound).min(self.offset);
            }
        }
        let now = self.offset + uptime;
        let behind = self.last_stamp.saturating_sub(now);
        self.last_stamp = if (0..=PATIENCE_MS).contains(&behind) {
            self.last_stamp + 1
        } else {
            now
        };
        self.last_stamp
    }

    /// The receiver answered between `sent` and `received`, in the second that begins with `date`.
    fn observe(&mut self, date: i64, sent: Duration, received: Duration) {
        let low = (date - millis(received)) as f64;
        let high = (date + 1000 - millis(sent)) as f64;
        if low > high {
            return;
        }
        let (low, high) = match self.bounds {
            Some((known_low, known_high, since)) => {
                let slack = received.saturating_sub(since).as_secs_f64() * DRIFT_PER_SECOND_MS;
                let (tight_low, tight_high) = (low.max(known_low - slack), high.min(known_high + slack));
                // Clocks that no longer agree with what was known were set.
                if tight_low <= tight_high {
                    (tight_low, tight_high)
                } else {
                    (low, high)
                }
            }
            None => (low, high),
        };
        self.bounds = Some((low, high, received));
        let offset = self.offset as f64;
        if (low..=high).contains(&offset) {
            self.sound = self.offset;
            return;
        }
        let middle = f64::midpoint(low, high);
        if (middle - offset).abs() >= STEP_MS as f64 {
            tracing::warn!(
                seconds = (middle - offset) / 1000.0,
                "the clock is corrected to the receiver's"
            );
        }
        self.offset = whole(middle);
        self.sound = self.offset;
    }

    fn skew(&self, wall_offset: i64) -> Option<i64> {
        let (low, high, _) = self.bounds?;
        let wall = wall_offset as f64;
        // Within what the receiver's whole seconds can tell there is none.
        Some(whole(wall - wall.clamp(low, high)))
    }
}

/// Time since boot, sleep included; it is never set.
pub fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

fn wall_ms() -> i64 {
    unix_ms(SystemTime::now()).unwrap_or_default()
}

fn unix_ms(time: SystemTime) -> Option<i64> {
    time.duration_since(UNIX_EPOCH).ok().map(millis)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds of Unix time are far below 2^53"
)]
fn whole(ms: f64) -> i64 {
    ms.round() as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    /// The wall clock at boot.
    const BOOT: i64 = 1_700_000_000_000;

    fn state() -> State {
        State {
            offset: BOOT,
            sound: BOOT,
            wall_offset: BOOT,
            bounds: None,
            last_stamp: i64::MIN,
        }
    }

    fn at(ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(ms).expect("after boot"))
    }

    /// An answer of a receiver whose clock is so far ahead of the wall clock at boot.
    fn answer(state: &mut State, ahead: i64, sent: i64, received: i64) {
        let date = (BOOT + ahead + i64::midpoint(sent, received)) / 1000 * 1000;
        state.observe(date, at(sent), at(received));
    }

    #[test]
    fn stamps_rise_though_the_wall_clock_steps_back() {
        let mut state = state();
        let mut last = 0;
        for (uptime, wall) in [
            (1000, 1000),
            (2000, 1000),
            (2000, -9000),
            (2001, -50_000),
            (3000, 3000),
        ] {
            let stamp = state.stamp(uptime, BOOT + wall);
            assert!(stamp > last);
            last = stamp;
        }
        assert!(last - (BOOT + 3000) < 50_010, "{last}");
    }

    #[test]
    fn after_a_sleep_the_wall_clock_is_followed() {
        let mut state = state();
        state.stamp(1000, BOOT + 1000);
        assert_eq!(
            state.stamp(2000, BOOT + 2000 + 5 * HOUR_MS),
            BOOT + 2000 + 5 * HOUR_MS
        );
    }

    #[test]
    fn a_step_forward_may_be_taken_back() {
        let mut state = state();
        state.stamp(1000, BOOT + 1000);
        state.stamp(2000, BOOT + 2000 + 30 * HOUR_MS);
        assert_eq!(state.stamp(3000, BOOT + 3000), BOOT + 3000);
        assert_eq!(state.stamp(4000, BOOT + 4000 - 2 * HOUR_MS), BOOT + 4000);
    }

    #[test]
    fn only_the_receiver_makes_it_certain_and_a_step_ends_that() {
        let mut state = state();
        answer(&mut state, 0, 1000, 1010);
        state.stamp(2000, BOOT + 2000);
        assert!(state.bounds.is_some());
        state.stamp(3000, BOOT + 3000 + 30 * HOUR_MS);
        assert!(state.bounds.is_none(), "a sleep, or a clock that was set wrong");
    }

    #[test]
    fn after_a_sleep_receiver_and_wall_clock_do_not_add_up() {
        let mut state = state();
        answer(&mut state, 0, 1000, 1010);
        // Both clocks stood still; the receiver is asked before the wall clock is set.
        answer(&mut state, 5 * HOUR_MS, 2000, 2010);
        let stamp = state.stamp(3000, BOOT + 3000);
        assert!((stamp - (BOOT + 3000 + 5 * HOUR_MS)).abs() < 1100);
        let stamp = state.stamp(4000, BOOT + 4000 + 5 * HOUR_MS);
        assert!((stamp - (BOOT + 4000 + 5 * HOUR_MS)).abs() < 1100);
    }

    #[test]
    fn the_receiver_is_right() {
        let mut state = state();
        let before = state.stamp(1000, BOOT + 1000);
        answer(&mut state, -2 * HOUR_MS, 2000, 2010);
        let after = state.stamp(3000, BOOT + 3000);
        assert!(
            (after - (BOOT + 3000 - 2 * HOUR_MS)).abs() < 1100,
            "it goes back, since {before} was wrong"
        );
        let skew = state.skew(BOOT).expect("known");
        assert!((skew - 2 * HOUR_MS).abs() < 1100, "{skew}");
    }

    #[test]
    fn a_little_ahead_is_waited_out() {
        let mut state = state();
        let before = state.stamp(1000, BOOT + 1000);
        answer(&mut state, -20_000, 2000, 2010);
        assert_eq!(state.stamp(3000, BOOT + 3000), before + 1);
        assert!(state.stamp(60_000, BOOT + 60_000) > BOOT + 38_000);
    }

    #[test]
    fn whole_seconds_alone_are_no_skew() {
        let mut state = state();
        for second in 1..100 {
            answer(&mut state, 300, second * 1370, second * 1370 + 20);
        }
        assert_eq!(state.skew(BOOT).map(|skew| skew.abs() < 1000), Some(true));
        assert!((state.offset - BOOT).abs() < 1000);
    }

    proptest! {
        #[test]
        fn it_comes_near_the_receivers_clock(
            ahead in -HOUR_MS..HOUR_MS,
            requests in proptest::collection::vec((0_i64..60_000, 0_i64..200), 20..60),
        ) {
            let mut state = state();
            let mut now = 1000;
            for (pause, took) in requests {
                now += pause;
                answer(&mut state, ahead, now, now + took);
                now += took;
                prop_assert!((state.offset - BOOT - ahead).abs() <= 1200, "{}", state.offset - BOOT - ahead);
            }
        }
    }
}
