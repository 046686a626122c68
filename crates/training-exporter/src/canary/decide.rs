//! What the evidence says: a pure function from results, baseline and time to a decision.
//!
//! Missing evidence is never a pass. It is no acquittal either: a drop beyond the limit stands until a result that can
//! be compared replaces it, or another baseline is accepted.

use std::time::Duration;

use super::baseline::Pin;
use super::checkpoint::Checkpoint;
use super::compare::Comparison;
use super::decision::{Decision, Limits, State};
use super::measurement::Measurement;
use super::reason::{Cause, Reason};
use super::results::Results;
use super::standing::Standing;

/// From this share of the limit on, worse is worth mentioning.
const NOTABLE: f64 = 0.5;
/// One result beyond the limit may be chance, this many in a row are not.
const CONFIRMED: u32 = 2;
/// A result may be this far in the future, since clocks of two machines differ; in seconds.
const AHEAD: f64 = 60.0;

/// Everything that a decision rests on.
pub(super) struct Evidence<'a> {
    pub(super) limits: &'a Limits,
    pub(super) pin: &'a Pin,
    pub(super) results: &'a Results,
    pub(super) newest_checkpoint: Option<&'a Checkpoint>,
    /// Unix time in seconds.
    pub(super) now: f64,
}

/// Decides. `earlier` is what the decision before it left.
pub(super) fn decide(evidence: &Evidence, earlier: &Standing) -> Decision {
    let limits = evidence.limits;
    let mut standing = earlier.with(evidence.pin);
    let (mut reasons, comparison) = match compare(evidence) {
        Ok(comparison) => (Vec::new(), Some(comparison)),
        Err(reasons) => (reasons, None),
    };
    if let (Some(comparison), Some(result)) = (&comparison, &evidence.results.result) {
        standing.count(result, comparison, limits);
    }
    reasons.extend(older_than_checkpoint(evidence));
    reasons.extend(failed_run(evidence.results));
    let state = if reasons.is_empty() {
        judge(comparison.as_ref(), limits, standing.failures, &mut reasons)
    } else {
        State::Inconclusive
    };
    let degradation = match state {
        State::Inconclusive => standing.held,
        _ => comparison.as_ref().map(|comparison| comparison.degradation),
    };
    let recommendation = recommend(state, &reasons, &standing);
    Decision {
        state,
        recommendation,
        reasons,
        decided_at: evidence.now,
        degradation,
        comparison,
        result_sha256: evidence.results.result.as_ref().map(Measurement::sha256),
        baseline_sha256: evidence.pin.baseline().map(|baseline| baseline.sha256.clone()),
        newest_checkpoint: evidence.newest_checkpoint.cloned(),
        limits: limits.clone(),
        standing,
    }
}

/// The result beside the baseline, or everything that stands against comparing them.
fn compare(evidence: &Evidence) -> Result<Comparison, Vec<Reason>> {
    let mut reasons = Vec::new();
    let limits = evidence.limits;
    if evidence.results.result.is_none() {
        reasons.push(Reason::new(Cause::NoResult, "there was no result yet"));
    }
    match evidence.pin {
        Pin::Missing => reasons.push(Reason::new(Cause::NoBaseline, "no baseline was accepted")),
        Pin::Changed(what) => reasons.push(Reason::new(Cause::BaselineChanged, what)),
        Pin::Accepted(_) => {}
    }
    if let Some(result) = &evidence.results.result {
        reasons.extend(age(result, limits, evidence.now));
        let (samples, least) = (result.known_samples(), limits.min_samples);
        if samples.unwrap_or(0) < least {
            let samples = samples.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
            let text = format!("the result is of {samples} samples, and {least} are the least");
            reasons.push(Reason::new(Cause::TooFewSamples, text));
        }
        if let Some(text) = evidence
            .pin
            .baseline()
            .and_then(|baseline| other_apps(result, &baseline.result))
        {
            reasons.push(Reason::new(Cause::OtherApps, text));
        }
    }
    match (&evidence.results.result, evidence.pin.baseline()) {
        (Some(result), Some(baseline)) if reasons.is_empty() => {
            Ok(Comparison::new(result, &baseline.result, limits.direction))
        }
        _ => Err(reasons),
    }
}

