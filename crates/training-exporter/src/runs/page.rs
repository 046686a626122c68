//! The families of runs. What is not known is absent.

use exporter::{Family, Labels, Metric, Unit};

use super::run::Run;
use super::state::State;

const SCALAR: Metric<2> = Metric::gauge(
    "training_scalar",
    Unit::None,
    "The last finite number that the trainer logged under this tag, in the trainer's own unit.",
    ["run", "tag"],
);
pub(crate) const NONFINITE: Metric<2> = Metric::counter(
    "training_nonfinite_total",
    Unit::None,
    "Numbers under this tag that were infinite or not a number, as far as the run's files go back.",
    ["run", "tag"],
);
pub(crate) const STEP: Metric<1> = Metric::gauge(
    "training_step",
    Unit::None,
    "The last step that was logged.",
    ["run"],
);
pub(crate) const STEP_SECONDS: Metric<1> = Metric::gauge(
    "training_step_seconds",
    Unit::Seconds,
    "How long a step takes, the median of the last ones that were logged.",
    ["run"],
);
/// Of `latest_metrics.json` too, whose run is called `cet`.
pub(crate) const STATE: Metric<2> = Metric::gauge(
    "training_run_state",
    Unit::None,
    "What the run does; the state it is in is 1, the others are 0.",
    ["run", "state"],
);
pub(crate) const PROGRESS: Metric<1> = Metric::gauge(
    "training_last_progress_timestamp_seconds",
    Unit::Seconds,
    "When the last step was logged, Unix time.",
    ["run"],
);
pub(crate) const CHECKPOINT: Metric<1> = Metric::gauge(
    "training_checkpoint_last_timestamp_seconds",
    Unit::Seconds,
    "When the last checkpoint was written, Unix time.",
    ["run"],
);
/// Of `latest_metrics.json` too.
pub(crate) const INFO: Metric<2> = Metric::gauge(
    "training_run_info",
    Unit::None,
    "The runs and what they are read from; always 1.",
    ["run", "source"],
);
pub(crate) const FROZEN: Metric<1> = Metric::gauge(
    "training_loss_frozen",
    Unit::None,
    "Whether the training loss is exactly the same while the steps go on, as where a filter replaces what is no number.",
    ["run"],
);
pub(crate) const DIVERGENCE: Metric<1> = Metric::gauge(
    "training_loss_divergence_ratio",
    Unit::Ratio,
    "The moving average of the training loss over the lowest that it was.",
    ["run"],
);
const SCALARS_LEFT_OUT: Metric<1> = Metric::counter(
    "training_scalars_dropped_total",
    Unit::None,
    "Numbers that were left out because their run has too many tags.",
    ["run"],
);
const LEFT_OUT: Metric<0> = Metric::gauge(
    "training_runs_dropped",
    Unit::None,
    "Folders that are not read because there are too many.",
    [],
);

/// One series per state; the one that the run is in is 1.
pub(crate) fn states<'a>(runs: impl IntoIterator<Item = (&'a str, State)>) -> Family {
    STATE.family(runs.into_iter().flat_map(|(run, now)| {
        State::ALL.map(|state| ([run, state.word()], f64::from(u8::from(state == now))))
    }))
}

/// A run that is on the page.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Labels<1>,
    pub(crate) run: &'a Run,
}

impl<'a> Row<'a> {
    pub(crate) fn new(name: &'a str, run: &'a Run) -> Self {
        Self {
            name,
            labels: STEP.labels([name]),
            run,
        }
    }
}

/// All families.
pub(crate) fn families(rows: &[Row<'_>], left_out: usize) -> Vec<Family> {
    let of = |metric: &Metric<1>, value: &dyn Fn(&Run) -> Option<f64>| {
        metric.family(rows.iter().filter_map(|row| Some((&row.labels, value(row.run)?))))
    };
    let mut families = vec![
        states(rows.iter().filter_map(|row| Some((row.name, row.run.state?)))),
        INFO.family(
            rows.iter()
                .flat_map(|row| row.run.sources().map(|source| ([row.name, source], 1.0))),
        ),
        of(&STEP, &Run::step),
        of(&STEP_SECONDS, &Run::step_seconds),
        of(&PROGRESS, &Run::progress),
        of(&CHECKPOINT, &|run| run.checkpoint),
        of(&FROZEN, &|run| {
            run.board.loss.is_frozen().map(|is| f64::from(u8::from(is)))
        }),
        of(&DIVERGENCE, &|run| run.board.loss.divergence()),
        of(&SCALARS_LEFT_OUT, &|run| Some(run.board.left_out as f64)),
        LEFT_OUT.value(left_out as f64),
    ];
    families.extend(scalars(rows));
    families
}

fn scalars(rows: &[Row<'_>]) -> [Family; 2] {
    let all: Vec<_> = rows
        .iter()
        .flat_map(|row| {
            row.run
                .board
                .scalars
                .iter()
                .map(|(tag, scalar)| (row.name, tag, scalar))
        })
        .map(|(run, tag, scalar)| (SCALAR.labels([run, tag]), scalar))
        .collect();
    [
        SCALAR.family(
            all.iter()
                .filter_map(|(labels, scalar)| Some((labels, scalar.last?))),
        ),
        NONFINITE.family(
            all.iter()
                .map(|(labels, scalar)| (labels, scalar.nonfinite as f64)),
        ),
    ]
}
