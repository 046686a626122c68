//! How much worse a result is than the baseline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measurement::{LARGEST, Measurement};

/// The quantile of the normal distribution that 95 % lie within.
const QUANTILE: f64 = 1.959_964;

/// Which figures are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Pass rates and scores.
    #[default]
    Higher,
    /// Losses and perplexities.
    Lower,
}

/// A result beside the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The result's figure.
    pub performance: f64,
    /// The baseline's.
    pub baseline: f64,
    /// How much of the baseline was lost: 0.1 is a tenth; below 0 it became better.
    pub degradation: f64,
    /// What the figure may be with 95 % certainty, given so many samples; for figures between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// The app that lost most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_app: Option<AppComparison>,
}

/// One app beside its baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppComparison {
    /// Its name.
    pub app: String,
    /// The result's figure.
    pub performance: f64,
    /// The baseline's.
    pub baseline: f64,
    /// How much of the baseline was lost.
    pub degradation: f64,
}

impl Comparison {
    pub(super) fn new(result: &Measurement, baseline: &Measurement, direction: Direction) -> Self {
        Self {
            performance: result.performance,
            baseline: baseline.performance,
            degradation: degradation(result.performance, baseline.performance, direction),
            interval: result
                .known_samples()
                .and_then(|samples| interval(result.performance, samples)),
            worst_app: worst(&result.apps, &baseline.apps, direction),
        }
    }
}

/// The share of the baseline that was lost; with a baseline of 0, the difference itself.
fn degradation(performance: f64, baseline: f64, direction: Direction) -> f64 {
    let lost = match direction {
        Direction::Higher => baseline - performance,
        Direction::Lower => performance - baseline,
    };
    if baseline == 0.0 {
        return tidy(lost);
    }
    tidy((lost / baseline.abs()).clamp(-LARGEST, LARGEST))
}

/// Without the last digits of the division: 0.72 instead of 0.80 is a tenth, and not a hair more.
fn tidy(share: f64) -> f64 {
    if share.abs() < 1e3 {
        (share * 1e12).round() / 1e12
    } else {
        share
    }
}

fn worst(
    apps: &BTreeMap<String, f64>,
    baseline: &BTreeMap<String, f64>,
    direction: Direction,
) -> Option<AppComparison> {
    let compared = apps.iter().filter_map(|(app, performance)| {
        let baseline = *baseline.get(app)?;
        Some(AppComparison {
            app: app.clone(),
            performance: *performance,
            baseline,
            degradation: degradation(*performance, baseline, direction),
        })
    });
    compared.max_by(|one, other| one.degradation.total_cmp(&other.degradation))
}

/// Wilson's interval. It is for shares of hits; a mean of other values between 0 and 1 varies at most as much.
fn interval(rate: f64, samples: u64) -> Option<(f64, f64)> {
    if samples == 0 || !(0.0..=1.0).contains(&rate) {
        return None;
    }
    let n = samples as f64;
    let square = QUANTILE * QUANTILE;
    let centre = (rate + square / (2.0 * n)) / (1.0 + square / n);
    let spread = rate * (1.0 - rate) / n + square / (4.0 * n * n);
    let half = QUANTILE * spread.sqrt() / (1.0 + square / n);
    Some((tidy((centre - half).max(0.0)), tidy((centre + half).min(1.0))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_drop_is_relative_to_the_baseline() {
        let lost = |performance, baseline| degradation(performance, baseline, Direction::Higher);
        assert!((lost(0.72, 0.80) - 0.1).abs() <= 0.0, "exactly a tenth");
        assert!((lost(0.9, 0.6) + 0.5).abs() <= 0.0, "better by half");
        // Rewards may be negative.
        assert!((lost(-3.0, -2.0) - 0.5).abs() <= 0.0);
        assert!((degradation(3.0, 2.0, Direction::Lower) - 0.5).abs() <= 0.0);
    }

    #[test]
    fn with_a_baseline_of_0_the_difference_counts() {
        assert!((degradation(-0.25, 0.0, Direction::Higher) - 0.25).abs() <= 0.0);
        assert!(degradation(0.0, 0.0, Direction::Higher).abs() <= 0.0);
        assert!((degradation(0.25, 0.0, Direction::Lower) - 0.25).abs() <= 0.0);
        assert!((degradation(1.0, 5e-324, Direction::Lower) - LARGEST).abs() <= 0.0);
    }

    #[test]
    fn few_samples_say_little() {
        let (low, high) = interval(0.6, 5).expect("a share");
        assert!(
            (low - 0.231).abs() < 0.001 && (high - 0.882).abs() < 0.001,
            "{low} {high}"
        );
        assert_eq!(interval(0.6, 0), None);
        assert_eq!(interval(3.5, 10), None);
    }

    #[test]
    fn the_average_does_not_hide_an_app() {
        let apps = |rates: &[(&str, f64)]| {
            rates
                .iter()
                .map(|(app, rate)| ((*app).to_owned(), *rate))
                .collect()
        };
        let lost = worst(
            &apps(&[("a", 1.0), ("b", 0.2), ("new", 0.0)]),
            &apps(&[("a", 0.8), ("b", 0.8), ("gone", 1.0)]),
            Direction::Higher,
        )
        .expect("an app");
        assert_eq!((lost.app.as_str(), lost.degradation), ("b", 0.75));
        assert_eq!(worst(&apps(&[]), &apps(&[("a", 1.0)]), Direction::Lower), None);
    }

    proptest! {
        #[test]
        fn worse_is_never_less_and_the_directions_mirror_each_other(
            baseline in -1e300..1e300_f64, one in -1e300..1e300_f64, other in -1e300..1e300_f64,
        ) {
            let lost = |performance| degradation(performance, baseline, Direction::Higher);
            prop_assert!(lost(one).is_finite());
            prop_assert!(one < other || lost(one) <= lost(other));
            prop_assert!((lost(one) + degradation(one, baseline, Direction::Lower)).abs() <= 0.0);
        }

        #[test]
        fn the_figure_lies_in_its_interval(rate in 0.0..=1.0_f64, samples in 1..100_000_u64) {
            let (low, high) = interval(rate, samples).expect("a share");
            prop_assert!(0.0 <= low && low <= rate + 1e-9 && rate <= high + 1e-9 && high <= 1.0);
        }
    }
}
