//! From rows to readings: which series a result speaks of, and what it says about each.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::failure::{Failure, Kind};
use crate::query::{From, Metric, Missing, Query, Shape};
use crate::table::{Row, Table, number};
use crate::text::cell;

/// A series of a query: which metric, and the values of its labels in the metric's order, a state last.
pub(crate) type Key = (usize, Vec<String>);

/// What a result says about one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reading {
    Gauge(f64),
    /// The aggregate as it is now.
    Counter(f64, From),
    /// Identity and value of each row.
    Observations(Vec<(String, f64)>),
    /// Ready buckets.
    Cumulative(Distribution),
}

/// A histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Distribution {
    /// Upper bound and cumulative count, rising, without +Inf.
    pub(crate) buckets: Vec<(f64, u64)>,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

impl Distribution {
    /// One without observations.
    pub(crate) fn new(bounds: &[f64]) -> Self {
        Self {
            buckets: bounds.iter().map(|bound| (*bound, 0)).collect(),
            ..Self::default()
        }
    }

    /// Counts one observation.
    pub(crate) fn observe(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        for (bound, count) in &mut self.buckets {
            *count += u64::from(value <= *bound);
        }
    }

    /// Puts ready buckets in order; together with the count, each has to hold what the one below it holds.
    fn settle(&mut self, metric: &str) -> Result<(), Failure> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = self.buckets.iter().copied().chain([(f64::INFINITY, self.count)]);
        let rises = |((low, few), (high, more))| low < high && few <= more;
        if all.clone().zip(all.skip(1)).all(rises) {
            Ok(())
        } else {
            let text =
                format!("{metric}: buckets are cumulative, one row each, and one with le NULL has the count");
            Err(Failure::new(Kind::Value, text))
        }
    }

    /// Adds a ready bucket; the one without a finite bound counts everything and has the sum.
    fn add(&mut self, bound: Option<f64>, count: u64, total: Option<f64>) {
        if let Some(bound) = bound.filter(|bound| bound.is_finite()) {
            self.buckets.push((bound, count));
        } else {
            self.count = count;
            self.sum = total.unwrap_or(0.0);
        }
    }
}

/// What the page shows of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) key: Key,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Distribution(Distribution),
}

/// A label's value is cut to so many characters; two that are then the same are two rows for one series.
const LONGEST_LABEL: usize = 256;

/// All series of a result.
pub(crate) type Readings = BTreeMap<Key, Reading>;

/// Reads a result; all of it, or nothing.
pub(crate) fn read(query: &Query, table: &Table) -> Result<Readings, Failure> {
    let mut readings = Readings::new();
    if table.rows.is_empty() {
        if query.missing == Missing::Error {
            return Err(Failure::new(
                Kind::Rows,
                "no rows, and the query says that there are always some",
            ));
        }
        return Ok(readings);
    }
    for (index, metric) in query.metrics.iter().enumerate() {
        let columns = Columns::find(metric, table)?;
        for row in &table.rows {
            let Some(value) = &row[columns.value] else {
                continue;
            };
            let key = (
                index,
                columns.labels.iter().map(|i| label(row[*i].as_deref())).collect(),
            );
            add(&mut readings, metric, &columns, key, value, row)?;
        }
    }
    for ((index, _), reading) in &mut readings {
        if let Reading::Cumulative(distribution) = reading {
            distribution.settle(&query.metrics[*index].name)?;
        }
    }
    Ok(readings)
}

/// Where a metric's columns are.
struct Columns {
    value: usize,
    labels: Vec<usize>,
    /// `id` of a histogram, or `le` of buckets.
    extra: Option<usize>,
    sum: Option<usize>,
}

impl Columns {
    fn find(metric: &Metric, table: &Table) -> Result<Self, Failure> {
        let find = |column: &String| {
            table.column(column).ok_or_else(|| {
                let there = table.columns.join(", ");
                let text = format!(
                    "the result has no column {column:?} for {}; it has {there}",
                    metric.name
                );
                Failure::new(Kind::Schema, text)
            })
        };
        let (extra, sum) = match &metric.shape {
            Shape::Histogram { id, .. } => (Some(find(id)?), None),
            Shape::Buckets { le, sum } => (Some(find(le)?), Some(find(sum)?)),
            _ => (None, None),
        };
        Ok(Self {
            value: find(&metric.value)?,
            labels: metric
                .labels
                .iter()
                .map(|(_, column)| find(column))
                .collect::<Result<_, _>>()?,
            extra,
            sum,
        })
    }
}

