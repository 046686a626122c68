//! A query, and what becomes of its result.

use std::time::Duration;

use exporter::{Family, Kind, NameError};
use serde::Deserialize;

/// A query and what becomes of its result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) name: String,
    pub(crate) sql: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// How long values stay on the page after the last success.
    pub(crate) expire: Duration,
    pub(crate) max_rows: usize,
    pub(crate) max_series: usize,
    pub(crate) missing: Missing,
    pub(crate) metrics: Vec<Metric>,
}

/// What it means that a series is not in the result.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    /// It is not known.
    #[default]
    Absent,
    /// It is 0: gauges without labels, and those with labels that were seen before.
    Zero,
    /// A result without rows is a failure.
    Error,
}

/// A metric of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) shape: Shape,
    /// Label and column.
    pub(crate) labels: Vec<(String, String)>,
    /// Label and value.
    pub(crate) constants: Vec<(String, String)>,
    /// The column of the value.
    pub(crate) value: String,
}

/// What the values are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// As they are.
    Gauge,
    /// An aggregate that grows; [`crate::tally`] keeps it from falling.
    Counter { from: From },
    /// The name of the current state; one series per state.
    StateSet { states: Vec<String> },
    /// One observation per row, each `id` once.
    Histogram { id: String, buckets: Vec<f64> },
    /// Ready cumulative buckets: one row per `le`, and one with `le` +Inf or NULL that also has the sum.
    Buckets { le: String, sum: String },
}

/// Where a counter begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    /// With the database's total: what grew while the exporter was down counts.
    #[default]
    Database,
    /// With 0: for tables from which old rows are deleted, where a restart would else look like growth.
    Start,
}

impl Metric {
    /// Whether the page can carry it beside these labels of its database; the library knows.
    pub(crate) fn check(&self, beside: &[(String, String)]) -> Result<(), NameError> {
        let mut family = Family::new(self.kind(), &self.name, &self.help)?;
        let all = beside.iter().chain(&self.constants).chain(&self.labels);
        let mut labels: Vec<(&str, &str)> = all.map(|(label, _)| (label.as_str(), "")).collect();
        if let Shape::StateSet { .. } = self.shape {
            labels.push(("state", ""));
        }
        family.push(&labels, 0.0)
    }

    /// Whether the page can carry both; `apart` when the labels of their databases tell them apart.
    pub(crate) fn fits(&self, other: &Self, apart: bool) -> bool {
        if self.name == other.name {
            self.kind() == other.kind() && (apart || !self.overlaps(other))
        } else {
            !self.has_part(&other.name) && !other.has_part(&self.name)
        }
    }

    /// Whether a series may come from both, with one set of labels of the database.
    fn overlaps(&self, other: &Self) -> bool {
        let differs = |(label, value): &(String, String)| {
            other
                .constants
                .iter()
                .any(|(theirs, other)| theirs == label && other != value)
        };
        !self.constants.iter().any(differs)
    }

    /// Whether it is a histogram with series of this name.
    fn has_part(&self, name: &str) -> bool {
        let part = name.strip_prefix(&self.name);
        self.kind() == Kind::Histogram && matches!(part, Some("_bucket" | "_count" | "_sum"))
    }

    /// How Prometheus is to read it.
    pub(crate) fn kind(&self) -> Kind {
        match self.shape {
            Shape::Gauge | Shape::StateSet { .. } => Kind::Gauge,
            Shape::Counter { .. } => Kind::Counter,
            Shape::Histogram { .. } | Shape::Buckets { .. } => Kind::Histogram,
        }
    }
}
