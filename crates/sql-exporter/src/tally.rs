//! What a query's series have come to over its results: counters that never fall, histograms, and the cap.
//!
//! A counter is made from an aggregate over a table, `sum(spend)`, which falls when rows are deleted. Here it grows by
//! what the aggregate grew since the last result; a fall adds nothing, and growth counts from the lower value on. A
//! group that is no longer in the result keeps its total. It begins with the database's total, so that what grew
//! while the exporter was down counts too; see `docs/sql.md`.

use std::collections::{BTreeMap, HashSet};

use crate::query::{From, Missing, Query, Shape};
use crate::samples::{Distribution, Key, Reading, Readings, Sample, Value};

/// The state of one query.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    known: BTreeMap<Key, Kept>,
    /// Whether there was a result.
    begun: bool,
    /// By metric: the rows of the last result, which a histogram has counted.
    counted: BTreeMap<usize, HashSet<String>>,
}

#[derive(Debug)]
enum Kept {
    Gauge,
    /// Buckets that the database keeps.
    Ready,
    Counter {
        raw: f64,
        total: f64,
        /// Shows 0 until a page did.
        is_new: bool,
    },
    Histogram(Distribution),
}

/// What a result came to.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) samples: Vec<Sample>,
    /// Series that the cap left out.
    pub(crate) dropped: u64,
}

impl Tally {
    /// Takes a result in; `shown` when the one before was on a page.
    pub(crate) fn take(&mut self, query: &Query, mut readings: Readings, shown: bool) -> Taken {
        if shown {
            for kept in self.known.values_mut() {
                if let Kept::Counter { is_new, .. } = kept {
                    *is_new = false;
                }
            }
        }
        self.settle_missing(query, &mut readings);
        let mut taken = Taken::default();
        let mut rows: BTreeMap<usize, HashSet<String>> = BTreeMap::new();
        // What is known already comes first, so that a newcomer never displaces a series.
        let (known, new): (Vec<_>, Vec<_>) = readings
            .into_iter()
            .partition(|(key, _)| self.known.contains_key(key));
        for (key, reading) in known.into_iter().chain(new) {
            if !self.known.contains_key(&key) && self.known.len() >= query.max_series {
                taken.dropped += 1;
                continue;
            }
            if let Reading::Observations(observations) = &reading {
                let ids = observations.iter().map(|(id, _)| id.clone());
                rows.entry(key.0).or_default().extend(ids);
            }
            let value = self.value(query, &key, reading);
            taken.samples.push(Sample { key, value });
        }
        self.counted = rows;
        self.begun = true;
        taken
    }

    /// Adds readings for known series that the result lacks, or forgets them.
    fn settle_missing(&mut self, query: &Query, readings: &mut Readings) {
        let rows_are_zero = query.missing == Missing::Zero;
        self.known.retain(|key, kept| {
            if readings.contains_key(key) {
                return true;
            }
            match kept {
                Kept::Gauge if rows_are_zero => {
                    readings.insert(key.clone(), Reading::Gauge(0.0));
                }
                Kept::Gauge | Kept::Ready => return false,
                Kept::Counter { .. } => {
                    readings.insert(key.clone(), Reading::Counter(0.0, From::Database));
                }
                Kept::Histogram(_) => {
                    readings.insert(key.clone(), Reading::Observations(Vec::new()));
                }
            }
            true
        });
        if rows_are_zero {
            for (index, metric) in query.metrics.iter().enumerate() {
                if metric.labels.is_empty() && metric.shape == Shape::Gauge {
                    readings.entry((index, Vec::new())).or_insert(Reading::Gauge(0.0));
                }
            }
        }
    }

    fn value(&mut self, query: &Query, key: &Key, reading: Reading) -> Value {
        match reading {
            Reading::Gauge(value) => {
                self.known.insert(key.clone(), Kept::Gauge);
                Value::Number(value)
            }
            Reading::Counter(now, from) => Value::Number(self.counter(key, now, from)),
            Reading::Observations(observations) => {
                let Shape::Histogram { buckets, .. } = &query.metrics[key.0].shape else {
                    unreachable!("only histograms observe rows")
                };
                Value::Distribution(self.histogram(key, buckets, &observations))
            }
            Reading::Cumulative(distribution) => {
                self.known.insert(key.clone(), Kept::Ready);
                Value::Distribution(distribution)
            }
        }
    }

    fn counter(&mut self, key: &Key, now: f64, from: From) -> f64 {
        let begin = match from {
            From::Database => 0.0,
            From::Start if self.begun => 0.0,
            From::Start => now,
        };
        // A group that comes up later shows 0 first: from a series that begins with 3, `increase()` would never see
        // these 3, and a first security incident would raise no alert.
        let kept = self.known.entry(key.clone()).or_insert(Kept::Counter {
            raw: begin,
            total: 0.0,
            is_new: self.begun,
        });
        let Kept::Counter { raw, total, is_new } = kept else {
            unreachable!("a metric has one shape")
        };
        if *is_new {
            return 0.0;
        }
        if now > *raw {
            *total += now - *raw;
        }
        *raw = now;
        *total
    }

