//! How one source of a run gets on: its step, its pace, and how long it may be silent.
//!
//! Pure: the caller brings all times, as Unix seconds; durations are seconds. Use it so, at every look at the source:
//!
//! ```text
//! for each new record: track.record(step, when it was written, if it says so);
//! once all was read:   track.looked(now, when the file was last written);
//! ```
//!
//! and hand the track to [`super::state::judge`]. Records may come long after they were written: a writer may hold them
//! back, and files that are written at checkpoints bring hundreds at once. How long that takes is measured and added
//! to the time that a source may be silent; a writer that holds nothing back is found out after three intervals.

use super::recent::Recent;

/// A source that is silent for so many of its usual intervals has stalled.
const INTERVALS: f64 = 3.0;
/// The delay of a writer varies with when it is looked at; the next one may be so much longer than any before.
const DELAYS: f64 = 1.5;
/// So many arrivals tell how long a writer holds records back.
const ENOUGH_ARRIVALS: usize = 3;
/// So many intervals tell what is usual.
const ENOUGH_INTERVALS: usize = 2;
/// Times of a clock that is further ahead than this are not believed, in seconds.
const AHEAD: f64 = 60.0;

/// The progress of one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    grace: f64,
    /// Records of lower steps than the last one are no progress.
    is_rising: bool,
    is_rewound: bool,
    step: Option<f64>,
    /// How far the last step led.
    stride: f64,
    /// When the last record was written, as it says itself.
    time: Option<f64>,
    progress: Option<f64>,
    intervals: Recent,
    step_seconds: Recent,
    delays: Recent,
    looked: Option<f64>,
    modified: Option<f64>,
    new: New,
}

/// What came since the last look.
#[derive(Clone, Debug, Default)]
struct New {
    records: u32,
    /// When the first of them was written, as it says itself.
    first: Option<f64>,
    /// The step before them.
    before: Option<f64>,
}

impl Track {
    /// A source whose writer holds records back for up to `grace` seconds by default. That is allowed for until it has
    /// been measured.
    pub(crate) fn new(grace: f64) -> Self {
        Self {
            grace,
            ..Self::default()
        }
    }

    /// The same for a source whose records count different things: only the one that counts highest is progress.
    pub(super) fn rising(grace: f64) -> Self {
        Self {
            is_rising: true,
            ..Self::new(grace)
        }
    }

    /// The next record may have any step: the trainer has started again.
    pub(super) fn rewind(&mut self) {
        self.is_rewound = true;
    }

    /// Whether the trainer has started again and not made a step yet.
    pub(super) fn is_starting(&self) -> bool {
        self.is_rewound && self.step.is_some()
    }

    /// Takes a record with its step and, where it says so, when it was written. Another step than the last one is
    /// progress, a lower one too: the trainer went back to a checkpoint.
    pub(crate) fn record(&mut self, step: f64, time: Option<f64>) {
        let is_back = self.step.is_some_and(|last| step < last);
        if self.step == Some(step) || self.is_rising && is_back && !self.is_rewound {
            return;
        }
        self.is_rewound = false;
        let ahead = self.step.map(|last| step - last);
        if let (Some(time), Some(before)) = (time, self.time)
            && time > before
        {
            self.pace(time - before, 1.0, ahead);
        }
        if self.new.records == 0 {
            self.new.before = self.step;
            self.new.first = time;
        }
        self.new.records = self.new.records.saturating_add(1);
        self.stride = ahead.map_or(0.0, |ahead| ahead.max(0.0));
        self.step = Some(step);
        self.time = time;
    }

    /// Ends a look at which all that is there was read; `modified` is when the source was last written.
    pub(crate) fn looked(&mut self, now: f64, modified: f64) {
        let new = std::mem::take(&mut self.new);
        if new.records > 0 {
            let last = self.time.filter(|time| *time <= now + AHEAD);
            let last = last.unwrap_or(modified).min(now);
            if self.time.is_none()
                && let Some(before) = self.modified
                && last > before
            {
                let ahead = new.before.zip(self.step).map(|(before, step)| step - before);
                self.pace(last - before, f64::from(new.records), ahead);
            }
            self.measure_delay(&new, last);
            self.progress = Some(last);
            self.modified = Some(modified.min(now));
        }
        self.looked = Some(now);
    }

    fn pace(&mut self, seconds: f64, records: f64, steps: Option<f64>) {
        self.intervals.push(seconds / records);
        if let Some(steps) = steps.filter(|steps| *steps > 0.0) {
            self.step_seconds.push(seconds / steps);
        }
    }

    /// What was written before the last look and was not there then had been held back by the writer.
    fn measure_delay(&mut self, new: &New, last: f64) {
        let Some(looked) = self.looked else { return };
        let interval = self.intervals.median().unwrap_or(0.0);
        let first = new.first.unwrap_or_else(|| {
            let first = last - f64::from(new.records - 1) * interval;
            self.modified.map_or(first, |before| first.max(before))
        });
        self.delays.push((looked - first - interval).max(0.0));
    }

    /// The last step.
    pub(crate) fn step(&self) -> Option<f64> {
        self.step
    }

    /// When the last record was written, as it says itself.
    pub(super) fn time(&self) -> Option<f64> {
        self.time
    }

    /// The step that the next record would have.
    pub(super) fn next_step(&self) -> Option<f64> {
        self.step.map(|step| step + self.stride)
    }

    /// When the last record was written.
    pub(crate) fn progress(&self) -> Option<f64> {
        self.progress
    }

    /// How long a step usually takes, the median of the last ones.
    pub(crate) fn step_seconds(&self) -> Option<f64> {
        self.step_seconds.median()
    }

