//! What the training loss of a run says of its health: frozen, or on its way up again.

use super::evaluation::is_evaluation;

/// So many times the same loss in a row is no chance.
const FROZEN: u32 = 5;
/// The weight of a new loss in the average.
const WEIGHT: f64 = 0.1;

/// The training loss of a run: of the first tag that is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loss {
    tag: Option<String>,
    step: Option<f64>,
    last: Option<f64>,
    same: u32,
    average: Option<f64>,
    lowest: Option<f64>,
}

impl Loss {
    /// Takes a number under a tag; only a training loss is looked at.
    pub(crate) fn record(&mut self, tag: &str, step: Option<f64>, value: f64) {
        match &self.tag {
            Some(known) if known == tag => {}
            None if is_training_loss(tag) => self.tag = Some(tag.to_owned()),
            _ => return,
        }
        if step.is_some() && self.step == step {
            return;
        }
        self.step = step;
        self.same = if self.last.is_some_and(|last| last.to_bits() == value.to_bits()) {
            self.same.saturating_add(1)
        } else {
            1
        };
        self.last = Some(value);
        if value.is_finite() {
            let average = self
                .average
                .map_or(value, |average| average + WEIGHT * (value - average));
            self.average = Some(average);
            self.lowest = Some(self.lowest.map_or(average, |lowest| lowest.min(average)));
        }
    }

    /// The tag that it has.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Whether the loss is the same again and again while the steps go on: a filter replaces what is no number. `None`
    /// when there is no loss.
    pub(crate) fn is_frozen(&self) -> Option<bool> {
        self.last.map(|last| last.is_finite() && self.same >= FROZEN)
    }

    /// The moving average of the loss over the lowest that it was; `None` unless both are above 0.
    pub(crate) fn divergence(&self) -> Option<f64> {
        let (average, lowest) = self.average.zip(self.lowest)?;
        Some(average / lowest).filter(|ratio| lowest > 0.0 && ratio.is_finite())
    }
}

fn is_training_loss(tag: &str) -> bool {
    let tag = tag.to_ascii_lowercase();
    !is_evaluation(&tag)
        && tag
            .split(['/', '_', '.', '-', ' '])
            .any(|word| word == "loss" || word == "nll")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Loss {
        let mut loss = Loss::default();
        for (step, value) in values.iter().enumerate() {
            loss.record("train/loss", Some(step as f64), *value);
        }
        loss
    }

    #[test]
    fn the_first_training_loss_is_looked_at() {
        let mut loss = Loss::default();
        for (tag, value) in [
            ("lr", 1.0),
            ("eval_loss", 2.0),
            ("Loss/train", 3.0),
            ("aux_loss", 4.0),
        ] {
            loss.record(tag, Some(1.0), value);
        }
        assert_eq!((loss.tag.as_deref(), loss.last), (Some("Loss/train"), Some(3.0)));
    }

    #[test]
    fn a_loss_that_repeats_exactly_is_frozen() {
        assert_eq!(Loss::default().is_frozen(), None);
        assert_eq!(of(&[1.0, 0.0, 0.0, 0.0, 0.0]).is_frozen(), Some(false));
        assert_eq!(of(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).is_frozen(), Some(true));
        assert_eq!(of(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.1]).is_frozen(), Some(false));
        // That is what the counter of such values is for.
        assert_eq!(of(&[f64::NAN; 9]).is_frozen(), Some(false));
    }

    #[test]
    fn the_same_step_counts_once() {
        let mut loss = Loss::default();
        for _ in 0..9 {
            loss.record("loss", Some(3.0), 0.5);
        }
        assert_eq!(loss.is_frozen(), Some(false));
    }

    #[test]
    fn divergence_is_measured_from_the_lowest_average() {
        assert_eq!(of(&[4.0, 2.0, 1.0]).divergence(), Some(1.0));
        let rising = of(&[vec![1.0; 50], vec![3.0; 50]].concat())
            .divergence()
            .expect("above 0");
        assert!((2.9..=3.0).contains(&rising), "{rising}");
        assert_eq!(of(&[1.0, -200.0]).divergence(), None);
        assert_eq!(of(&[f64::INFINITY]).divergence(), None);
    }

    proptest! {
        #[test]
        fn divergence_is_at_least_one(values in proptest::collection::vec(any::<f64>(), 0..50)) {
            let divergence = of(&values).divergence();
            prop_assert!(divergence.is_none_or(|ratio| ratio >= 1.0), "{divergence:?}");
        }
    }
}
