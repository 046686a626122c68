//! The canary set's metrics.

use exporter::{Family, Kind, Metric, Unit};

use super::compare::Direction;
use super::decision::{Decision, State};
use super::keeper::{Board, Shown};
use super::measurement::Measurement;
use super::reason::Cause;
use super::results::Outcome;

/// Apps on the page: those that do worst.
const MOST_APPS: usize = 100;

const PERFORMANCE: Metric<0> = Metric::gauge(
    "canary_set_performance",
    Unit::None,
    "The last result's figure, until it is stale.",
    [],
);
const BASELINE: Metric<0> = Metric::gauge("canary_set_baseline", Unit::None, "The accepted figure.", []);
const DEGRADATION: Metric<0> = Metric::gauge(
    "canary_set_performance_degradation",
    Unit::None,
    "How much of the baseline was lost, 0.1 is a tenth; while nothing is known, the last drop beyond the limit.",
    [],
);
const STATE: Metric<1> = Metric::gauge(
    "canary_set_state",
    Unit::None,
    "1 for the state that the canary set is in: pass, degraded, fail, inconclusive.",
    ["state"],
);
const INCONCLUSIVE: Metric<1> = Metric::gauge(
    "canary_inconclusive",
    Unit::None,
    "1 for each reason why the canary set is inconclusive.",
    ["reason"],
);
const APP: Metric<1> = Metric::contract(
    Kind::Gauge,
    "canary_app_pass_rate",
    "The last result's figure of an app, until it is stale; of the worst hundred.",
    ["app"],
);
const WORST_APP: Metric<1> = Metric::gauge(
    "canary_worst_app_degradation",
    Unit::None,
    "How much the app that lost most has lost of its baseline.",
    ["app"],
);
const SAMPLES: Metric<0> = Metric::gauge(
    "canary_samples",
    Unit::None,
    "How many samples the last result is the mean of, until it is stale.",
    [],
);
const LAST_RUN: Metric<0> = Metric::gauge(
    "canary_last_run_timestamp_seconds",
    Unit::Seconds,
    "When the last result was measured, Unix time.",
    [],
);
const BASELINE_TIME: Metric<0> = Metric::gauge(
    "canary_baseline_timestamp_seconds",
    Unit::Seconds,
    "When the baseline was accepted, Unix time.",
    [],
);
const RUNS: Metric<1> = Metric::counter(
    "canary_runs_total",
    Unit::None,
    "Runs that ended: ok, failed, timeout, invalid, too_large, not_started.",
    ["outcome"],
);

pub(super) fn families(board: &Board) -> Vec<Family> {
    let runs = Outcome::ALL.iter().zip(board.runs);
    let mut families = vec![RUNS.family(runs.map(|(outcome, runs)| ([outcome.word()], runs as f64)))];
    if let Some(shown) = &board.shown {
        families.extend(decision(&shown.decision));
        families.extend(figures(shown));
    }
    families
}

fn decision(decision: &Decision) -> [Family; 4] {
    let flag = |is: bool| f64::from(u8::from(is));
    let worst = decision
        .comparison
        .as_ref()
        .and_then(|comparison| comparison.worst_app.as_ref());
    [
        STATE.family(State::ALL.map(|state| ([state.word()], flag(state == decision.state)))),
        INCONCLUSIVE.family(Cause::INCONCLUSIVE.map(|cause| ([cause.word()], flag(decision.has(cause))))),
        DEGRADATION.maybe(decision.degradation),
        WORST_APP.family(worst.map(|worst| ([worst.app.as_str()], worst.degradation))),
    ]
}

fn figures(shown: &Shown) -> [Family; 6] {
    let (last, baseline) = (shown.results.result.as_ref(), shown.pin.baseline());
    let is_old = shown.decision.has(Cause::Stale) || shown.decision.has(Cause::FromTheFuture);
    let result = last.filter(|_| !is_old);
    let direction = shown.decision.limits.direction;
    [
        PERFORMANCE.maybe(result.map(|result| result.performance)),
        SAMPLES.maybe(
            result
                .and_then(Measurement::known_samples)
                .map(|samples| samples as f64),
        ),
        APP.family(
            result
                .map(|result| worst_apps(result, direction))
                .unwrap_or_default(),
        ),
        LAST_RUN.maybe(last.map(|result| result.timestamp)),
        BASELINE.maybe(baseline.map(|baseline| baseline.result.performance)),
        BASELINE_TIME.maybe(baseline.map(|baseline| baseline.accepted_at)),
    ]
}

fn worst_apps(result: &Measurement, direction: Direction) -> Vec<([&str; 1], f64)> {
    let mut apps: Vec<_> = result
        .apps
        .iter()
        .map(|(app, rate)| ([app.as_str()], *rate))
        .collect();
    apps.sort_by(|(_, one), (_, other)| match direction {
        Direction::Higher => one.total_cmp(other),
        Direction::Lower => other.total_cmp(one),
    });
    apps.truncate(MOST_APPS);
    apps.sort_by_key(|(app, _)| *app);
    apps
}
