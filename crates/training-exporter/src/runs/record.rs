//! What every source yields, whatever its format: records of a step with numbers under tags.

use super::state::{Activity, is_end};

/// A longer tag is cut, in bytes: it is a label's value.
const LONGEST_TAG: usize = 200;
/// Unix times in seconds lie between these: from 2001 to 2286. Larger ones are milliseconds.
const SECONDS: std::ops::Range<f64> = 1e9..1e10;
const MILLISECONDS: std::ops::Range<f64> = 1e12..1e13;

/// One entry of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    pub(crate) step: Option<f64>,
    /// Stands for the step where there is none.
    epoch: Option<f64>,
    /// When it was written, as it says itself, in Unix seconds.
    pub(crate) time: Option<f64>,
    /// After which step the run is done.
    pub(crate) last_step: Option<f64>,
    /// What the trainer says that it does.
    pub(crate) activity: Option<Activity>,
    /// The trainer says that it is done.
    pub(crate) is_end: bool,
    /// The trainer's process.
    pub(crate) pid: Option<u32>,
    /// The machine that the process is on.
    pub(crate) host: Option<String>,
    /// Numbers, which may be infinite or none, under their tags.
    pub(crate) scalars: Vec<(String, f64)>,
}

impl Record {
    /// A record of a step that says when it was written.
    pub(crate) fn at(step: f64, time: Option<f64>) -> Self {
        Self {
            step: Some(step),
            time,
            ..Self::default()
        }
    }

    /// Takes a number under its name in the trainer's log: the step, the time, the last step, or a scalar.
    pub(crate) fn number(&mut self, name: &str, value: f64) {
        match name {
            "step"
            | "global_step"
            | "current_steps"
            | "iter"
            | "iteration"
            | "_step"
            | "trainer/global_step" => {
                if value.is_finite() {
                    self.step.get_or_insert(value);
                }
            }
            "total_steps" | "max_steps" => {
                if value.is_finite() && value > 0.0 {
                    self.last_step = Some(value);
                }
            }
            "time" | "timestamp" | "ts" | "wall_time" | "_timestamp" if unix_time(value).is_some() => {
                self.time = unix_time(value);
            }
            "pid" => self.pid = pid(value),
            "epoch" if value.is_finite() => {
                self.epoch = Some(value);
                self.scalar(name, value);
            }
            _ => self.scalar(name, value),
        }
    }

    /// Takes a word under its name: only those of the state and the machine say something.
    pub(crate) fn word(&mut self, name: &str, word: &str) {
        match name {
            "state" | "status" => {
                self.is_end |= is_end(word);
                self.activity = Activity::from_word(word).or(self.activity);
            }
            "host" | "hostname" => self.host = Some(word.to_owned()),
            _ => {}
        }
    }

    /// Takes a number that is none of those that the log itself is about.
    pub(crate) fn scalar(&mut self, tag: &str, value: f64) {
        let cut = tag.floor_char_boundary(LONGEST_TAG);
        self.scalars.push((tag[..cut].to_owned(), value));
    }

    /// Whether it shows that what it is in is the log of a run.
    pub(crate) fn tells_a_run(&self) -> bool {
        self.step.is_some() || self.pid.is_some()
    }

    /// The record, when it can be told where in a run this is: what has no step, or nothing but a step, is no entry of a
    /// run's log.
    pub(crate) fn whole(mut self) -> Option<Self> {
        self.step = self.step.or(self.epoch);
        let is_entry = self.step.is_some() && (!self.scalars.is_empty() || self.last_step.is_some());
        (is_entry || self.is_end || self.activity.is_some() && self.pid.is_some()).then_some(self)
    }
}

fn unix_time(value: f64) -> Option<f64> {
    if SECONDS.contains(&value) {
        Some(value)
    } else if MILLISECONDS.contains(&value) {
        Some(value / 1000.0)
    } else {
        None
    }
}

fn pid(value: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and in range"
    )]
    (value.fract() == 0.0 && (1.0..=f64::from(i32::MAX)).contains(&value)).then_some(value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_where_they_belong() {
        let mut record = Record::default();
        for (name, value) in [
            ("loss", 0.5),
            ("step", 7.0),
            ("global_step", 8.0),
            ("max_steps", -1.0),
            ("time", 12.0),
            ("ts", 1.8e12),
            ("pid", 4.5),
            ("lr", f64::NAN),
        ] {
            record.number(name, value);
        }
        assert_eq!(
            (record.step, record.last_step, record.pid),
            (Some(7.0), None, None)
        );
        assert_eq!(record.time, Some(1.8e9));
        let tags: Vec<_> = record.scalars.iter().map(|(tag, _)| tag.as_str()).collect();
        assert_eq!(tags, ["loss", "time", "lr"]);
        assert!(record.whole().is_some());
    }

    #[test]
    fn what_has_no_step_is_of_no_run() {
        let mut record = Record::default();
        record.number("price", 1.0);
        assert_eq!(record.clone().whole(), None);
        record.word("name", "finished");
        assert_eq!(record.clone().whole(), None);
        record.word("state", "finished");
        assert!(record.whole().is_some_and(|record| record.is_end));
    }

    #[test]
    fn the_epoch_stands_for_a_step_that_is_missing() {
        let mut record = Record::default();
        record.number("epoch", 3.0);
        record.number("loss", 1.0);
        assert_eq!(record.clone().whole().and_then(|record| record.step), Some(3.0));
        record.number("step", 70.0);
        assert_eq!(record.whole().and_then(|record| record.step), Some(70.0));
    }

    #[test]
    fn tags_are_cut_between_characters() {
        let mut record = Record::default();
        record.scalar(&"é".repeat(300), 1.0);
        assert_eq!(record.scalars[0].0, "é".repeat(100));
    }
}
