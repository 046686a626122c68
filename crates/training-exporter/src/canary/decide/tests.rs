use proptest::prelude::*;

use super::*;
use crate::canary::baseline::Baseline;
use crate::canary::compare::Direction;
use crate::canary::results::{Outcome, Run};

const NOW: f64 = 1_790_000_000.0;

fn limits() -> Limits {
    Limits {
        drop: 0.1,
        direction: Direction::Higher,
        min_samples: 5,
        stale_after_seconds: 7200.0,
    }
}

fn result(performance: f64, timestamp: f64) -> Measurement {
    Measurement {
        performance,
        samples: Some(20),
        timestamp,
        ..Measurement::default()
    }
}

fn with_apps(mut result: Measurement, apps: &[(&str, f64)]) -> Measurement {
    result.apps = apps
        .iter()
        .map(|(app, rate)| ((*app).to_owned(), *rate))
        .collect();
    result
}

fn accepted(result: Measurement) -> Pin {
    Pin::Accepted(Box::new(Baseline {
        sha256: result.sha256(),
        accepted_at: NOW - 86400.0,
        accepted_by: "ada".to_owned(),
        why: "the end of phase 3".to_owned(),
        result,
    }))
}

fn baseline() -> Pin {
    accepted(result(0.8, NOW - 90000.0))
}

fn measured(result: Measurement) -> Results {
    Results {
        run: None,
        result: Some(result),
    }
}

/// A story of results, each decided on in its turn.
struct Story {
    pin: Pin,
    results: Results,
    newest: Option<Checkpoint>,
    now: f64,
    last: Option<Decision>,
}

impl Story {
    fn new() -> Self {
        Self {
            pin: baseline(),
            results: Results::default(),
            newest: None,
            now: NOW,
            last: None,
        }
    }

    fn decide(&mut self) -> &Decision {
        let evidence = Evidence {
            limits: &limits(),
            pin: &self.pin,
            results: &self.results,
            newest_checkpoint: self.newest.as_ref(),
            now: self.now,
        };
        let standing = self.last.take().map(|last| last.standing).unwrap_or_default();
        self.last.insert(decide(&evidence, &standing))
    }

    /// An hour later there is a result.
    fn measure(&mut self, performance: f64) -> &Decision {
        self.now += 3600.0;
        self.results = measured(result(performance, self.now));
        self.decide()
    }

    fn fail_run(&mut self) -> &Decision {
        self.now += 3600.0;
        self.results.run = Some(Run {
            started_at: self.now,
            ended_at: self.now,
            outcome: Outcome::Failed,
            error: Some("exit status: 1".to_owned()),
        });
        self.decide()
    }
}

fn causes(decision: &Decision) -> Vec<Cause> {
    decision.reasons.iter().map(|reason| reason.cause).collect()
}

#[test]
fn near_the_baseline_is_a_pass() {
    let mut story = Story::new();
    for performance in [0.8, 0.9, 0.77] {
        let decision = story.measure(performance);
        assert_eq!((decision.state, causes(decision)), (State::Pass, vec![]));
    }
    assert_eq!(story.decide().degradation, Some(0.0375));
}

#[test]
fn worse_within_the_limit_is_degraded_however_often() {
    let mut story = Story::new();
    for _ in 0..3 {
        let decision = story.measure(0.72);
        assert_eq!(
            (decision.state, causes(decision)),
            (State::Degraded, vec![Cause::Worse])
        );
        assert_eq!(decision.degradation, Some(0.1));
    }
}

#[test]
fn one_result_may_be_chance_and_two_are_a_failure() {
    let mut story = Story::new();
    story.measure(0.8);
    let decision = story.measure(0.6);
    assert_eq!(
        (decision.state, decision.degradation),
        (State::Degraded, Some(0.25))
    );
    assert_eq!(causes(decision), [Cause::BeyondLimitOnce]);
    assert!(
        decision.recommendation.starts_with("wait"),
        "{}",
        decision.recommendation
    );
    // The same result again is not another one.
    assert_eq!(story.decide().state, State::Degraded);
    let decision = story.measure(0.61);
    assert_eq!((decision.state, decision.standing.failures), (State::Fail, 2));
    assert!(
        decision.recommendation.starts_with("roll back to the previous"),
        "{}",
        decision.recommendation
    );
    assert_eq!(story.measure(0.8).state, State::Pass);
    assert_eq!(story.measure(0.6).state, State::Degraded);
}

