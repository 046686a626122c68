//! What a run's records say, whatever source they come from: the last number under each tag, and what follows from it.

use std::collections::BTreeMap;

use super::evaluation::{Evaluations, is_evaluation, is_length};
use super::loss::Loss;
use super::record::Record;
use super::state::Activity;
use super::track::Track;

/// Tags of one run beyond these are left out.
pub(crate) const MOST_TAGS: usize = 100;

/// The numbers of one run.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) scalars: BTreeMap<String, Scalar>,
    /// Numbers that were left out because there are too many tags.
    pub(crate) left_out: u64,
    pub(crate) loss: Loss,
    pub(crate) evaluations: Evaluations,
    pub(crate) activity: Activity,
    /// The process that a record named last.
    pub(crate) pid: Option<u32>,
    /// The machine that the process is on, where it was named.
    pub(crate) host: Option<String>,
    last_step: Option<f64>,
    /// There was an evaluation whose length its records do not tell.
    has_evaluated: bool,
    /// The last record says that the run is done.
    end: Option<End>,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct End {
    /// When its record was written, as it says itself.
    pub(crate) time: Option<f64>,
}

/// The numbers under one tag.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scalar {
    /// The source that was the first to bring the tag. Others say the same once more.
    source: Option<&'static str>,
    /// The last one that is a number.
    pub(crate) last: Option<f64>,
    /// How many were infinite or no numbers.
    pub(crate) nonfinite: u64,
}

/// How a record is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is new.
    New,
    /// It was there before: its file was written anew. What is counted was counted then.
    Known,
}

impl Board {
    /// Takes a record of the source that the track belongs to.
    pub(crate) fn take(&mut self, record: &Record, track: &mut Track, kind: Kind, source: &'static str) {
        let (before, began) = (track.step(), track.time());
        if let Some(step) = record.step {
            track.record(step, record.time);
        }
        if let Some(activity) = record.activity {
            self.activity = activity;
        }
        if record.pid.is_some() {
            self.pid = record.pid;
            self.host.clone_from(&record.host);
        }
        self.last_step = record.last_step.or(self.last_step);
        let has_moved = track.step() != before;
        let is_last = record
            .step
            .zip(self.last_step)
            .is_some_and(|(step, last)| step >= last);
        if record.is_end || has_moved || record.last_step.is_some() {
            self.end = (record.is_end || is_last).then_some(End { time: record.time });
        }
        for (tag, value) in &record.scalars {
            self.scalar(tag, *value, record.step, kind, source);
        }
        if let Some(step) = record.step
            && record.scalars.iter().any(|(tag, _)| is_evaluation(tag))
        {
            self.evaluations.record(step);
            match record.time.zip(began) {
                Some((time, began)) => self.evaluations.took(time - began),
                None => self.has_evaluated = true,
            }
        }
    }

    fn scalar(&mut self, tag: &str, value: f64, step: Option<f64>, kind: Kind, source: &'static str) {
        let owner = self.scalars.get(tag).and_then(|known| known.source);
        if owner.is_some_and(|owner| owner != source) {
            return;
        }
        self.loss.record(tag, step, value);
        if is_length(tag) {
            self.evaluations.took(value);
        }
        if !self.scalars.contains_key(tag) {
            if self.scalars.len() == MOST_TAGS {
                self.left_out += 1;
                return;
            }
            self.scalars.insert(tag.to_owned(), Scalar::default());
        }
        if let Some(scalar) = self.scalars.get_mut(tag) {
            scalar.source = Some(source);
            if value.is_finite() {
                scalar.last = Some(value);
            } else if kind == Kind::New {
                scalar.nonfinite += 1;
            }
        }
    }

    /// Forgets what a source said: its files are gone, or another run writes them now. What was counted stays.
    pub(crate) fn forget(&mut self, source: &str) {
        for (tag, scalar) in &mut self.scalars {
            if scalar.source == Some(source) {
                (scalar.source, scalar.last) = (None, None);
                if self.loss.tag() == Some(tag) {
                    self.loss = Loss::default();
                }
            }
        }
    }

    /// Ends a look that brought records `seconds` after those before.
    pub(crate) fn looked(&mut self, seconds: Option<f64>) {
        if std::mem::take(&mut self.has_evaluated)
            && let Some(seconds) = seconds
        {
            self.evaluations.took(seconds);
        }
    }

    /// Whether the records since the last call end with the end of the run.
    pub(crate) fn take_end(&mut self) -> Option<End> {
        self.end.take()
    }
}
