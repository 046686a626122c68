//! The last few numbers of a series.

use std::collections::VecDeque;

/// How many are kept; odd, so that one of them is the median.
const KEPT: usize = 31;

/// The last numbers of a series, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(VecDeque<f64>);

impl Recent {
    /// Adds a number; one that is not finite is left out.
    pub(crate) fn push(&mut self, value: f64) {
        if value.is_finite() {
            if self.0.len() == KEPT {
                self.0.pop_front();
            }
            self.0.push_back(value);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle one, or of two middle ones the larger.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    pub(crate) fn largest(&self) -> Option<f64> {
        self.0.iter().copied().max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_numbers_go() {
        let mut recent = Recent::default();
        assert_eq!((recent.median(), recent.largest()), (None, None));
        for value in [1000.0, f64::NAN, 3.0, 1.0, 2.0] {
            recent.push(value);
        }
        assert_eq!((recent.len(), recent.median()), (4, Some(3.0)));
        for _ in 0..28 {
            recent.push(2.0);
        }
        assert_eq!(
            (recent.len(), recent.median(), recent.largest()),
            (31, Some(2.0), Some(3.0))
        );
    }
}
