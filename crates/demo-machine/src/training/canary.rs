//! The results of the canary set, and the baseline that they are compared with.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use training_exporter::canary::{Baseline, Measurement};

use crate::files;
use crate::story::{Course, Moment};

/// How often the set is run.
const EVERY: Duration = Duration::from_secs(30);
/// Its figure in thousandths: 4 % worse in the burst, where 10 % would be forgetting.
const PERFORMANCE: Course = Course::new(840, 840, 806, 832);
/// Each app's difference to the mean, in thousandths; together they are none.
const APPS: [(&str, i64); 5] = [
    ("calculator", 90),
    ("chess", -70),
    ("invoice", 40),
    ("maze", -80),
    ("notes", 20),
];
const SAMPLES: u64 = 25;

/// The canary set of a folder.
pub(super) struct Canary {
    path: PathBuf,
    waited: Duration,
}

/// Pins what the set scores when nothing disturbs, unless something is pinned.
pub(super) fn prepare(folder: &Path) -> anyhow::Result<()> {
    let path = crate::canary(folder).join("baseline.json");
    if path.exists() {
        return Ok(());
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let result: Measurement = serde_json::from_str(&result(PERFORMANCE.idle, now))?;
    let baseline = Baseline {
        sha256: result.sha256(),
        accepted_at: now,
        accepted_by: "demo-machine".to_owned(),
        why: "what the canary set scores when nothing disturbs".to_owned(),
        result,
    };
    files::replace(&path, serde_json::to_string_pretty(&baseline)?)
}

impl Canary {
    pub(super) fn resume(folder: &Path) -> Self {
        Self {
            path: crate::canary_results(folder),
            waited: EVERY,
        }
    }

    /// A checkpoint that has just been saved is measured at once.
    pub(super) fn advance(&mut self, moment: &Moment, has_saved: bool) -> anyhow::Result<()> {
        self.waited += moment.elapsed;
        if self.waited < EVERY && !has_saved {
            return Ok(());
        }
        self.waited = Duration::ZERO;
        let performance = moment.scene.steady(PERFORMANCE);
        files::replace(&self.path, result(performance, moment.unix().as_secs_f64()))
    }
}

fn result(performance: u64, timestamp: f64) -> String {
    let share = |thousandths: i64| thousandths as f64 / 1000.0;
    let performance = i64::try_from(performance).unwrap_or_default();
    let apps: serde_json::Map<String, serde_json::Value> = APPS
        .iter()
        .map(|(app, difference)| ((*app).to_owned(), json!(share(performance + difference))))
        .collect();
    json!({
        "performance": share(performance),
        "samples": SAMPLES,
        "apps": apps,
        "timestamp": timestamp,
    })
    .to_string()
}
