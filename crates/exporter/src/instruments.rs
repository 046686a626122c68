//! Long-lived counters and histograms, for events that happen between scrapes.
//!
//! The `prometheus` crate keeps the numbers; its families go onto the same page as the collectors'.

use prometheus::proto::MetricType;

use crate::family::Kind;
use crate::family::{Distribution, Family, Sample, Value, render};
use crate::metric::Metric;

/// The instruments of one exporter. Cloning gives another handle on the same ones.
#[derive(Clone, Default)]
pub struct Instruments {
    registry: prometheus::Registry,
}

/// A number that only grows.
#[derive(Clone)]
pub struct Counter(prometheus::Counter);

/// Counters told apart by `N` labels.
#[derive(Clone)]
pub struct CounterVec<const N: usize>(prometheus::CounterVec);

/// A distribution over fixed buckets.
#[derive(Clone)]
pub struct Histogram(prometheus::Histogram);

/// Histograms told apart by `N` labels.
#[derive(Clone)]
pub struct HistogramVec<const N: usize>(prometheus::HistogramVec);

/// A metric that was made twice with different descriptions, or buckets that do not rise.
#[derive(Debug, thiserror::Error)]
#[error("instrument {name}")]
pub struct InstrumentError {
    name: &'static str,
    source: prometheus::Error,
}

impl Instruments {
    /// No instruments yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter; it is on the page from the start, with 0.
    pub fn counter(&self, metric: &Metric<0>) -> Result<Counter, InstrumentError> {
        let made = prometheus::Counter::new(metric.name(), metric.help());
        self.register(metric.name(), made).map(Counter)
    }

    /// Counters that appear with their first use of each label value.
    pub fn counter_vec<const N: usize>(&self, metric: &Metric<N>) -> Result<CounterVec<N>, InstrumentError> {
        let options = prometheus::Opts::new(metric.name(), metric.help());
        let made = prometheus::CounterVec::new(options, metric.label_names());
        self.register(metric.name(), made).map(CounterVec)
    }

    /// A histogram with these upper bounds, which must rise.
    pub fn histogram(&self, metric: &Metric<0>, buckets: &[f64]) -> Result<Histogram, InstrumentError> {
        let options = prometheus::HistogramOpts::new(metric.name(), metric.help()).buckets(buckets.to_vec());
        self.register(metric.name(), prometheus::Histogram::with_opts(options))
            .map(Histogram)
    }

    /// Histograms that appear with their first use of each label value.
    pub fn histogram_vec<const N: usize>(
        &self,
        metric: &Metric<N>,
        buckets: &[f64],
    ) -> Result<HistogramVec<N>, InstrumentError> {
        let options = prometheus::HistogramOpts::new(metric.name(), metric.help()).buckets(buckets.to_vec());
        let made = prometheus::HistogramVec::new(options, metric.label_names());
        self.register(metric.name(), made).map(HistogramVec)
    }

    fn register<T>(&self, name: &'static str, made: prometheus::Result<T>) -> Result<T, InstrumentError>
    where
        T: prometheus::core::Collector + Clone + 'static,
    {
        let register = |instrument: T| {
            self.registry
                .register(Box::new(instrument.clone()))
                .map(|()| instrument)
        };
        made.and_then(register)
            .map_err(|source| InstrumentError { name, source })
    }

    /// What they say now; the page of an exporter that has them shows the same.
    pub fn gather(&self) -> Vec<Family> {
        self.registry.gather().iter().filter_map(family).collect()
    }
}

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Adds `amount`; what is negative or not a number is ignored, since a counter never goes back.
    pub fn add(&self, amount: f64) {
        if amount > 0.0 {
            self.0.inc_by(amount);
        }
    }
}

impl<const N: usize> CounterVec<N> {
    /// The counter with these label values, in the order of the label names.
    pub fn with(&self, values: [&str; N]) -> Counter {
        Counter(self.0.with_label_values(&values))
    }
}

