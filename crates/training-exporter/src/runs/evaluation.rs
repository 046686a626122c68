//! The evaluations of a run: after how many steps they come and how long they take, learned from those before.
//!
//! Trainers say nothing while they evaluate, and write down the result at its end. A run that evaluates every 500 steps
//! is expected to do so again at the next 500; its silence there is no stall until it is three times as long as the
//! longest evaluation so far.

use super::recent::Recent;
use super::track::Track;

const LENGTHS: f64 = 3.0;

/// What is known of a run's evaluations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evaluations {
    last: Option<f64>,
    period: Option<f64>,
    lengths: Recent,
}

impl Evaluations {
    /// Takes the result of an evaluation at a step.
    pub(crate) fn record(&mut self, step: f64) {
        match self.last {
            Some(last) if step > last => self.period = Some(step - last),
            // The trainer went back to a checkpoint.
            Some(last) if step < last => self.period = None,
            // The first one comes after as many steps as those behind it.
            None if step > 0.0 => self.period = Some(step),
            _ => {}
        }
        self.last = Some(step);
    }

    /// Takes how long an evaluation took, in seconds.
    pub(crate) fn took(&mut self, seconds: f64) {
        if seconds > 0.0 {
            self.lengths.push(seconds);
        }
    }

    /// Whether the next evaluation is due and its result is not there. Where the steps of the records do not meet those
    /// of the evaluations, it is under way when the record behind it is late.
    pub(super) fn is_under_way(&self, track: &Track, silence: f64) -> bool {
        let Some(due) = self.last.zip(self.period).map(|(last, period)| last + period) else {
            return false;
        };
        let is_late = track.usual_silence().is_some_and(|usual| silence > usual);
        track.step().is_some_and(|step| step >= due)
            || is_late && track.next_step().is_some_and(|next| next >= due)
    }

    /// The longest that one may take, in seconds; 0 while no length is known.
    pub(super) fn longest(&self) -> f64 {
        LENGTHS * self.lengths.largest().unwrap_or(0.0)
    }
}

/// Whether a tag is of an evaluation: `eval_loss`, `val/accuracy`, `Loss/test`.
pub(crate) fn is_evaluation(tag: &str) -> bool {
    let mut words = tag.split(['/', '_', '.', '-', ' ']);
    let is_word = |word: &str| {
        ["eval", "val", "valid", "validation", "test", "evaluation"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    };
    words.next().is_some_and(is_word) || words.next_back().is_some_and(is_word)
}

/// Whether a tag says how long an evaluation took, in seconds, as the trainer of Hugging Face does.
pub(crate) fn is_length(tag: &str) -> bool {
    matches!(tag, "eval_runtime" | "eval/runtime")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::state::{Signs, State, judge};

    #[test]
    fn tags_of_evaluations_are_known() {
        for tag in [
            "eval_loss",
            "eval/loss",
            "val_acc",
            "Loss/test",
            "validation/x",
            "loss_val",
        ] {
            assert!(is_evaluation(tag), "{tag}");
        }
        for tag in [
            "loss",
            "train/loss",
            "learning_rate",
            "value",
            "evaluated",
            "latest",
            "",
        ] {
            assert!(!is_evaluation(tag), "{tag}");
        }
    }

    /// Records each `stride` steps of one second, an evaluation of 60 s each 100 steps.
    fn evaluated(stride: u32, until: u32) -> (Track, Evaluations, f64) {
        let mut track = Track::new(0.0);
        let mut evaluations = Evaluations::default();
        let mut now = 0.0;
        for step in 1..=until {
            now += 1.0;
            if step % stride == 0 {
                track.record(f64::from(step), Some(now));
                track.looked(now, now);
            }
            if step % 100 == 0 && step < until {
                now += 60.0;
                evaluations.record(f64::from(step));
                evaluations.took(60.0);
            }
        }
        (track, evaluations, now)
    }

    #[test]
    fn an_evaluation_is_no_stall_until_it_takes_much_longer_than_before() {
        // With 30, the last record before step 300 is at 270 or so, and the next one would be at 300.
        for (stride, until) in [(10, 300), (30, 300)] {
            let (track, evaluations, now) = evaluated(stride, until);
            let tracks = [&track];
            let signs = Signs {
                tracks: &tracks,
                evaluations: Some(&evaluations),
                ..Signs::default()
            };
            assert_eq!(judge(now + 59.0, &signs), State::Evaluating, "{stride}");
            assert_eq!(judge(now + 300.0, &signs), State::Stalled, "{stride}");
        }
    }

    #[test]
    fn between_evaluations_a_stall_is_one() {
        let (track, evaluations, now) = evaluated(10, 250);
        let tracks = [&track];
        let signs = Signs {
            tracks: &tracks,
            evaluations: Some(&evaluations),
            ..Signs::default()
        };
        assert_eq!(judge(now + 5.0, &signs), State::Running);
        assert_eq!(judge(now + 31.0, &signs), State::Stalled);
    }

    #[test]
    fn one_evaluation_tells_when_the_next_one_comes_and_none_tells_nothing() {
        for (until, state) in [(100, State::Stalled), (200, State::Evaluating)] {
            let (track, evaluations, now) = evaluated(10, until);
            let tracks = [&track];
            let signs = Signs {
                tracks: &tracks,
                evaluations: Some(&evaluations),
                ..Signs::default()
            };
            assert_eq!(judge(now + 59.0, &signs), state, "{until}");
        }
    }
}
