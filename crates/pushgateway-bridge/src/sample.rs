//! What one scrape of one target, or one push of a local job, yields: series with one sample each.
//!
//! A page keeps every text once and the series as numbers into that table, which is also how remote write 2.0 sends
//! them: 100 000 series with five labels each take about 10 MB.

mod symbols;

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use self::symbols::{Symbols, number};

/// The label that holds a series' metric name.
pub const NAME: &str = "__name__";

/// The bits of the NaN that says that a series ended; every other NaN is a value.
/// <https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers>
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value that says that a series ended.
pub const fn stale() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether this value says that its series ended.
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// What a metric is, numbered as remote write 2.0 numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The page does not say.
    #[default]
    Unknown = 0,
    /// It only grows.
    Counter = 1,
    /// It goes up and down.
    Gauge = 2,
    /// Cumulative buckets.
    Histogram = 3,
    /// Quantiles.
    Summary = 5,
}

/// What the page says about a metric besides its values; empty texts where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// What it is.
    pub kind: Kind,
    /// What it means.
    pub help: &'a str,
    /// Its unit, such as `seconds`.
    pub unit: &'a str,
}

/// Why a series is not taken into a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no `__name__`, or it is empty.
    #[error("it has no metric name")]
    NoName,
    /// A label without a name.
    #[error("a label has no name")]
    EmptyLabelName,
    /// The same label twice.
    #[error("a label stands twice")]
    RepeatedLabel,
    /// The page's texts or series are too many to be numbered.
    #[error("the page is too large")]
    TooLarge,
}

/// The series of one scrape, each with one sample.
#[derive(Clone, Debug)]
pub struct Page {
    symbols: Symbols,
    /// Pairs of symbols, the series' labels one after the other.
    labels: Vec<u32>,
    series: Vec<Series>,
    /// Kept to sort the labels of one series without allocating.
    pairs: Vec<[u32; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Series {
    /// Where its labels begin and end in `Page::labels`.
    labels: [u32; 2],
    value: f64,
    timestamp_ms: i64,
    kind: Kind,
    help: u32,
    unit: u32,
}

/// One series of a page and its sample.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// What tells the series from others.
    pub labels: Labels<'a>,
    /// The value; [`stale`] where the series ended.
    pub value: f64,
    /// Milliseconds of Unix time.
    pub timestamp_ms: i64,
    /// What the metric is.
    pub metadata: Metadata<'a>,
}

/// The labels of a series, sorted by name; `__name__` is one of them.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    symbols: &'a Symbols,
    refs: &'a [u32],
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

impl Page {
    /// No series yet.
    pub fn new() -> Self {
        Self {
            symbols: Symbols::new(),
            labels: Vec::new(),
            series: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Adds a series with its sample. The labels may come in any order, `__name__` among them; empty values are left
    /// out, as an empty label is none.
    pub fn push<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        labels: impl IntoIterator<Item = (N, V)>,
        value: f64,
        timestamp_ms: i64,
        metadata: Metadata<'_>,
    ) -> Result<(), Refusal> {
        self.pairs.clear();
        for (name, value) in labels {
            let (name, value) = (name.as_ref(), value.as_ref());
            if name.is_empty() {
                return Err(Refusal::EmptyLabelName);
            }
            if !value.is_empty() {
                self.pairs
                    .push([self.symbols.number(name)?, self.symbols.number(value)?]);
            }
        }
        let symbols = &self.symbols;
        self.pairs.sort_unstable_by_key(|[name, _]| symbols.text(*name));
        if self.pairs.windows(2).any(|two| two[0][0] == two[1][0]) {
            return Err(Refusal::RepeatedLabel);
        }
        if !self.pairs.iter().any(|[name, _]| symbols.text(*name) == NAME) {
            return Err(Refusal::NoName);
        }
        let help = self.symbols.number(metadata.help)?;
        let unit = self.symbols.number(metadata.unit)?;
        let start = number(self.labels.len())?;
        let end = number(self.labels.len() + 2 * self.pairs.len())?;
        self.labels.extend(self.pairs.iter().flatten());
        self.series.push(Series {
            labels: [start, end],
            value,
            timestamp_ms,
            kind: metadata.kind,
            help,
            unit,
        });
        Ok(())
    }

    /// Adds a stale marker for every series of `earlier` that this page does not have. With an empty page that ends all
    /// of them. A marker of `earlier` itself has ended already.
    pub fn end_missing(&mut self, earlier: &Self, timestamp_ms: i64) -> Result<(), Refusal> {
        let missing: Vec<usize> = {
            let present: HashSet<Labels<'_>> = self.iter().map(|sample| sample.labels).collect();
            let ended = |sample: &Sample<'_>| !is_stale(sample.value) && !present.contains(&sample.labels);
            (earlier.iter().enumerate().filter(|(_, sample)| ended(sample)))
                .map(|(at, _)| at)
                .collect()
        };
        for sample in missing.into_iter().filter_map(|at| earlier.get(at)) {
            self.push(sample.labels.iter(), stale(), timestamp_ms, sample.metadata)?;
        }
        Ok(())
    }

    /// Gives back what is only of use while a page grows: it is kept to be compared with the next one.
    pub fn shrink(&mut self) {
        self.labels.shrink_to_fit();
        self.series.shrink_to_fit();
        self.pairs = Vec::new();
        self.symbols.shrink();
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series in the order in which they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Sample<'_>> {
        self.series.iter().map(|series| self.sample(series))
    }

    /// One series by its place.
    pub fn get(&self, at: usize) -> Option<Sample<'_>> {
        self.series.get(at).map(|series| self.sample(series))
    }