impl Histogram {
    /// Adds one observation.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

impl<const N: usize> HistogramVec<N> {
    /// The histogram with these label values, in the order of the label names.
    pub fn with(&self, values: [&str; N]) -> Histogram {
        Histogram(self.0.with_label_values(&values))
    }
}

fn family(gathered: &prometheus::proto::MetricFamily) -> Option<Family> {
    let (kind, value): (_, fn(&prometheus::proto::Metric) -> Value) = match gathered.get_field_type() {
        MetricType::COUNTER => (Kind::Counter, |metric| {
            Value::Number(metric.get_counter().get_value())
        }),
        MetricType::GAUGE => (Kind::Gauge, |metric| {
            Value::Number(metric.get_gauge().get_value())
        }),
        MetricType::HISTOGRAM => (Kind::Histogram, |metric| {
            let histogram = metric.get_histogram();
            let buckets = histogram
                .get_bucket()
                .iter()
                .map(|b| (b.upper_bound(), b.cumulative_count()));
            Value::Histogram(Box::new(Distribution {
                buckets: buckets.filter(|(bound, _)| bound.is_finite()).collect(),
                sum: histogram.get_sample_sum(),
                count: histogram.get_sample_count(),
            }))
        }),
        _ => return None,
    };
    let mut family = Family::checked(kind, gathered.name(), gathered.help());
    family.samples.extend(gathered.get_metric().iter().map(|metric| {
        Sample {
            labels: render(
                metric
                    .get_label()
                    .iter()
                    .map(|label| (label.name(), label.value())),
            ),
            value: value(metric),
        }
    }));
    Some(family)
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, TextEncoder};
    use proptest::prelude::*;

    use super::*;
    use crate::encode::encode;
    use crate::metric::Unit;

    /// What the stock encoder writes for families of our own.
    fn oracle(families: &[Family]) -> String {
        let families: Vec<_> = families
            .iter()
            .filter(|family| !family.is_empty())
            .map(proto)
            .collect();
        let mut page = Vec::new();
        TextEncoder::new()
            .encode(&families, &mut page)
            .expect("the stock encoder takes them");
        String::from_utf8(page).expect("UTF-8")
    }