fn add(
    readings: &mut Readings,
    metric: &Metric,
    columns: &Columns,
    key: Key,
    value: &str,
    row: &Row,
) -> Result<(), Failure> {
    let number = || number(value, &metric.value);
    let finite = || self::finite(number()?, &metric.value);
    let extra = columns.extra.and_then(|i| row[i].as_deref());
    match &metric.shape {
        Shape::Gauge => {
            let value = number()?;
            if value.is_nan() {
                return Ok(());
            }
            once(readings, metric, key, Reading::Gauge(value))
        }
        Shape::Counter { from } => once(readings, metric, key, Reading::Counter(finite()?, *from)),
        Shape::StateSet { states } => add_states(readings, metric, &key, value, states),
        Shape::Histogram { .. } => {
            let id = extra.ok_or_else(|| Failure::new(Kind::Value, "a row without id"))?;
            let observation = (id.to_owned(), finite()?);
            match readings
                .entry(key)
                .or_insert_with(|| Reading::Observations(Vec::new()))
            {
                Reading::Observations(all) => all.push(observation),
                _ => unreachable!("a metric has one shape"),
            }
            Ok(())
        }
        Shape::Buckets { le, sum } => {
            let reading = readings
                .entry(key)
                .or_insert_with(|| Reading::Cumulative(Distribution::default()));
            let Reading::Cumulative(distribution) = reading else {
                unreachable!("a metric has one shape")
            };
            let count = whole(number()?, &metric.value)?;
            let bound = extra.map(|text| self::number(text, le)).transpose()?;
            let total = columns.sum.and_then(|i| row[i].as_deref());
            let total = total.map(|text| self::number(text, sum)).transpose()?;
            distribution.add(bound, count, total);
            Ok(())
        }
    }
}

/// NULL is the empty value.
fn label(value: Option<&str>) -> String {
    value.unwrap_or_default().chars().take(LONGEST_LABEL).collect()
}

/// What is added up stays no number for ever once it was none.
fn finite(value: f64, column: &str) -> Result<f64, Failure> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Failure::new(
            Kind::Value,
            format!("column {column}: {value} cannot be added up"),
        ))
    }
}

/// One series per state, 1 for the current one.
fn add_states(
    readings: &mut Readings,
    metric: &Metric,
    key: &Key,
    current: &str,
    states: &[String],
) -> Result<(), Failure> {
    if !states.iter().any(|state| state == current) {
        let text = format!(
            "column {}: {} is none of {}",
            metric.value,
            cell(current),
            states.join(", ")
        );
        return Err(Failure::new(Kind::Value, text));
    }
    for state in states {
        let mut key = key.clone();
        key.1.push(state.clone());
        let value = f64::from(u8::from(state == current));
        once(readings, metric, key, Reading::Gauge(value))?;
    }
    Ok(())
}

/// Two rows for one series mean that the query lacks a label or a GROUP BY.
fn once(readings: &mut Readings, metric: &Metric, key: Key, reading: Reading) -> Result<(), Failure> {
    match readings.entry(key) {
        Entry::Vacant(place) => {
            place.insert(reading);
            Ok(())
        }
        Entry::Occupied(place) => {
            let labels = place.key().1.join(", ");
            let text = format!(
                "{}: two rows for the labels ({labels}); group the rows",
                metric.name
            );
            Err(Failure::new(Kind::Value, text))
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number that is not negative"
)]
fn whole(value: f64, column: &str) -> Result<u64, Failure> {
    if value >= 0.0 && value.fract() == 0.0 {
        Ok(value as u64)
    } else {
        Err(Failure::new(
            Kind::Value,
            format!("column {column}: {value} is no count"),
        ))
    }
}