    fn histogram(&mut self, key: &Key, bounds: &[f64], observations: &[(String, f64)]) -> Distribution {
        let counted = self.counted.get(&key.0);
        let empty = || Kept::Histogram(Distribution::new(bounds));
        let Kept::Histogram(distribution) = self.known.entry(key.clone()).or_insert_with(empty) else {
            unreachable!("a metric has one shape")
        };
        for (id, value) in observations {
            if counted.is_some_and(|counted| counted.contains(id)) {
                continue;
            }
            distribution.observe(*value);
        }
        distribution.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::query::Metric;

    fn query(shape: Shape, missing: Missing, max_series: usize) -> Query {
        let metric = Metric {
            name: "x_total".into(),
            help: "X.".into(),
            shape,
            labels: vec![("model".into(), "model".into())],
            constants: Vec::new(),
            value: "value".into(),
        };
        Query {
            name: "test".into(),
            sql: "SELECT 1".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            expire: Duration::from_secs(1),
            max_rows: 10,
            max_series,
            missing,
            metrics: vec![metric],
        }
    }

    fn readings(values: &[(&str, Reading)]) -> Readings {
        let pair = |(label, reading): &(&str, Reading)| ((0, vec![(*label).to_owned()]), reading.clone());
        values.iter().map(pair).collect()
    }

    fn numbers(taken: &Taken) -> Vec<(&str, f64)> {
        let pair = |sample: &'_ Sample| match &sample.value {
            Value::Number(value) => *value,
            Value::Distribution(_) => panic!("a number"),
        };
        taken
            .samples
            .iter()
            .map(|sample| (sample.key.1[0].as_str(), pair(sample)))
            .collect()
    }

    fn counter(value: f64) -> Reading {
        Reading::Counter(value, From::Database)
    }

    proptest! {
        /// Whatever a query answers, with groups that come, go and fall: no counter falls or vanishes, none exceeds the
        /// rises of its aggregate, and the cap holds.
        #[test]
        fn counters_only_rise(
            results in prop::collection::vec((prop::collection::btree_map("[a-e]", -1e3..1e6_f64, 0..5), any::<bool>()), 1..20),
            max_series in 1..6_usize,
            start in any::<bool>(),
        ) {
            let from = if start { From::Start } else { From::Database };
            let query = query(Shape::Counter { from }, Missing::Absent, max_series);
            let mut tally = Tally::default();
            let mut shown: BTreeMap<String, f64> = BTreeMap::new();
            let mut most: BTreeMap<String, f64> = BTreeMap::new();
            let mut last: BTreeMap<String, f64> = BTreeMap::new();
            for (result, shows) in results {
                for label in ["a", "b", "c", "d", "e"] {
                    let now = result.get(label).copied().unwrap_or(0.0);
                    let rise = now - last.insert(label.to_owned(), now).unwrap_or(0.0);
                    *most.entry(label.to_owned()).or_default() += rise.max(0.0);
                }
                let pairs = result.iter().map(|(label, value)| {
                    ((0, vec![label.clone()]), Reading::Counter(*value, from))
                });
                let taken = tally.take(&query, pairs.collect(), shows);
                let now: BTreeMap<String, f64> = numbers(&taken)
                    .into_iter()
                    .map(|(label, value)| (label.to_owned(), value))
                    .collect();
                for (label, earlier) in &shown {
                    prop_assert!(now.get(label).is_some_and(|now| now >= earlier), "{} of {:?}", label, now);
                }
                for (label, value) in &now {
                    prop_assert!(*value <= most[label] + 1e-6, "{} of {:?} is above {:?}", label, now, most);
                }
                prop_assert!(now.len() <= max_series);
                shown = now;
            }
        }

        /// Results that overlap anyhow count each row of theirs at least once, and never twice while it stays.
        #[test]
        fn a_row_is_observed_once_while_it_stays(width in 1..10_u32, steps in prop::collection::vec(0..10_u32, 1..20)) {
            let shape = Shape::Histogram { id: "id".into(), buckets: vec![5.0] };
            let query = query(shape, Missing::Absent, 10);
            let mut tally = Tally::default();
            let (mut first, mut seen) = (0, std::collections::BTreeSet::new());
            for step in steps {
                first += step;
                let ids = first..first + width;
                seen.extend(ids.clone());
                let rows = ids.map(|id| (id.to_string(), f64::from(id % 10))).collect();
                let taken = tally.take(&query, readings(&[("a", Reading::Observations(rows))]), true);
                let Value::Distribution(distribution) = &taken.samples[0].value else {
                    panic!("a histogram");
                };
                prop_assert_eq!(distribution.count, seen.len() as u64);
            }
        }
    }

