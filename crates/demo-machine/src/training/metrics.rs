//! `latest_metrics.json`, which the trainer of the demo rewrites after each step.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{SLOWNESS, progress};
use crate::files;
use crate::story::Moment;

/// Steps between two checkpoints: two minutes.
const BETWEEN_CHECKPOINTS: u64 = 60;
/// What a step takes when nothing disturbs, in seconds.
const STEP: f64 = 1.8;
/// Apps whose tests are run; enough for a top and a bottom ten.
const APPS: [&str; 24] = [
    "address-book",
    "blog",
    "calculator",
    "calendar",
    "chat",
    "chess",
    "clock",
    "crossword",
    "dictionary",
    "diary",
    "editor",
    "expenses",
    "forum",
    "gallery",
    "invoice",
    "kanban",
    "mailer",
    "maze",
    "notes",
    "player",
    "poll",
    "recipes",
    "router",
    "weather",
];

/// The trainer of a folder.
pub(super) struct Trainer {
    path: PathBuf,
    state: State,
}

/// What the trainer's next step depends on: a part of the file itself, in which it is found again.
#[derive(Default, Serialize, Deserialize)]
struct State {
    step: u64,
    checkpoint: Option<Checkpoint>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Checkpoint {
    step: u64,
    timestamp: f64,
    count: u64,
}

impl Trainer {
    /// As the file says; from the start where there is none, or another one.
    pub(super) fn resume(folder: &Path) -> Self {
        let path = crate::metrics(folder);
        let text = fs::read(&path).unwrap_or_default();
        Self {
            state: serde_json::from_slice(&text).unwrap_or_default(),
            path,
        }
    }

    /// Makes a step; says whether a checkpoint was saved.
    pub(super) fn advance(&mut self, moment: &Moment) -> anyhow::Result<bool> {
        let state = &mut self.state;
        state.step += 1;
        let has_saved = state.step.is_multiple_of(BETWEEN_CHECKPOINTS) || state.checkpoint.is_none();
        if has_saved {
            let count = state.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.count) + 1;
            let timestamp = moment.unix().as_secs_f64();
            let step = state.step;
            state.checkpoint = Some(Checkpoint {
                step,
                timestamp,
                count,
            });
        }
        files::replace(&self.path, text(state, moment))?;
        Ok(has_saved)
    }
}

fn text(state: &State, moment: &Moment) -> String {
    let unrest = moment.scene.unrest as f64 / 1000.0;
    let progress = progress(state.step);
    let rate = |app: usize| (0.84 + 0.12 * progress - 0.2 * (app * 7 % 24) as f64 / 24.0).clamp(0.0, 1.0);
    let apps: Vec<(&str, f64)> = (0..).zip(APPS).map(|(i, app)| (app, rate(i))).collect();
    let mean = apps.iter().map(|(_, rate)| rate).sum::<f64>() / apps.len() as f64;
    let per_app: serde_json::Map<String, serde_json::Value> = apps
        .iter()
        .map(|(app, rate)| ((*app).to_owned(), json!(rate)))
        .collect();
    let slowness = moment.scene.steady(SLOWNESS) as f64 / 1000.0;
    json!({
        "phase": "phase3",
        "loss": (2.4 - 2.0 * progress) * unrest,
        "reward": (0.2 + 0.6 * progress) * unrest,
        "test_pass_rate": mean,
        "variance": 0.06 - 0.03 * progress,
        "step": state.step,
        "step_duration_seconds": STEP * slowness * unrest,
        "apps": state.step / 4,
        "per_app": per_app,
        "api_compatibility": 0.85 + 0.1 * progress,
        "checkpoint": state.checkpoint,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::story::Scene;

    fn moment(second: u64) -> Moment {
        Moment {
            scene: Scene::at(Duration::from_secs(second)),
            elapsed: Duration::from_secs(2),
            now: UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second),
        }
    }

    #[test]
    fn steps_go_on_after_a_restart_and_checkpoints_with_them() {
        let folder = tempfile::tempdir().expect("a folder");
        for second in 0..130 {
            // Switched off and on at every step.
            Trainer::resume(folder.path())
                .advance(&moment(second))
                .expect("a step");
        }
        let text = fs::read(crate::metrics(folder.path())).expect("the file");
        let metrics: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(metrics["step"], 130);
        // The first, and those after 60 and 120 steps.
        assert_eq!(metrics["checkpoint"]["count"], 3);
        assert_eq!(metrics["checkpoint"]["step"], 120);
        assert_eq!(metrics["per_app"].as_object().map(serde_json::Map::len), Some(24));
    }

    #[test]
    fn nothing_that_the_trainer_says_is_alarming() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut trainer = Trainer::resume(folder.path());
        let mut least = f64::INFINITY;
        for second in 0..2_000 {
            trainer.advance(&moment(second)).expect("a step");
            let text = fs::read(crate::metrics(folder.path())).expect("the file");
            let metrics: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            let loss = metrics["loss"].as_f64().expect("a number");
            assert!(loss > 0.3 && loss < least * 1.1, "{loss} after {least}");
            least = least.min(loss);
        }
        let text = fs::read_to_string(crate::metrics(folder.path())).expect("the file");
        assert!(text.contains("\"variance\":0.03"), "{text}");
    }
}
