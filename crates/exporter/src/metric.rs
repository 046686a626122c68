//! Descriptions of metrics: name, unit, help and label names, checked when the program is compiled.
//!
//! Declare every metric as a `const` at the top of the module that yields it; that list is the module's contract.
//! The checks follow the Prometheus naming rules and the text format 0.0.4:
//! <https://prometheus.io/docs/practices/naming/>, <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use crate::family::{Family, Kind, LabelValues, Labels};
use crate::name::{equal, is_label_name, is_metric_name};

/// The unit that a metric's name ends with (in front of `_total`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count of things, a state or a version.
    None,
    /// Seconds, durations as well as points in time (Unix time).
    Seconds,
    /// Bytes.
    Bytes,
    /// Joules.
    Joules,
    /// Watts.
    Watts,
    /// Degrees Celsius.
    Celsius,
    /// Hertz.
    Hertz,
    /// A share between 0 and 1.
    Ratio,
    /// A share between 0 and 100, for names that the public contract fixes so.
    Percent,
}

impl Unit {
    const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "_seconds",
            Self::Bytes => "_bytes",
            Self::Joules => "_joules",
            Self::Watts => "_watts",
            Self::Celsius => "_celsius",
            Self::Hertz => "_hertz",
            Self::Ratio => "_ratio",
            Self::Percent => "_percent",
        }
    }
}

/// One metric with `N` labels.
#[derive(Clone, Copy, Debug)]
pub struct Metric<const N: usize> {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    labels: [&'static str; N],
}

impl<const N: usize> Metric<N> {
    /// A value that goes up and down. The name ends with the unit.
    pub const fn gauge(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        assert!(
            !ends_with(name, "_total"),
            "a gauge's name does not end with _total"
        );
        assert!(
            ends_with(name, unit.suffix()),
            "the name does not end with its unit"
        );
        Self::contract(Kind::Gauge, name, help, labels)
    }

    /// A value that only grows. The name ends with the unit and `_total`.
    pub const fn counter(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        assert!(ends_with(name, "_total"), "a counter's name ends with _total");
        assert!(
            ends_with_before_total(name, unit.suffix()),
            "the name does not carry its unit before _total"
        );
        Self::contract(Kind::Counter, name, help, labels)
    }

    /// A distribution. The name ends with the unit.
    pub const fn histogram(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        assert!(
            ends_with(name, unit.suffix()),
            "the name does not end with its unit"
        );
        Self::contract(Kind::Histogram, name, help, labels)
    }

    /// A metric whose name is fixed by a public contract against the naming conventions; only what would make
    /// the page unreadable is checked.
    pub const fn contract(
        kind: Kind,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        assert!(is_metric_name(name), "not a valid metric name");
        assert!(!help.is_empty(), "a metric needs a help text");
        let mut i = 0;
        while i < N {
            assert!(
                is_label_name(labels[i]),
                "not a valid label name, or a reserved one"
            );
            let mut j = 0;
            while j < i {
                assert!(!equal(labels[i], labels[j]), "a label name stands twice");
                j += 1;
            }
            i += 1;
        }
        Self {
            name,
            help,
            kind,
            labels,
        }
    }

    /// The metric's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn help(&self) -> &'static str {
        self.help
    }

    pub(crate) const fn label_names(&self) -> &[&'static str; N] {
        &self.labels
    }

    /// A family with one sample per item; label values in the order of the label names.
    pub fn family<V, I>(&self, samples: I) -> Family
    where
        V: LabelValues<N>,
        I: IntoIterator<Item = (V, f64)>,
    {
        let mut family = Family::checked(self.kind, self.name, self.help);
        family.extend(
            samples
                .into_iter()
                .map(|(values, value)| (values.render(&self.labels), value)),
        );
        family
    }

    /// Label values rendered once, for use at every collection and with every metric of the same label names.
    pub fn labels(&self, values: [impl AsRef<str>; N]) -> Labels<N> {
        Labels::new(&self.labels, values)
    }
}

impl Metric<0> {
    /// A family with one sample without labels.
    pub fn value(&self, value: f64) -> Family {
        self.maybe(Some(value))
    }

    /// The same, or an empty family (which is not written) when the value is unknown.
    pub fn maybe(&self, value: Option<f64>) -> Family {
        self.family(value.map(|value| ([""; 0], value)))
    }
}

const fn ends_with(text: &str, suffix: &str) -> bool {
    ends_with_at(text.as_bytes(), text.len(), suffix.as_bytes())
}

const fn ends_with_before_total(name: &str, suffix: &str) -> bool {
    ends_with_at(name.as_bytes(), name.len() - "_total".len(), suffix.as_bytes())
}

/// Whether the first `end` bytes of `text` end with `suffix`.
const fn ends_with_at(text: &[u8], end: usize, suffix: &[u8]) -> bool {
    if suffix.len() > end {
        return false;
    }
    let mut i = 0;
    while i < suffix.len() {
        if text[end - suffix.len() + i] != suffix[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "ends with _total")]
    fn a_counter_without_total_is_refused() {
        let _ = Metric::counter("jobs", Unit::None, "Jobs.", []);
    }

    #[test]
    #[should_panic(expected = "unit before _total")]
    fn a_counter_of_another_unit_is_refused() {
        let _ = Metric::counter("energy_watts_total", Unit::Joules, "Energy.", []);
    }

    #[test]
    #[should_panic(expected = "stands twice")]
    fn a_label_name_may_not_repeat() {
        let _ = Metric::gauge("x", Unit::None, "X.", ["a", "a"]);
    }

    #[test]
    fn an_unknown_value_yields_no_sample() {
        const LOAD: Metric<0> = Metric::gauge("load_ratio", Unit::Ratio, "Load.", []);
        assert!(LOAD.maybe(None).is_empty());
        assert!(!LOAD.value(0.0).is_empty());
    }
}
