//! Families of samples: the plain values that a collector returns and the encoder writes.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::name::{NameError, check_label_name, check_metric_name};

/// The longest label value that is written; what comes from devices, models or workers is cut there.
const MAX_LABEL_VALUE: usize = 1024;

/// How Prometheus is to read the values of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, a sum and a count.
    Histogram,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// All samples of one metric.
#[derive(Clone, Debug)]
pub struct Family {
    pub(crate) name: Arc<str>,
    pub(crate) help: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) samples: Vec<Sample>,
}

/// One line of the page, or one histogram.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// `zone="core",parent="package-0"`, escaped, or empty.
    pub(crate) labels: Arc<str>,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(f64),
    Histogram(Box<Distribution>),
}

#[derive(Clone, Debug)]
pub(crate) struct Distribution {
    /// Upper bound and cumulative count, without the last bucket `+Inf`.
    pub(crate) buckets: Vec<(f64, u64)>,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

impl Family {
    /// A family whose name comes from outside, such as a user's SQL query.
    pub fn new(kind: Kind, name: &str, help: &str) -> Result<Self, NameError> {
        check_metric_name(name)?;
        Ok(Self::checked(kind, name, help))
    }

    pub(crate) fn checked(kind: Kind, name: &str, help: &str) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            kind,
            samples: Vec::new(),
        }
    }

    /// Adds a sample whose label names come from outside.
    pub fn push(&mut self, labels: &[(&str, &str)], value: f64) -> Result<(), NameError> {
        self.push_value(labels, Value::Number(value))
    }

    /// Adds a histogram whose label names come from outside: upper bounds with cumulative counts, rising and without
    /// the bucket `+Inf`, which is `count`.
    pub fn push_histogram(
        &mut self,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
    ) -> Result<(), NameError> {
        let distribution = Distribution {
            buckets: buckets.to_vec(),
            sum,
            count,
        };
        self.push_value(labels, Value::Histogram(Box::new(distribution)))
    }

    fn push_value(&mut self, labels: &[(&str, &str)], value: Value) -> Result<(), NameError> {
        for (i, (name, _)) in labels.iter().enumerate() {
            check_label_name(name)?;
            if labels[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(NameError::Repeated((*name).into()));
            }
        }
        let labels = render(labels.iter().copied());
        self.samples.push(Sample { labels, value });
        Ok(())
    }

    pub(crate) fn extend(&mut self, samples: impl Iterator<Item = (Arc<str>, f64)>) {
        self.samples.extend(samples.map(|(labels, value)| Sample {
            labels,
            value: Value::Number(value),
        }));
    }

    /// The metric's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The value of the sample with exactly these labels, rendered as on the page (`zone="core",parent=""`).
    pub fn get(&self, labels: &str) -> Option<f64> {
        self.samples
            .iter()
            .find(|sample| &*sample.labels == labels)
            .and_then(|sample| match sample.value {
                Value::Number(value) => Some(value),
                Value::Histogram(_) => None,
            })
    }
}

/// Values for `N` labels, rendered and escaped once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels<const N: usize>(Arc<str>);

impl<const N: usize> Labels<N> {
    pub(crate) fn new(names: &[&'static str; N], values: [impl AsRef<str>; N]) -> Self {
        Self(values.render(names))
    }
}

/// What a metric with `N` labels takes as label values: an array of strings, or cached [`Labels`].
pub trait LabelValues<const N: usize> {
    #[doc(hidden)]
    fn render(self, names: &[&'static str; N]) -> Arc<str>;
}

impl<const N: usize, S: AsRef<str>> LabelValues<N> for [S; N] {
    fn render(self, names: &[&'static str; N]) -> Arc<str> {
        render(names.iter().copied().zip(self.iter().map(AsRef::as_ref)))
    }
}

impl<const N: usize> LabelValues<N> for &Labels<N> {
    fn render(self, names: &[&'static str; N]) -> Arc<str> {
        debug_assert!(
            names.iter().all(|name| self.0.contains(name)),
            "labels made for another metric"
        );
        Arc::clone(&self.0)
    }
}

pub(crate) fn render<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Arc<str> {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape_into(&mut text, cut(value));
        text.push('"');
    }
    text.into()
}

fn cut(value: &str) -> &str {
    if value.len() <= MAX_LABEL_VALUE {
        value
    } else {
        &value[..value.floor_char_boundary(MAX_LABEL_VALUE)]
    }
}

/// Escapes a label value: backslash, double quote and line feed.
fn escape_into(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            // A carriage return or NUL is legal in the format and breaks every tool that reads it by lines.
            c if c.is_control() => {
                let _ = write!(out, "{}", c.escape_default().to_string().replace('\\', "\\\\"));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped_and_cut() {
        let labels = render([("a", "x\"y\\z\nw"), ("b", "\r\0")].into_iter());
        assert_eq!(&*labels, r#"a="x\"y\\z\nw",b="\\r\\u{0}""#);
        let long = "é".repeat(MAX_LABEL_VALUE);
        assert_eq!(
            render([("a", long.as_str())].into_iter()).len(),
            MAX_LABEL_VALUE + 4
        );
    }

    #[test]
    fn names_from_outside_are_checked() {
        assert_eq!(
            Family::new(Kind::Gauge, "no good", "").map(|_| ()),
            Err(NameError::Metric("no good".into()))
        );
        let mut family = Family::new(Kind::Gauge, "good", "").expect("a good name");
        assert_eq!(
            family.push(&[("le", "1")], 0.0),
            Err(NameError::Label("le".into()))
        );
        assert_eq!(
            family.push(&[("a", "1"), ("a", "2")], 0.0),
            Err(NameError::Repeated("a".into()))
        );
        family.push(&[("a", "1")], 2.0).expect("good labels");
        assert_eq!(family.get(r#"a="1""#), Some(2.0));
    }
}
