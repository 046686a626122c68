//! What `latest_metrics.json` said over time: counters that never go back, whatever the trainer does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reading::{Checkpoint, Reading};
use crate::histogram::Histogram;

/// Phases beyond this many are counted as `other`.
const MAX_PHASES: usize = 32;

/// Upper bounds of `cet_training_duration_seconds`: from a small model's step to one with a test run in it.
pub(crate) const DURATION_BUCKETS: [f64; 15] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// All that was counted, and what it was counted from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Book {
    /// A hash of the version that was counted last, so that none is counted twice.
    version: Option<String>,
    phase: String,
    step: Option<u64>,
    apps: Option<u64>,
    checkpoint: Option<Checkpoint>,
    pub(crate) phases: BTreeMap<String, Phase>,
    /// `None` until the file says something about checkpoints.
    pub(crate) checkpoints: Option<u64>,
    /// Versions with a value that is infinite or no number, by the value's name.
    pub(crate) nonfinite: BTreeMap<String, u64>,
}

/// The counters of one phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Phase {
    pub(crate) steps: Option<u64>,
    pub(crate) apps: Option<u64>,
    pub(crate) durations: Histogram,
}

impl Book {
    /// Counts a version, and gives the name under which its phase is counted.
    pub(crate) fn count(&mut self, version: &str, reading: &Reading) -> String {
        let is_known = self.phases.contains_key(&reading.phase);
        let name = if is_known || self.phases.len() < MAX_PHASES {
            reading.phase.clone()
        } else {
            "other".to_owned()
        };
        if self.version.as_deref() == Some(version) {
            return name;
        }
        self.version = Some(version.to_owned());
        let is_new_phase = self.phase != reading.phase;
        self.phase.clone_from(&reading.phase);
        let steps = gain(&mut self.step, reading.step, is_new_phase);
        let apps = gain(&mut self.apps, reading.apps, is_new_phase);
        let phase = self.phases.entry(name.clone()).or_default();
        add(&mut phase.steps, steps);
        add(&mut phase.apps, apps);
        // A version that repeats a step repeats its duration, too.
        let is_new_step = reading.step.is_none() || steps.is_some_and(|gained| gained > 0);
        if let Some(duration) = reading.step_duration_seconds.filter(|_| is_new_step) {
            phase.durations.observe(&DURATION_BUCKETS, duration);
        }
        self.count_checkpoints(reading.checkpoint);
        for (scalar, value) in &reading.scalars {
            let count = self.nonfinite.entry((*scalar).to_owned()).or_default();
            *count += u64::from(!value.is_finite());
        }
        name
    }

    fn count_checkpoints(&mut self, checkpoint: Option<Checkpoint>) {
        let Some(checkpoint) = checkpoint else { return };
        let earlier = self.checkpoint.replace(checkpoint);
        let gained = match (checkpoint.count, earlier.and_then(|earlier| earlier.count)) {
            (Some(now), Some(before)) => now.saturating_sub(before),
            (Some(now), None) => now.saturating_sub(self.checkpoints.unwrap_or(0)),
            (None, _) => {
                let place = |checkpoint: Checkpoint| (checkpoint.step, checkpoint.timestamp);
                u64::from(earlier.map(place) != Some(place(checkpoint)))
            }
        };
        add(&mut self.checkpoints, Some(gained));
    }
}

/// What a number gained since the last version. One that went back was resumed from a checkpoint, and counts on from
/// there; or it counts a new phase from 0.
fn gain(last: &mut Option<u64>, now: Option<u64>, is_new_phase: bool) -> Option<u64> {
    let now = now?;
    match last.replace(now) {
        Some(last) if now < last => Some(if is_new_phase { now } else { 0 }),
        last => Some(now - last.unwrap_or(0)),
    }
}

