//! The families of `latest_metrics.json`.

use exporter::{Family, Kind, Metric, NameError, Unit};

use super::book::{Book, DURATION_BUCKETS, Phase};
use super::progress;
use super::watch::Current;

const LOSS: Metric<1> = Metric::gauge(
    "cet_training_loss",
    Unit::None,
    "Training loss of the current phase.",
    ["phase"],
);
const REWARD: Metric<1> = Metric::gauge(
    "cet_training_reward",
    Unit::None,
    "Reward of the current phase.",
    ["phase"],
);
const PASS_RATE: Metric<1> = Metric::gauge(
    "cet_test_pass_rate",
    Unit::None,
    "Mean share of tests that pass, 0 to 1, of the current phase.",
    ["phase"],
);
const VARIANCE: Metric<1> = Metric::gauge(
    "cet_reconstruction_variance",
    Unit::None,
    "Variance between implementations, of the current phase.",
    ["phase"],
);
const STEPS: Metric<1> = Metric::counter(
    "cet_training_steps_total",
    Unit::None,
    "Training steps of each phase, with those that were done again after a resume from a checkpoint.",
    ["phase"],
);
const DURATION: Metric<1> = Metric::histogram(
    "cet_training_duration_seconds",
    Unit::Seconds,
    "Duration of training steps: one observation for each version of the file with a new step.",
    ["phase"],
);
const LAST_UPDATE: Metric<1> = Metric::contract(
    Kind::Gauge,
    "cet_training_last_update_timestamp",
    "When the trainer last wrote the metrics file, Unix time in seconds.",
    ["phase"],
);
const APPS: Metric<1> = Metric::counter(
    "cet_training_apps_total",
    Unit::None,
    "Apps that training went through, by phase.",
    ["phase"],
);
const APP_PASS_RATE: Metric<1> = Metric::gauge(
    "cet_app_pass_rate",
    Unit::None,
    "Share of an app's tests that pass, 0 to 1: the ten best and the ten worst apps.",
    ["app"],
);
const COMPATIBILITY: Metric<0> = Metric::gauge(
    "cet_api_compatibility_ratio",
    Unit::Ratio,
    "Share of the original's API that implementations keep, 0 to 1.",
    [],
);
const CHECKPOINTS: Metric<0> = Metric::counter(
    "cet_checkpoints_total",
    Unit::None,
    "Checkpoints that were written.",
    [],
);
const CHECKPOINT_LAST: Metric<0> = Metric::gauge(
    "cet_checkpoint_last_timestamp_seconds",
    Unit::Seconds,
    "When the newest checkpoint was written, Unix time.",
    [],
);
const AT_RISK: Metric<0> = Metric::gauge(
    "cet_checkpoint_steps_at_risk",
    Unit::None,
    "Steps since the newest checkpoint: what would be lost if training ended now.",
    [],
);

/// Apps of either end.
const APPS_SHOWN: usize = 10;

/// What the file says now.
pub(crate) fn current(current: &Current) -> Vec<Family> {
    let reading = &current.reading;
    let phase = || [current.phase.as_str()];
    let scalar = |name: &str| {
        reading
            .scalars
            .get(name)
            .copied()
            .filter(|value| value.is_finite())
    };
    let of_phase = |metric: &Metric<1>, name| metric.family(scalar(name).map(|value| (phase(), value)));
    let checkpoint = reading.checkpoint.unwrap_or_default();
    let at_risk = reading
        .step
        .zip(checkpoint.step)
        .and_then(|(step, saved)| step.checked_sub(saved));
    // From the lowest, so what is in the middle is left out.
    let apps = reading.per_app.iter().enumerate();
    let shown = apps.filter(|(i, _)| *i < APPS_SHOWN || i + APPS_SHOWN >= reading.per_app.len());
    vec![
        of_phase(&LOSS, "loss"),
        of_phase(&REWARD, "reward"),
        of_phase(&PASS_RATE, "test_pass_rate"),
        of_phase(&VARIANCE, "variance"),
        LAST_UPDATE.family([(phase(), current.updated)]),
        APP_PASS_RATE.family(shown.map(|(_, (app, rate))| ([app.as_str()], *rate))),
        COMPATIBILITY.maybe(scalar("api_compatibility")),
        CHECKPOINT_LAST.maybe(checkpoint.timestamp),
        AT_RISK.maybe(at_risk.map(|steps| steps as f64)),
    ]
}

/// What was counted.
pub(crate) fn counted(book: &Book) -> Result<Vec<Family>, NameError> {
    let by_phase = |metric: &Metric<1>, value: fn(&Phase) -> Option<u64>| {
        metric.family(
            book.phases
                .iter()
                .filter_map(|(name, phase)| Some(([name.as_str()], value(phase)? as f64))),
        )
    };
    let no_numbers: [([&str; 1], f64); 0] = [];
    let mut durations = DURATION.family(no_numbers);
    for (name, phase) in book
        .phases
        .iter()
        .filter(|(_, phase)| !phase.durations.is_empty())
    {
        phase
            .durations
            .push(&mut durations, &[("phase", name)], &DURATION_BUCKETS)?;
    }
    Ok(vec![
        by_phase(&STEPS, |phase| phase.steps),
        by_phase(&APPS, |phase| phase.apps),
        durations,
        CHECKPOINTS.maybe(book.checkpoints.map(|count| count as f64)),
        progress::nonfinite(&book.nonfinite),
    ])
}