    #[test]
    fn a_counter_does_not_fall_when_rows_are_deleted() {
        let query = query(Shape::Counter { from: From::Database }, Missing::Absent, 10);
        let mut tally = Tally::default();
        let mut take = |value| {
            let taken = tally.take(&query, readings(&[("a", counter(value))]), true);
            numbers(&taken)[0].1
        };
        assert_eq!(
            Vec::from([100.0, 130.0, 50.0, 60.0].map(&mut take)),
            [100.0, 130.0, 130.0, 140.0]
        );
    }

    #[test]
    fn a_counter_whose_group_vanished_keeps_its_total_and_goes_on() {
        let query = query(Shape::Counter { from: From::Database }, Missing::Absent, 10);
        let mut tally = Tally::default();
        tally.take(&query, readings(&[("a", counter(5.0))]), true);
        assert_eq!(numbers(&tally.take(&query, Readings::new(), true)), [("a", 5.0)]);
        let taken = tally.take(&query, readings(&[("a", counter(2.0))]), true);
        assert_eq!(numbers(&taken), [("a", 7.0)]);
    }

    #[test]
    fn a_counter_from_the_start_begins_with_0() {
        let query = query(Shape::Counter { from: From::Start }, Missing::Absent, 10);
        let mut tally = Tally::default();
        let mut take = |value| {
            let taken = tally.take(
                &query,
                readings(&[("a", Reading::Counter(value, From::Start))]),
                true,
            );
            numbers(&taken)[0].1
        };
        assert_eq!(Vec::from([100.0, 130.0].map(&mut take)), [0.0, 30.0]);
    }

    #[test]
    fn a_group_that_comes_up_later_shows_0_until_a_page_did() {
        let query = query(Shape::Counter { from: From::Database }, Missing::Absent, 10);
        let mut tally = Tally::default();
        tally.take(&query, readings(&[("a", counter(5.0))]), false);
        let mut take = |raw, shown| {
            let taken = tally.take(
                &query,
                readings(&[("a", counter(5.0)), ("b", counter(raw))]),
                shown,
            );
            numbers(&taken)
                .iter()
                .map(|(_, value)| *value)
                .collect::<Vec<_>>()
        };
        assert_eq!(take(3.0, true), [5.0, 0.0]);
        assert_eq!(take(3.0, false), [5.0, 0.0]);
        assert_eq!(take(4.0, false), [5.0, 0.0]);
        assert_eq!(take(4.0, true), [5.0, 4.0]);
        assert_eq!(take(6.0, false), [5.0, 6.0]);
    }

    #[test]
    fn a_missing_gauge_is_absent_or_0_as_the_query_says() {
        for (missing, expected) in [(Missing::Absent, &[][..]), (Missing::Zero, &[("a", 0.0)][..])] {
            let query = query(Shape::Gauge, missing, 10);
            let mut tally = Tally::default();
            tally.take(&query, readings(&[("a", Reading::Gauge(5.0))]), true);
            assert_eq!(numbers(&tally.take(&query, Readings::new(), true)), expected);
        }
    }

    #[test]
    fn newcomers_beyond_the_cap_are_dropped_and_counted() {
        let query = query(Shape::Gauge, Missing::Absent, 2);
        let mut tally = Tally::default();
        let gauge = |value| Reading::Gauge(value);
        tally.take(&query, readings(&[("x", gauge(1.0)), ("y", gauge(1.0))]), true);
        let taken = tally.take(
            &query,
            readings(&[("a", gauge(2.0)), ("x", gauge(2.0)), ("y", gauge(2.0))]),
            true,
        );
        assert_eq!(
            (numbers(&taken), taken.dropped),
            (vec![("x", 2.0), ("y", 2.0)], 1)
        );
    }

    #[test]
    fn a_histogram_counts_every_row_once() {
        let shape = Shape::Histogram {
            id: "id".into(),
            buckets: vec![1.0, 10.0],
        };
        let query = query(shape, Missing::Absent, 10);
        let mut tally = Tally::default();
        let rows = |rows: &[(&str, f64)]| {
            let rows = rows
                .iter()
                .map(|(id, value)| ((*id).to_owned(), *value))
                .collect();
            readings(&[("a", Reading::Observations(rows))])
        };
        tally.take(&query, rows(&[("1", 0.5), ("2", 5.0)]), true);
        let taken = tally.take(&query, rows(&[("2", 5.0), ("3", 50.0)]), true);
        let expected = Distribution {
            buckets: vec![(1.0, 1), (10.0, 2)],
            sum: 55.5,
            count: 3,
        };
        assert_eq!(taken.samples[0].value, Value::Distribution(expected));
    }
}