fn add(total: &mut Option<u64>, gained: Option<u64>) {
    if let Some(gained) = gained {
        *total = Some(total.unwrap_or(0).saturating_add(gained));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(phase: &str, step: Option<u64>) -> Reading {
        Reading {
            phase: phase.to_owned(),
            step,
            step_duration_seconds: Some(2.0),
            ..Reading::default()
        }
    }

    /// The book after these versions: phase and step.
    fn book(versions: &[(&str, u64)]) -> Book {
        let mut book = Book::default();
        for (i, (phase, step)) in versions.iter().enumerate() {
            book.count(&i.to_string(), &reading(phase, Some(*step)));
        }
        book
    }

    fn steps(book: &Book, phase: &str) -> Option<u64> {
        book.phases[phase].steps
    }

    #[test]
    fn steps_add_up_over_resumes_and_phases() {
        assert_eq!(steps(&book(&[("p", 10), ("p", 15), ("p", 15)]), "p"), Some(15));
        // Resumed from the checkpoint of step 10: five steps are done again.
        assert_eq!(steps(&book(&[("p", 15), ("p", 10), ("p", 16)]), "p"), Some(21));
        // A phase counts on, or from 0.
        let on = book(&[("p", 100), ("q", 103)]);
        assert_eq!((steps(&on, "p"), steps(&on, "q")), (Some(100), Some(3)));
        let anew = book(&[("p", 100), ("q", 3)]);
        assert_eq!((steps(&anew, "p"), steps(&anew, "q")), (Some(100), Some(3)));
    }

    #[test]
    fn a_version_counts_once_and_a_step_has_one_duration() {
        let mut book = Book::default();
        for (version, step) in [("a", 1), ("a", 1), ("b", 1), ("c", 2)] {
            book.count(version, &reading("p", Some(step)));
        }
        let json = |book: &Book| serde_json::to_value(&book.phases["p"].durations).expect("JSON");
        assert_eq!(json(&book)["count"], 2);
        book.count("d", &reading("p", None));
        assert_eq!(json(&book)["count"], 3);
        assert_eq!(steps(&book, "p"), Some(2));
    }

    #[test]
    fn checkpoints_are_counted_by_the_trainer_or_by_us() {
        let saved = |step, count| Reading {
            checkpoint: Some(Checkpoint {
                step: Some(step),
                timestamp: None,
                count,
            }),
            ..reading("p", None)
        };
        let mut book = Book::default();
        let mut count = |version: &str, reading: &Reading| {
            book.count(version, reading);
            book.checkpoints
        };
        assert_eq!(count("a", &reading("p", None)), None);
        assert_eq!(count("b", &saved(10, None)), Some(1));
        assert_eq!(count("c", &saved(10, None)), Some(1));
        assert_eq!(count("d", &saved(20, None)), Some(2));
        assert_eq!(count("e", &saved(30, Some(7))), Some(7));
        assert_eq!(count("f", &saved(40, Some(8))), Some(8));
        // A trainer that begins to count anew.
        assert_eq!(count("g", &saved(10, Some(1))), Some(8));
        assert_eq!(count("h", &saved(20, Some(2))), Some(9));
    }

    #[test]
    fn phases_are_capped() {
        let mut book = Book::default();
        for i in 0..100 {
            book.count(&i.to_string(), &reading(&format!("phase{i}"), Some(i)));
        }
        assert_eq!(book.phases.len(), MAX_PHASES + 1);
        assert_eq!(book.count("x", &reading("phase99", Some(200))), "other");
    }

    proptest! {
        #[test]
        fn counters_never_go_back(
            versions in prop::collection::vec((0..3_usize, any::<Option<u64>>(), any::<f64>(), any::<Option<u64>>()), 0..30)
        ) {
            let mut book = Book::default();
            let mut last: Vec<u64> = vec![0; 8];
            for (i, (phase, step, duration, count)) in versions.into_iter().enumerate() {
                let checkpoint = Some(Checkpoint { step, timestamp: None, count });
                let reading = Reading {
                    step_duration_seconds: Some(duration),
                    apps: count,
                    checkpoint,
                    ..reading(["a", "b", "c"][phase], step)
                };
                book.count(&i.to_string(), &reading);
                let mut now: Vec<u64> = ["a", "b", "c"]
                    .iter()
                    .filter_map(|name| book.phases.get(*name))
                    .flat_map(|phase| [phase.steps.unwrap_or(0), phase.apps.unwrap_or(0)])
                    .collect();
                now.sort_unstable();
                now.reverse();
                now.resize(7, 0);
                now.push(book.checkpoints.unwrap_or(0));
                let mut earlier = last.clone();
                earlier.truncate(7);
                prop_assert!(now.iter().zip(&earlier).all(|(now, before)| now >= before));
                prop_assert!(now[7] >= last[7]);
                last = now;
            }
        }
    }
}