#[test]
fn the_checkpoint_to_roll_back_to_is_the_last_that_was_good() {
    let mut story = Story::new();
    let mut good = result(0.8, NOW);
    good.checkpoint = Some(Checkpoint {
        id: Some("checkpoint-1100".to_owned()),
        ..Checkpoint::default()
    });
    story.results = measured(good);
    story.decide();
    story.measure(0.5);
    let decision = story.measure(0.5);
    assert!(
        decision.recommendation.contains("checkpoint-1100, the last"),
        "{}",
        decision.recommendation
    );
}

#[test]
fn missing_evidence_is_never_a_pass_and_says_why() {
    let decide_on = |change: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        story.results = measured(result(0.8, NOW));
        change(&mut story);
        let decision = story.decide().clone();
        assert_eq!(
            (decision.state, decision.degradation),
            (State::Inconclusive, None),
            "{decision:?}"
        );
        assert!(!decision.recommendation.is_empty());
        causes(&decision)
    };
    let few = |samples| {
        let mut result = result(0.8, NOW);
        result.samples = samples;
        measured(result)
    };
    assert_eq!(
        decide_on(&|story| story.results = Results::default()),
        [Cause::NoResult]
    );
    assert_eq!(decide_on(&|story| story.pin = Pin::Missing), [Cause::NoBaseline]);
    assert_eq!(
        decide_on(&|story| story.pin = Pin::Changed("x".to_owned())),
        [Cause::BaselineChanged]
    );
    assert_eq!(decide_on(&|story| story.now += 7201.0), [Cause::Stale]);
    assert_eq!(decide_on(&|story| story.now -= 86400.0), [Cause::FromTheFuture]);
    assert_eq!(
        decide_on(&|story| story.results = few(Some(4))),
        [Cause::TooFewSamples]
    );
    assert_eq!(
        decide_on(&|story| story.results = few(None)),
        [Cause::TooFewSamples]
    );
    assert_eq!(
        decide_on(&|story| {
            story.newest = Some(Checkpoint {
                timestamp: Some(NOW + 1.0),
                ..Checkpoint::default()
            });
        }),
        [Cause::OlderThanCheckpoint]
    );
    assert_eq!(
        decide_on(&|story| {
            story.fail_run();
        }),
        [Cause::RunFailed]
    );
    let apps = |rates| accepted(with_apps(result(0.8, NOW), rates));
    assert_eq!(
        decide_on(&|story| story.pin = apps(&[("a", 0.8)])),
        [Cause::OtherApps]
    );
    assert_eq!(
        decide_on(&|story| {
            story.pin = apps(&[("a", 0.8)]);
            story.results = measured(with_apps(result(0.8, NOW), &[("a", 0.8), ("b", 0.8)]));
        }),
        [Cause::OtherApps]
    );
}

#[test]
fn apps_count_as_samples_where_nothing_else_is_said() {
    let mut story = Story::new();
    let mut five = with_apps(
        result(0.8, NOW),
        &[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0), ("e", 0.0)],
    );
    five.samples = None;
    story.results = measured(five);
    assert_eq!(story.decide().state, State::Pass);
}

#[test]
fn a_failure_stands_while_nothing_is_known_and_falls_with_the_next_result() {
    let mut story = Story::new();
    story.measure(0.6);
    story.measure(0.6);
    let decision = story.fail_run();
    assert_eq!(
        (decision.state, decision.degradation),
        (State::Inconclusive, Some(0.25))
    );
    story.now += 86400.0;
    let decision = story.decide();
    assert!(decision.has(Cause::Stale));
    assert_eq!(decision.degradation, Some(0.25));
    story.newest = Some(Checkpoint {
        timestamp: Some(story.now + 9e6),
        ..Checkpoint::default()
    });
    // Even where checkpoints come faster than results.
    let decision = story.measure(0.8);
    assert_eq!(
        (decision.state, decision.degradation),
        (State::Inconclusive, None)
    );
    assert_eq!(causes(decision), [Cause::OlderThanCheckpoint]);
}

#[test]
fn a_run_without_a_result_neither_confirms_nor_clears() {
    let mut story = Story::new();
    story.measure(0.6);
    story.fail_run();
    assert_eq!(story.measure(0.6).state, State::Fail);
}

