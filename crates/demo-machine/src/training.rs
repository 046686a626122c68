//! A training that goes on for ever: the metrics file of its trainer, the calls of the LLM orchestra, the canary set,
//! and runs of two other trainers. In the burst, when the machine has other things to do, steps take longer and the
//! canary set does a little worse, though never so much that anybody would call it forgetting.

mod canary;
mod lines;
mod metrics;
mod orchestra;
mod runs;

use std::path::Path;
use std::time::Duration;

use self::canary::Canary;
use self::metrics::Trainer;
use self::orchestra::Orchestra;
use self::runs::Runs;
use crate::machine::Part;
use crate::story::{Course, Moment};

/// Thousandths by which everything takes longer.
const SLOWNESS: Course = Course::new(1_000, 1_050, 1_500, 1_100);

/// What trains in a folder.
pub(crate) struct Training {
    trainer: Trainer,
    orchestra: Orchestra,
    canary: Canary,
    runs: Runs,
}

/// Makes what training-exporter would compare with: the canary set's baseline, unless there is one.
pub(crate) fn prepare(folder: &Path) -> anyhow::Result<()> {
    canary::prepare(folder)
}

impl Part for Training {
    const NAME: &'static str = "training runs";
    const EVERY: Duration = Duration::from_secs(2);

    fn resume(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            trainer: Trainer::resume(folder),
            orchestra: Orchestra::resume(folder),
            canary: Canary::resume(folder),
            runs: Runs::resume(folder),
        })
    }

    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        let has_saved = self.trainer.advance(moment)?;
        self.orchestra.advance(moment)?;
        self.canary.advance(moment, has_saved)?;
        self.runs.advance(moment)
    }
}

/// How far the training has come after so many steps: 0 at first, 1 never.
fn progress(step: u64) -> f64 {
    let step = step as f64;
    step / (step + 400.0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::story::Scene;

    fn bytes(folder: &Path) -> u64 {
        let entries = fs::read_dir(folder).expect("a folder");
        let size = |path: &Path| {
            if path.is_dir() {
                bytes(path)
            } else {
                path.metadata().expect("a file").len()
            }
        };
        entries.map(|entry| size(&entry.expect("an entry").path())).sum()
    }

    #[test]
    fn its_files_stay_small_and_runs_begin_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut training = Training::resume(folder.path()).expect("resume");
        let mut shortest = usize::MAX;
        for second in (0..4 * 3600).step_by(2) {
            let moment = Moment {
                scene: Scene::at(Duration::from_secs(second)),
                elapsed: Training::EVERY,
                now: UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second),
            };
            training.advance(&moment).expect("advance");
            if second > 3600 {
                let log = fs::read_to_string(crate::runs(folder.path()).join("lora-7b/trainer_log.jsonl"));
                shortest = shortest.min(log.expect("the log").lines().count());
            }
        }
        assert!(bytes(folder.path()) < 4 << 20, "{}", bytes(folder.path()));
        assert!(shortest < 5, "{shortest}");
    }
}