    fn proto(family: &Family) -> prometheus::proto::MetricFamily {
        let mut out = prometheus::proto::MetricFamily::default();
        out.set_name(family.name.to_string());
        out.set_help(family.help.to_string());
        out.set_field_type(match family.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        out.set_metric(
            family
                .samples
                .iter()
                .map(|sample| metric(family.kind, sample))
                .collect(),
        );
        out
    }

    fn metric(kind: Kind, sample: &Sample) -> prometheus::proto::Metric {
        let mut out = prometheus::proto::Metric::default();
        out.set_label(unrender(&sample.labels));
        match (&sample.value, kind) {
            (Value::Number(value), Kind::Counter) => {
                let mut counter = prometheus::proto::Counter::default();
                counter.set_value(*value);
                out.set_counter(counter);
            }
            (Value::Number(value), _) => {
                let mut gauge = prometheus::proto::Gauge::default();
                gauge.set_value(*value);
                out.set_gauge(gauge);
            }
            (Value::Histogram(distribution), _) => {
                let mut histogram = prometheus::proto::Histogram::default();
                histogram.set_sample_sum(distribution.sum);
                histogram.set_sample_count(distribution.count);
                let bucket = |&(bound, count): &(f64, u64)| {
                    let mut bucket = prometheus::proto::Bucket::default();
                    bucket.set_upper_bound(bound);
                    bucket.set_cumulative_count(count);
                    bucket
                };
                histogram.set_bucket(distribution.buckets.iter().map(bucket).collect());
                out.set_histogram(histogram);
            }
        }
        out
    }

    /// Reads rendered labels back, so that the oracle escapes them itself.
    fn unrender(labels: &str) -> Vec<prometheus::proto::LabelPair> {
        let mut pairs = Vec::new();
        let mut rest = labels;
        while let Some((name, tail)) = rest.split_once("=\"") {
            let mut value = String::new();
            let mut chars = tail.char_indices();
            let mut end = tail.len();
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => value.push(match chars.next() {
                        Some((_, 'n')) => '\n',
                        Some((_, c)) => c,
                        None => '\\',
                    }),
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    c => value.push(c),
                }
            }
            let mut pair = prometheus::proto::LabelPair::default();
            pair.set_name(name.trim_start_matches(',').to_owned());
            pair.set_value(value);
            pairs.push(pair);
            rest = &tail[end..];
        }
        pairs
    }

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>(),
            any::<u32>().prop_map(f64::from),
            any::<i64>().prop_map(|i| i as f64 / 1e6)
        ]
    }

    prop_compose! {
        fn any_sample()(
            values in proptest::collection::vec("[ -~äß\n\"\\\\]{0,12}", 0..3),
            value in any_value(),
            counts in proptest::option::of(proptest::collection::vec(0u64..1_000_000, 1..5)),
        ) -> (Vec<String>, f64, Option<Vec<u64>>) {
            (values, value, counts)
        }
    }

    prop_compose! {
        fn any_family()(
            name in "[a-z_][a-z0-9_]{0,20}",
            help in "[ -~\n\\\\]{0,30}",
            kind in prop_oneof![Just(Kind::Counter), Just(Kind::Gauge), Just(Kind::Histogram)],
            samples in proptest::collection::vec(any_sample(), 0..5),
        ) -> Family {
            let mut family = Family::checked(kind, &name, &help);
            for (values, value, counts) in samples {
                let labels = render(["a", "b"].into_iter().zip(values.iter().map(String::as_str)));
                let value = match kind {
                    Kind::Histogram => {
                        let buckets = counts.unwrap_or_default();
                        Value::Histogram(Box::new(Distribution {
                            count: buckets.last().copied().unwrap_or(0),
                            buckets: buckets.iter().enumerate().map(|(i, c)| (i as f64 / 8.0, *c)).collect(),
                            sum: value,
                        }))
                    }
                    _ => Value::Number(value),
                };
                family.samples.push(Sample { labels, value });
            }
            family
        }
    }

    proptest! {
        #[test]
        fn the_stock_encoder_writes_the_same_bytes(families in proptest::collection::vec(any_family(), 0..5)) {
            let mut page = Vec::new();
            encode(&families, &mut page);
            prop_assert_eq!(String::from_utf8(page).expect("UTF-8"), oracle(&families));
        }
    }

    #[test]
    fn instruments_are_written_as_the_stock_encoder_writes_them() {
        const JOBS: Metric<1> = Metric::counter("jobs_total", Unit::None, "Jobs.", ["queue"]);
        const WAIT: Metric<0> = Metric::histogram("wait_seconds", Unit::Seconds, "Waits.", []);
        let instruments = Instruments::new();
        let jobs = instruments.counter_vec(&JOBS).expect("new");
        jobs.with(["a\"b"]).add(2.5);
        jobs.with(["a\"b"]).add(-1.0);
        let wait = instruments.histogram(&WAIT, &[0.1, 1.0]).expect("new");
        wait.observe(0.5);
        wait.observe(5.0);
        let mut page = Vec::new();
        encode(&instruments.gather(), &mut page);
        let page = String::from_utf8(page).expect("UTF-8");
        let mut stock = Vec::new();
        TextEncoder::new()
            .encode(&instruments.registry.gather(), &mut stock)
            .expect("encodes");
        assert_eq!(page, String::from_utf8(stock).expect("UTF-8"));
        assert!(page.contains("jobs_total{queue=\"a\\\"b\"} 2.5\n"), "{page}");
        assert!(page.contains("wait_seconds_bucket{le=\"1\"} 1\n"), "{page}");
        assert!(instruments.counter_vec(&JOBS).is_err(), "the same metric twice");
    }
}
