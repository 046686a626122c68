//! How the run behind `latest_metrics.json` gets on: it is a run like any other, called `cet`.

use std::collections::BTreeMap;

use exporter::{Family, Metric};

use super::reading::Reading;
use super::watch::Current;
use crate::runs::loss::Loss;
use crate::runs::page;
use crate::runs::process::{Claim, Processes};
use crate::runs::state::{Activity, Signs, State, is_end, judge};
use crate::runs::track::Track;

/// The run's name, and what it is read from.
const RUN: [&str; 1] = ["cet"];
const SOURCE: &str = "metrics";

/// The pace of the versions of the file, and the health of its loss.
#[derive(Debug)]
pub(crate) struct Progress {
    track: Track,
    loss: Loss,
    /// Stands for the step where the file has none.
    versions: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            // What the trainer writes is there at once.
            track: Track::new(0.0),
            loss: Loss::default(),
            versions: 0,
        }
    }

    /// Takes a version, which was written at `updated`, Unix time in seconds.
    pub(crate) fn take(&mut self, reading: &Reading, updated: f64) {
        self.versions += 1;
        let step = reading.step.unwrap_or(self.versions) as f64;
        self.track.record(step, Some(updated));
        if let Some(loss) = reading.scalars.get("loss") {
            self.loss.record("loss", Some(step), *loss);
        }
    }

    /// Ends a look at the file, whose last version was written at `updated`.
    pub(crate) fn looked(&mut self, now: f64, updated: f64) {
        self.track.looked(now, updated);
    }

    /// What the run does now, by what its last version says.
    fn state(&self, now: f64, current: &Current, processes: &Processes) -> State {
        let reading = &current.reading;
        let word = reading.state.as_deref().unwrap_or_default();
        let is_here = reading
            .host
            .as_deref()
            .is_none_or(|host| host == processes.host());
        let claim = Claim {
            pid: reading.pid.filter(|_| is_here),
            since: current.updated,
        };
        judge(
            now,
            &Signs {
                tracks: &[&self.track],
                is_done: is_end(word),
                process: processes.state(&[claim]),
                activity: Activity::from_word(word).unwrap_or_default(),
                ..Signs::default()
            },
        )
    }

    /// The families that all runs have.
    pub(crate) fn families(&self, now: f64, current: &Current, processes: &Processes) -> Vec<Family> {
        let state = self.state(now, current, processes);
        let of = |metric: &Metric<1>, value: Option<f64>| metric.family(value.map(|value| (RUN, value)));
        let checkpoint = current
            .reading
            .checkpoint
            .and_then(|checkpoint| checkpoint.timestamp);
        let is_frozen = self
            .loss
            .is_frozen()
            .map(|is_frozen| f64::from(u8::from(is_frozen)));
        vec![
            page::states([(RUN[0], state)]),
            page::INFO.family([([RUN[0], SOURCE], 1.0)]),
            of(&page::STEP, current.reading.step.map(|step| step as f64)),
            of(&page::STEP_SECONDS, self.track.step_seconds()),
            of(&page::PROGRESS, self.track.progress()),
            of(&page::CHECKPOINT, checkpoint),
            of(&page::FROZEN, is_frozen),
            of(&page::DIVERGENCE, self.loss.divergence()),
        ]
    }
}

/// How often each value was infinite or no number.
pub(crate) fn nonfinite(counts: &BTreeMap<String, u64>) -> Family {
    page::NONFINITE.family(
        counts
            .iter()
            .map(|(tag, count)| ([RUN[0], tag.as_str()], *count as f64)),
    )
}
