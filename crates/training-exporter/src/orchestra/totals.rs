//! What the orchestra's events add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::histogram::Histogram;

/// Models beyond this many are counted as `other`.
const MAX_MODELS: usize = 100;
/// Outcomes of one model beyond this many are counted as `other`.
const MAX_OUTCOMES: usize = 10;
/// More executions are not under way at once.
const MAX_OPEN: usize = 10_000;
/// An execution whose end nobody wrote down has ended after so long, in seconds.
const LONGEST: u64 = 3600;
/// What is beyond a cap.
const OTHER: &str = "other";

/// Upper bounds of `llm_orchestra_latency_seconds`.
pub(crate) const LATENCY_BUCKETS: [f64; 14] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// All that was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    pub(crate) models: BTreeMap<String, Model>,
    pub(crate) rotations: u64,
    pub(crate) cache_hits: u64,
    pub(crate) cache_misses: u64,
    /// The executions that are under way, with when their beginning was read, Unix time in seconds; `None` until the
    /// log has a word of executions.
    open: Option<BTreeMap<String, u64>>,
}

/// The calls of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Model {
    pub(crate) outcomes: BTreeMap<String, u64>,
    pub(crate) latency: Histogram,
}

impl Totals {
    /// Counts an event that was read at `now`, Unix time in seconds.
    pub(crate) fn count(&mut self, event: Event, now: u64) {
        match event {
            Event::Call {
                model,
                outcome,
                latency_seconds,
            } => {
                let model = capped(&mut self.models, model, MAX_MODELS);
                *capped(&mut model.outcomes, outcome, MAX_OUTCOMES) += 1;
                if let Some(latency) = latency_seconds {
                    model.latency.observe(&LATENCY_BUCKETS, latency);
                }
            }
            Event::Rotation => self.rotations += 1,
            Event::Cache { hit: true } => self.cache_hits += 1,
            Event::Cache { hit: false } => self.cache_misses += 1,
            Event::Begin { id } => {
                let open = self.open.get_or_insert_default();
                if open.len() < MAX_OPEN {
                    open.insert(id, now);
                }
            }
            Event::End { id } => {
                self.open.get_or_insert_default().remove(&id);
            }
            Event::Start => self.open.get_or_insert_default().clear(),
        }
    }

    /// Ends the executions that began too long ago.
    pub(crate) fn expire(&mut self, now: u64) {
        if let Some(open) = &mut self.open {
            open.retain(|_, began| now.saturating_sub(*began) < LONGEST);
        }
    }

    /// How many executions are under way, if the log says.
    pub(crate) fn concurrent(&self) -> Option<usize> {
        self.open.as_ref().map(BTreeMap::len)
    }
}

/// The entry of this name, or of `other` where there are too many names already.
fn capped<T: Default>(entries: &mut BTreeMap<String, T>, name: String, most: usize) -> &mut T {
    let is_known = entries.contains_key(&name);
    let name = if is_known || entries.len() < most {
        name
    } else {
        OTHER.to_owned()
    };
    entries.entry(name).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(model: &str, outcome: &str) -> Event {
        Event::Call {
            model: model.into(),
            outcome: outcome.into(),
            latency_seconds: Some(1.0),
        }
    }

    #[test]
    fn models_and_outcomes_are_capped() {
        let mut totals = Totals::default();
        for i in 0..300 {
            totals.count(call(&format!("model-{i}"), "success"), 0);
            totals.count(call("model-0", &format!("outcome-{i}")), 0);
        }
        assert_eq!(totals.models.len(), MAX_MODELS + 1);
        assert_eq!(totals.models[OTHER].outcomes["success"], 200);
        assert_eq!(totals.models["model-0"].outcomes.len(), MAX_OUTCOMES + 1);
        assert_eq!(totals.models["model-0"].outcomes[OTHER], 291);
    }

    #[test]
    fn executions_begin_and_end() {
        let begin = |id: &str| Event::Begin { id: id.into() };
        let mut totals = Totals::default();
        totals.count(call("m", "success"), 0);
        assert_eq!(totals.concurrent(), None);
        totals.count(begin("a"), 10);
        totals.count(begin("b"), 20);
        totals.count(begin("a"), 20);
        assert_eq!(totals.concurrent(), Some(2));
        totals.count(Event::End { id: "a".into() }, 30);
        totals.count(
            Event::End {
                id: "never begun".into(),
            },
            30,
        );
        assert_eq!(totals.concurrent(), Some(1));
        totals.expire(3619);
        assert_eq!(totals.concurrent(), Some(1));
        totals.expire(3620);
        assert_eq!(totals.concurrent(), Some(0));
        totals.count(begin("c"), 4000);
        totals.count(Event::Start, 4000);
        assert_eq!(totals.concurrent(), Some(0));
    }
}