    /// After how much silence the next record is late.
    pub(super) fn usual_silence(&self) -> Option<f64> {
        self.silence(1.0)
    }

    /// How long the source may be silent; `None` while its pace is not known.
    pub(crate) fn longest_silence(&self) -> Option<f64> {
        self.silence(INTERVALS)
    }

    fn silence(&self, intervals: f64) -> Option<f64> {
        if self.intervals.len() < ENOUGH_INTERVALS {
            return None;
        }
        let delay = DELAYS * self.delays.largest().unwrap_or(0.0);
        let delay = if self.delays.len() < ENOUGH_ARRIVALS {
            delay.max(self.grace)
        } else {
            delay
        };
        Some(intervals * self.intervals.median()? + delay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A writer of one record each `interval` that writes them out each `burst`, looked at each `scrape`.
    fn followed(interval: f64, burst: f64, scrape: f64, until: f64, is_timed: bool) -> (Track, Vec<f64>) {
        let mut track = Track::new(0.0);
        let mut written = 0.0;
        let mut lags = Vec::new();
        let (mut step, mut now) = (0.0, 1000.0);
        while now < until {
            let flushed = (now / burst).floor() * burst;
            while (step + 1.0) * interval <= flushed {
                step += 1.0;
                track.record(step, is_timed.then_some(step * interval));
                written = flushed;
            }
            track.looked(now, written);
            lags.extend(track.progress().map(|progress| now - progress));
            now += scrape;
        }
        (track, lags)
    }

    #[test]
    fn a_prompt_writer_may_be_silent_for_three_intervals() {
        for is_timed in [false, true] {
            for (interval, scrape) in [(1.0, 15.0), (1.0, 1.0), (20.0, 15.0), (300.0, 15.0)] {
                let (track, _) = followed(interval, interval, scrape, 4000.0, is_timed);
                let longest = track.longest_silence().expect("a pace");
                assert!(
                    (longest - 3.0 * interval).abs() < 0.2 * interval,
                    "{longest} for {interval}"
                );
                let step = track.step_seconds().expect("a pace");
                assert!(
                    (step - interval).abs() < 0.07 * interval,
                    "{step}, not {interval}"
                );
            }
        }
    }

    #[test]
    fn a_writer_that_holds_back_is_not_taken_for_silent() {
        for is_timed in [false, true] {
            for burst in [16.0, 20.0, 50.0, 120.0, 1000.0] {
                for scrape in [1.0, 15.0, 60.0] {
                    let (track, lags) = followed(1.0, burst, scrape, 40_000.0, is_timed);
                    let longest = track.longest_silence().expect("a pace");
                    let lag = lags.iter().skip(lags.len() / 2).copied().fold(0.0, f64::max);
                    assert!(
                        lag <= longest,
                        "silent for {lag}, allowed {longest}, bursts of {burst} seen each {scrape}, timed: {is_timed}"
                    );
                    assert!(
                        longest <= 3.0 + 1.5 * burst + scrape,
                        "{longest} for bursts of {burst}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_default_delay_is_allowed_for_until_it_is_measured() {
        let mut track = Track::new(120.0);
        for step in 0..10 {
            track.record(f64::from(step), Some(f64::from(step)));
        }
        track.looked(9.5, 9.0);
        assert_eq!(track.longest_silence(), Some(123.0));
        for step in 10..13 {
            track.record(f64::from(step), Some(f64::from(step)));
            track.looked(f64::from(step) + 0.5, f64::from(step));
        }
        assert_eq!(track.longest_silence(), Some(3.0));
    }

    #[test]
    fn a_clock_that_is_far_ahead_is_not_believed() {
        let mut track = Track::new(0.0);
        track.record(1.0, Some(5000.0));
        track.looked(1000.0, 990.0);
        assert_eq!(track.progress(), Some(990.0));
        track.record(2.0, Some(1040.0));
        track.looked(1010.0, 1009.0);
        assert_eq!(track.progress(), Some(1010.0));
    }

    #[test]
    fn only_the_highest_count_of_several_is_progress() {
        let mut track = Track::rising(0.0);
        for (step, time) in [(100.0, 1.0), (3.0, 1.5), (101.0, 2.0), (3.0, 2.5)] {
            track.record(step, Some(time));
        }
        assert_eq!((track.step(), track.time()), (Some(101.0), Some(2.0)));
        track.rewind();
        track.record(50.0, Some(9.0));
        track.record(4.0, Some(9.5));
        assert_eq!(track.step(), Some(50.0));
    }

    #[test]
    fn going_back_to_a_checkpoint_is_progress_without_a_pace() {
        let mut track = Track::new(0.0);
        track.record(700.0, Some(10.0));
        track.record(500.0, Some(20.0));
        track.record(500.0, Some(25.0));
        track.looked(25.0, 25.0);
        assert_eq!((track.step(), track.progress()), (Some(500.0), Some(20.0)));
        assert_eq!(track.step_seconds(), None);
    }

    proptest! {
        #[test]
        fn any_records_give_finite_numbers(
            records in proptest::collection::vec((any::<f64>(), proptest::option::of(any::<f64>()), any::<f64>()), 0..40)
        ) {
            let mut track = Track::new(1.0);
            for (i, (step, time, modified)) in records.into_iter().enumerate() {
                track.record(step, time);
                track.looked(i as f64, modified);
                let progress = track.progress().expect("progress");
                prop_assert!(progress <= i as f64 || progress.is_nan());
                prop_assert!(track.longest_silence().is_none_or(|silence| silence >= 0.0));
                prop_assert!(track.step_seconds().is_none_or(|seconds| seconds >= 0.0));
            }
        }
    }
}