    fn sample<'a>(&'a self, series: &'a Series) -> Sample<'a> {
        let [start, end] = series.labels.map(|at| at as usize);
        Sample {
            labels: Labels {
                symbols: &self.symbols,
                refs: self.labels.get(start..end).unwrap_or_default(),
            },
            value: series.value,
            timestamp_ms: series.timestamp_ms,
            metadata: Metadata {
                kind: series.kind,
                help: self.symbols.text(series.help),
                unit: self.symbols.text(series.unit),
            },
        }
    }
}

impl<'a> Labels<'a> {
    /// Name and value of each, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let Self { symbols, refs } = *self;
        refs.chunks_exact(2)
            .map(|pair| (symbols.text(pair[0]), symbols.text(pair[1])))
    }

    /// The value of a label, empty where the series has none.
    pub fn get(&self, name: &str) -> &'a str {
        self.iter()
            .find(|(other, _)| *other == name)
            .map_or("", |(_, value)| value)
    }
}

impl PartialEq for Labels<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.refs.len() == other.refs.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Labels<'_> {}

impl Hash for Labels<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|pair| pair.hash(state));
    }
}

/// As in PromQL: `up{job="node",machine="pc"}`.
impl std::fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.get(NAME))?;
        let mut rest = self.iter().filter(|(name, _)| *name != NAME).peekable();
        if rest.peek().is_none() {
            return Ok(());
        }
        for (at, (name, value)) in rest.enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            write!(f, "{before}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl std::fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(page: &Page) -> Vec<String> {
        page.iter().map(|sample| sample.labels.to_string()).collect()
    }

    #[test]
    fn labels_are_sorted_and_empty_ones_left_out() {
        let mut page = Page::new();
        let given = [("z", "1"), (NAME, "up"), ("a", "x\"y"), ("gone", "")];
        page.push(given, 1.0, 5, Metadata::default()).expect("taken");
        assert_eq!(labels(&page), [r#"up{a="x\"y",z="1"}"#]);
        let sample = page.get(0).expect("one");
        assert_eq!(
            sample.labels.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            [NAME, "a", "z"]
        );
    }

    #[test]
    fn what_no_receiver_takes_is_refused() {
        let mut page = Page::new();
        let mut push = |labels: &[(&'static str, &'static str)]| {
            page.push(labels.iter().copied(), 1.0, 5, Metadata::default())
        };
        assert_eq!(push(&[("a", "b")]), Err(Refusal::NoName));
        assert_eq!(push(&[(NAME, "")]), Err(Refusal::NoName));
        assert_eq!(push(&[(NAME, "up"), ("", "b")]), Err(Refusal::EmptyLabelName));
        assert_eq!(
            push(&[(NAME, "up"), ("a", "b"), ("a", "c")]),
            Err(Refusal::RepeatedLabel)
        );
        assert!(page.is_empty());
    }

    #[test]
    fn only_the_marker_is_stale() {
        assert!(is_stale(stale()));
        assert!(!is_stale(f64::NAN));
        assert!(stale().is_nan());
    }

    #[test]
    fn what_is_gone_is_ended_once() {
        let page = |names: &[&'static str]| {
            let mut page = Page::new();
            for name in names {
                page.push([(NAME, *name)], 1.0, 5, Metadata::default())
                    .expect("taken");
            }
            page
        };
        let mut second = page(&["b", "c"]);
        second.end_missing(&page(&["a", "b"]), 9).expect("taken");
        let ended: Vec<_> = second
            .iter()
            .filter(|sample| is_stale(sample.value))
            .map(|sample| (sample.labels.to_string(), sample.timestamp_ms))
            .collect();
        assert_eq!(ended, [("a".to_owned(), 9)]);
        let mut third = page(&["b", "c"]);
        third.end_missing(&second, 12).expect("taken");
        assert_eq!(labels(&third), ["b", "c"]);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(series in proptest::collection::vec(
            (proptest::collection::btree_map("[a-z]{1,3}", ".{1,4}", 0..5), any::<f64>(), any::<i64>(), ".{0,5}"),
            0..30,
        )) {
            let mut page = Page::new();
            for (labels, value, timestamp_ms, help) in &series {
                let labels = labels.iter().rev().map(|(name, value)| (name.as_str(), value.as_str()));
                let metadata = Metadata { kind: Kind::Counter, help, unit: "" };
                page.push(labels.chain([(NAME, "m")]), *value, *timestamp_ms, metadata).expect("taken");
            }
            prop_assert_eq!(page.len(), series.len());
            for (sample, (labels, value, timestamp_ms, help)) in page.iter().zip(&series) {
                let found: Vec<_> = sample.labels.iter().filter(|(name, _)| *name != NAME).collect();
                let expected: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                prop_assert_eq!(found, expected);
                prop_assert_eq!((sample.value.to_bits(), sample.timestamp_ms), (value.to_bits(), *timestamp_ms));
                prop_assert_eq!(sample.metadata.help, help);
            }
        }
    }
}