#[test]
fn another_baseline_begins_anew_and_a_changed_one_does_not() {
    let mut story = Story::new();
    story.measure(0.6);
    story.measure(0.6);
    story.pin = Pin::Changed("x".to_owned());
    assert_eq!(story.decide().degradation, Some(0.25));
    story.pin = accepted(result(0.62, NOW));
    let decision = story.decide();
    assert_eq!((decision.state, decision.standing.failures), (State::Pass, 0));
    story.pin = Pin::Missing;
    assert_eq!(story.decide().degradation, None);
}

#[test]
fn the_average_does_not_hide_an_app() {
    let mut story = Story::new();
    story.pin = accepted(with_apps(result(0.8, NOW), &[("a", 0.8), ("b", 0.8)]));
    story.results = measured(with_apps(result(0.8, NOW), &[("a", 1.0), ("b", 0.6)]));
    let decision = story.decide();
    assert_eq!(
        (decision.state, causes(decision)),
        (State::Degraded, vec![Cause::AppWorse])
    );
    assert!(
        decision.reasons[0].text.contains("\"b\" is 25.0 %"),
        "{:?}",
        decision.reasons
    );
}

#[test]
fn the_record_comes_back_as_it_was_written() {
    let mut story = Story::new();
    story.pin = accepted(with_apps(result(0.8, NOW), &[("a", 0.9)]));
    story.results = measured(with_apps(result(0.6, NOW), &[("a", 0.3)]));
    let decision = story.decide();
    let text = serde_json::to_string(decision).expect("JSON");
    assert_eq!(
        &serde_json::from_str::<Decision>(&text).expect("a decision"),
        decision
    );
}

prop_compose! {
    fn any_step()(
        performance in prop_oneof![0.0..=1.0_f64, Just(0.8)],
        samples in proptest::option::of(0..10_u64),
        age in prop_oneof![Just(0.0), -200.0..20_000.0_f64],
        fails in any::<bool>(),
        pin in 0..4_u8,
        checkpoint in proptest::option::of(-10_000.0..10_000.0_f64),
    ) -> (Option<Measurement>, bool, u8, Option<f64>, f64) {
        let mut result = result(performance, 0.0);
        result.samples = samples;
        (Some(result).filter(|_| !fails), fails, pin, checkpoint, age)
    }
}

proptest! {
    /// Whatever comes, in whatever order.
    #[test]
    fn no_decision_is_a_lie(steps in proptest::collection::vec(any_step(), 1..12)) {
        let mut story = Story::new();
        let mut before: Option<Decision> = None;
        for (result, fails, pin, checkpoint, age) in steps {
            story.now += 3600.0;
            if let Some(mut result) = result {
                result.timestamp = story.now - age;
                story.results = measured(result);
            }
            if fails {
                story.fail_run();
            }
            story.newest = checkpoint.map(|at| Checkpoint { timestamp: Some(story.now + at), ..Checkpoint::default() });
            story.pin = match pin {
                0 => Pin::Changed("x".to_owned()),
                _ => baseline(),
            };
            let decision = story.decide().clone();
            let lost = decision.degradation;
            match decision.state {
                State::Inconclusive => {
                    // The alert fires on a drop that was measured, and on nothing else.
                    prop_assert!(lost.is_none_or(|lost| lost > 0.1));
                    prop_assert!(!decision.reasons.is_empty());
                    // It does not resolve without another result that can be compared.
                    let stands = before.is_none_or(|before| {
                        before.standing.counted != decision.standing.counted
                            || before.degradation.is_none_or(|lost| lost <= 0.1)
                            || before.degradation == lost
                    });
                    prop_assert!(stands);
                }
                State::Pass => prop_assert!(lost.is_some_and(|lost| lost <= 0.05)),
                State::Degraded => prop_assert!(lost.is_some_and(|lost| lost > 0.05) && decision.standing.failures < 2),
                State::Fail => prop_assert!(lost.is_some_and(|lost| lost > 0.1) && decision.standing.failures >= 2),
            }
            before = Some(decision);
        }
    }

    #[test]
    fn deciding_again_changes_nothing(performance in 0.0..=1.0_f64, earlier in 0.0..=1.0_f64) {
        let mut story = Story::new();
        story.measure(earlier);
        let once = story.measure(performance).clone();
        prop_assert_eq!(story.decide(), &once);
    }
}
