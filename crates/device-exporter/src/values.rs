//! The latest values of one device: as many as it may have, each until it is too old.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::protocol::Label;

/// What a value is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Series {
    Cpu,
    Power,
    MemoryUsed {
        memory_type: Label,
    },
    MemoryTotal {
        memory_type: Label,
    },
    Temperature {
        location: Label,
    },
    Reading {
        name: Label,
        unit: Option<Label>,
    },
    TokensPerSecond {
        model: Label,
        quantization: Label,
    },
    ModelMemory {
        model: Label,
        memory_type: Label,
    },
    Latency {
        model: Label,
        input_length: Label,
    },
    Accuracy {
        model: Label,
        dataset: Label,
    },
    QuantizationError {
        model: Label,
        bits: Label,
        method: Label,
    },
}

impl Series {
    /// Results of a run; the rest is measured all the time.
    fn is_result(&self) -> bool {
        matches!(
            self,
            Self::TokensPerSecond { .. }
                | Self::ModelMemory { .. }
                | Self::Latency { .. }
                | Self::Accuracy { .. }
                | Self::QuantizationError { .. }
        )
    }
}

/// How long values are shown, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) expire: Duration,
    pub(crate) expire_results: Duration,
    pub(crate) most: usize,
}

/// The latest values.
#[derive(Debug, Default)]
pub(crate) struct Values(HashMap<Series, (f64, Instant)>);

impl Values {
    /// Takes a value. False when it is one too many, for this device or for all, of which `room` is what is left.
    pub(crate) fn set(
        &mut self,
        series: Series,
        value: f64,
        now: Instant,
        most: usize,
        room: &mut usize,
    ) -> bool {
        if let Some(known) = self.0.get_mut(&series) {
            *known = (value, now);
            return true;
        }
        if self.0.len() >= most || *room == 0 {
            return false;
        }
        *room -= 1;
        self.0.insert(series, (value, now));
        true
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Instant, limits: &Limits) {
        self.0
            .retain(|series, (_, at)| is_fresh(series, *at, now, limits));
    }

    /// What is not too old, with the time when it came.
    pub(crate) fn fresh<'a>(
        &'a self,
        now: Instant,
        limits: &'a Limits,
    ) -> impl Iterator<Item = (&'a Series, f64, Instant)> {
        self.0
            .iter()
            .filter(move |(series, (_, at))| is_fresh(series, *at, now, limits))
            .map(|(series, (value, at))| (series, *value, *at))
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0 = HashMap::new();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn is_fresh(series: &Series, at: Instant, now: Instant, limits: &Limits) -> bool {
    let expire = if series.is_result() {
        limits.expire_results
    } else {
        limits.expire
    };
    now.saturating_duration_since(at) <= expire
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        expire: Duration::from_secs(10),
        expire_results: Duration::from_secs(100),
        most: 9,
    };

    #[test]
    fn the_latest_value_wins_and_too_many_are_refused() {
        let now = Instant::now();
        let mut values = Values::default();
        let mut room = 3;
        let mut set = |series, value, most| values.set(series, value, now, most, &mut room);
        let location = Label::default();
        let memory_type = Label::default();
        assert!(set(Series::Cpu, 1.0, 2));
        assert!(set(Series::Cpu, 2.0, 2));
        assert!(set(Series::Power, 3.0, 2));
        assert!(
            !set(
                Series::Temperature {
                    location: location.clone()
                },
                4.0,
                2
            ),
            "of this device"
        );
        assert!(set(Series::Temperature { location }, 4.0, 9));
        assert!(!set(Series::MemoryUsed { memory_type }, 5.0, 9), "of all");
        assert!(set(Series::Cpu, 6.0, 2), "a known one goes on");
        let cpu = values
            .fresh(now, &LIMITS)
            .find(|(series, ..)| **series == Series::Cpu);
        assert_eq!(cpu.map(|(_, value, _)| value), Some(6.0));
    }

    #[test]
    fn measurements_go_before_results() {
        let now = Instant::now();
        let mut values = Values::default();
        let (model, quantization) = (Label::default(), Label::default());
        values.set(Series::Cpu, 1.0, now, 9, &mut 9);
        values.set(
            Series::TokensPerSecond { model, quantization },
            2.0,
            now,
            9,
            &mut 9,
        );
        let later = now + Duration::from_secs(11);
        assert_eq!(values.fresh(later, &LIMITS).count(), 1);
        values.expire(later, &LIMITS);
        assert_eq!(values.len(), 1);
        assert_eq!(values.fresh(now + Duration::from_secs(101), &LIMITS).count(), 0);
    }
}
