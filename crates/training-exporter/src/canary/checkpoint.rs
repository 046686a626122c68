//! Which state of the model was saved, or measured.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::measurement::Measurement;

/// A saved state of the model, as far as it is described.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its name, such as `checkpoint-1200`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The training step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// When it was saved, Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
}

impl Checkpoint {
    /// Whether a result is about this checkpoint or a later one. Steps and names decide when they are the same; else
    /// the times do, and a result that does not say how old its checkpoint is measured what was there when it began.
    pub(super) fn is_covered_by(&self, result: &Measurement) -> bool {
        let measured = result.checkpoint.clone().unwrap_or_default();
        let is_same = |mine: bool, same: bool| mine && same;
        if is_same(self.step.is_some(), self.step == measured.step)
            || is_same(self.id.is_some(), self.id == measured.id)
        {
            return true;
        }
        match (self.timestamp, self.step, measured.step) {
            (Some(saved), ..) => measured.timestamp.unwrap_or(result.timestamp) >= saved,
            (None, Some(saved), Some(measured)) => measured >= saved,
            _ => true,
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.id, self.step) {
            (Some(id), _) => out.write_str(id),
            (None, Some(step)) => write!(out, "the checkpoint of step {step}"),
            (None, None) => out.write_str("a checkpoint without a name"),
        }
    }
}

/// The newest checkpoint that the training reported: who reads the training's files sets it, the canary set reads it.
/// A clone is another handle on the same.
#[derive(Clone, Debug, Default)]
pub struct NewestCheckpoint(Arc<Mutex<Option<Checkpoint>>>);

impl NewestCheckpoint {
    /// Replaces what was known.
    pub fn set(&self, newest: Option<Checkpoint>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = newest;
    }

    pub(super) fn get(&self) -> Option<Checkpoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(step: Option<u64>, timestamp: Option<f64>) -> Checkpoint {
        Checkpoint {
            id: None,
            step,
            timestamp,
        }
    }

    fn result(timestamp: f64, checkpoint: Option<Checkpoint>) -> Measurement {
        Measurement {
            checkpoint,
            timestamp,
            ..Measurement::default()
        }
    }

    #[test]
    fn a_result_covers_what_was_saved_before_it_began() {
        assert!(saved(None, Some(100.0)).is_covered_by(&result(100.0, None)));
        assert!(!saved(None, Some(100.5)).is_covered_by(&result(100.0, None)));
        assert!(saved(Some(5), None).is_covered_by(&result(100.0, None)));
    }

    #[test]
    fn the_same_step_is_the_same_checkpoint_whatever_the_clocks_say() {
        let newest = saved(Some(1200), Some(200.0));
        assert!(newest.is_covered_by(&result(100.0, Some(saved(Some(1200), Some(150.0))))));
        assert!(!newest.is_covered_by(&result(300.0, Some(saved(Some(1100), Some(150.0))))));
        // After a roll back the newest has a lower step than the one that was measured.
        assert!(!newest.is_covered_by(&result(180.0, Some(saved(Some(1300), None)))));
        assert!(!saved(Some(7), None).is_covered_by(&result(9.0, Some(saved(Some(6), None)))));
    }

    #[test]
    fn the_same_name_is_the_same_checkpoint() {
        let named = |id: &str| Checkpoint {
            id: Some(id.to_owned()),
            ..saved(None, Some(200.0))
        };
        assert!(named("a").is_covered_by(&result(
            100.0,
            Some(Checkpoint {
                timestamp: None,
                ..named("a")
            })
        )));
        assert!(!named("a").is_covered_by(&result(
            100.0,
            Some(named("b")).map(|b| Checkpoint { timestamp: None, ..b })
        )));
    }
}