fn age(result: &Measurement, limits: &Limits, now: f64) -> Option<Reason> {
    if result.timestamp > now + AHEAD {
        let text = "the result is from the future: a clock was set back, or its timestamp is wrong";
        return Some(Reason::new(Cause::FromTheFuture, text));
    }
    let most = limits.stale_after_seconds;
    (now - result.timestamp > most).then(|| {
        let most = Duration::try_from_secs_f64(most).unwrap_or_default();
        Reason::new(Cause::Stale, format!("the result is older than {most:?}"))
    })
}

/// The mean of other apps is another figure.
fn other_apps(result: &Measurement, baseline: &Measurement) -> Option<String> {
    if baseline.apps.is_empty() {
        return None;
    }
    let missing = baseline.apps.keys().find(|app| !result.apps.contains_key(*app));
    let new = result.apps.keys().find(|app| !baseline.apps.contains_key(*app));
    match (missing, new) {
        (Some(app), _) => Some(format!("the result lacks {app:?}, which the baseline has")),
        (None, Some(app)) => Some(format!("the result has {app:?}, which the baseline lacks")),
        (None, None) => None,
    }
}

fn older_than_checkpoint(evidence: &Evidence) -> Option<Reason> {
    let (result, newest) = (evidence.results.result.as_ref()?, evidence.newest_checkpoint?);
    (!newest.is_covered_by(result)).then(|| {
        let text = format!("the result is older than the newest checkpoint, {newest}");
        Reason::new(Cause::OlderThanCheckpoint, text)
    })
}

fn failed_run(results: &Results) -> Option<Reason> {
    let run = results.run.as_ref()?;
    let error = run.error.as_ref()?;
    Some(Reason::new(
        Cause::RunFailed,
        format!("the last run yielded no result: {error}"),
    ))
}

/// The state of a result that is complete, recent and enough.
fn judge(
    comparison: Option<&Comparison>,
    limits: &Limits,
    failures: u32,
    reasons: &mut Vec<Reason>,
) -> State {
    let Some(comparison) = comparison else {
        return State::Inconclusive;
    };
    let share = |degradation: f64| format!("{:.1} %", degradation * 100.0);
    let (lost, limit) = (comparison.degradation, limits.drop);
    let beyond = format!(
        "{} worse than the baseline, and the limit is {}",
        share(lost),
        share(limit)
    );
    if lost > limit && failures >= CONFIRMED {
        let text = format!("{beyond}; {failures} results in a row are beyond it");
        reasons.push(Reason::new(Cause::BeyondLimit, text));
        return State::Fail;
    }
    if lost > limit {
        let text = format!("{beyond}; one result may be chance");
        reasons.push(Reason::new(Cause::BeyondLimitOnce, text));
    } else if lost > limit * NOTABLE {
        let text = format!(
            "{} worse than the baseline, within the limit of {}",
            share(lost),
            share(limit)
        );
        reasons.push(Reason::new(Cause::Worse, text));
    }
    if let Some(worst) = comparison
        .worst_app
        .as_ref()
        .filter(|worst| worst.degradation > limit)
    {
        let text = format!(
            "{:?} is {} worse than its baseline",
            worst.app,
            share(worst.degradation)
        );
        reasons.push(Reason::new(Cause::AppWorse, text));
    }
    if reasons.is_empty() {
        State::Pass
    } else {
        State::Degraded
    }
}

fn recommend(state: State, reasons: &[Reason], standing: &Standing) -> String {
    // Without a run that yields a result nothing else gets better.
    let failed = reasons.iter().find(|reason| reason.cause == Cause::RunFailed);
    let cause = failed.or(reasons.first()).map(|reason| reason.cause);
    match (state, cause) {
        (State::Pass, _) => "nothing is to be done".to_owned(),
        (State::Fail, _) => {
            let last_good = standing
                .last_good
                .as_ref()
                .and_then(|good| good.checkpoint.as_ref());
            let back = match last_good {
                Some(checkpoint) => format!("{checkpoint}, the last that was within the limit"),
                None => "the previous checkpoint".to_owned(),
            };
            format!("roll back to {back}; if this is how it is meant to be, accept it as the baseline")
        }
        (_, Some(cause)) => cause.advice().to_owned(),
        (_, None) => "look at the canary set's log".to_owned(),
    }
}

#[cfg(test)]
mod tests;
