//! What one request carries. It is kept, and spooled, as the message of remote write 2.0, compressed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::Context as _;
use prost::Message as _;

use super::message::{v1, v2};
use crate::sample::{Page, Sample};

/// Series of one record: what is sent again, and searched for a bad series, after a failure.
pub(super) const RECORD: usize = 2_000;
/// No message is larger before compression; a payload that says otherwise is damaged.
const MOST_BYTES: usize = 256 << 20;

/// A record for the spool, made from a part of a page.
pub(super) struct Record {
    pub(super) samples: usize,
    pub(super) newest_ms: i64,
    pub(super) payload: Vec<u8>,
}

/// Cuts a page into records, one at a time. Samples with a later time than this have records of their own: a page may give
/// its samples any time, and one that has to wait holds up none of the others.
pub(super) fn records(page: &Page, latest_ms: i64) -> impl Iterator<Item = anyhow::Result<Record>> {
    [false, true].into_iter().flat_map(move |is_ahead| {
        let mut samples = (page.iter()).filter(move |sample| (sample.timestamp_ms > latest_ms) == is_ahead);
        std::iter::from_fn(move || {
            let batch = Batch::of(samples.by_ref().take(RECORD));
            (!batch.is_empty()).then(|| {
                Ok(Record {
                    samples: batch.samples(),
                    newest_ms: batch.newest_ms(),
                    payload: batch.compressed()?,
                })
            })
        })
    })
}

/// Series and their samples, in the order of their times.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Batch {
    message: v2::Request,
}

impl Batch {
    fn of<'a>(samples: impl Iterator<Item = Sample<'a>>) -> Self {
        let mut symbols = Symbols::default();
        let mut timeseries = Vec::new();
        for sample in samples {
            let metadata = sample.metadata;
            timeseries.push(v2::TimeSeries {
                labels_refs: (sample.labels.iter())
                    .flat_map(|(name, value)| [name, value])
                    .map(|text| symbols.number(text))
                    .collect(),
                samples: vec![v2::Sample {
                    value: sample.value,
                    timestamp: sample.timestamp_ms,
                }],
                metadata: Some(v2::Metadata {
                    kind: metadata.kind as i32,
                    help_ref: symbols.number(metadata.help),
                    unit_ref: symbols.number(metadata.unit),
                }),
            });
        }
        Self {
            message: v2::Request {
                symbols: symbols.texts,
                timeseries,
            },
        }
    }

    /// What a record's payload holds.
    pub(super) fn decode(payload: &[u8]) -> anyhow::Result<Self> {
        let length = snap::raw::decompress_len(payload).context("the length of the message")?;
        anyhow::ensure!(length <= MOST_BYTES, "a message of {length} bytes");
        let plain = snap::raw::Decoder::new()
            .decompress_vec(payload)
            .context("decompress the message")?;
        let message = v2::Request::decode(plain.as_slice()).context("read the message")?;
        let known = u32::try_from(message.symbols.len()).unwrap_or(u32::MAX);
        let refs = |series: &v2::TimeSeries| {
            let metadata = series.metadata.unwrap_or_default();
            series
                .labels_refs
                .iter()
                .chain([&metadata.help_ref, &metadata.unit_ref])
                .all(|number| *number < known)
        };
        let is_sound = |series: &v2::TimeSeries| {
            refs(series)
                && series.labels_refs.len().is_multiple_of(2)
                && !series.samples.is_empty()
                && series
                    .samples
                    .is_sorted_by(|one, next| one.timestamp < next.timestamp)
        };
        anyhow::ensure!(
            message.timeseries.iter().all(is_sound),
            "a series without samples in order, or labels that are not in the message"
        );
        Ok(Self { message })
    }

    /// One batch of several, oldest first: samples of a series come together, in that order.
    pub(super) fn merge(batches: Vec<Self>) -> Self {
        let mut batches = batches;
        if batches.len() < 2 {
            return batches.pop().unwrap_or_default();
        }
        let mut symbols = Symbols::default();
        let mut timeseries: Vec<v2::TimeSeries> = Vec::new();
        let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
        for batch in batches {
            let numbers: Vec<u32> = batch
                .message
                .symbols
                .iter()
                .map(|text| symbols.number(text))
                .collect();
            let renumber = |number: u32| numbers.get(number as usize).copied().unwrap_or_default();
            for mut series in batch.message.timeseries {
                series
                    .labels_refs
                    .iter_mut()
                    .for_each(|number| *number = renumber(*number));
                if let Some(metadata) = &mut series.metadata {
                    metadata.help_ref = renumber(metadata.help_ref);
                    metadata.unit_ref = renumber(metadata.unit_ref);
                }
                match known.entry(series.labels_refs.clone()) {
                    Entry::Vacant(new) => {
                        new.insert(timeseries.len());
                        timeseries.push(series);
                    }
                    Entry::Occupied(at) => {
                        if let Some(earlier) = timeseries.get_mut(*at.get()) {
                            earlier.samples.extend(series.samples);
                        }
                    }
                }
            }
        }
        for series in &mut timeseries {
            series.samples.sort_by_key(|sample| sample.timestamp);
            series.samples.dedup_by_key(|sample| sample.timestamp);
        }
        Self {
            message: v2::Request {
                symbols: symbols.texts,
                timeseries,
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.message.timeseries.is_empty()
    }

    pub(super) fn samples(&self) -> usize {
        self.message
            .timeseries
            .iter()
            .map(|series| series.samples.len())
            .sum()
    }

    fn times(&self) -> impl Iterator<Item = i64> {
        self.message
            .timeseries
            .iter()
            .flat_map(|series| &series.samples)
            .map(|sample| sample.timestamp)
    }

    pub(super) fn newest_ms(&self) -> i64 {
        self.times().max().unwrap_or(i64::MIN)
    }

    /// Whether all samples are of one time.
    pub(super) fn is_of_one_time(&self) -> bool {
        let mut times = self.times();
        let first = times.next();
        times.all(|time| Some(time) == first)
    }

    /// Two halves: by time where there are several times, the older one first, else by series.
    pub(super) fn split(self) -> [Self; 2] {
        let mut times: Vec<i64> = self.times().collect();
        times.sort_unstable();
        times.dedup();
        let symbols = self.message.symbols;
        let [first, second] = match times.get(times.len() / 2) {
            Some(middle) if times.len() > 1 => by_time(self.message.timeseries, *middle),
            _ => {
                let mut first = self.message.timeseries;
                let second = first.split_off(first.len() / 2);
                [first, second]
            }
        };
        [first, second].map(|timeseries| {
            Self {
                message: v2::Request {
                    symbols: symbols.clone(),
                    timeseries,
                },
            }
            .tidied()
        })
    }

    /// Without the texts that no series needs.
    fn tidied(self) -> Self {
        let texts = self.message.symbols;
        let text = |number: u32| texts.get(number as usize).map_or("", String::as_str);
        let mut symbols = Symbols::default();
        let mut timeseries = self.message.timeseries;
        for series in &mut timeseries {
            series
                .labels_refs
                .iter_mut()
                .for_each(|number| *number = symbols.number(text(*number)));
            if let Some(metadata) = &mut series.metadata {
                metadata.help_ref = symbols.number(text(metadata.help_ref));
                metadata.unit_ref = symbols.number(text(metadata.unit_ref));
            }
        }
        Self {
            message: v2::Request {
                symbols: symbols.texts,
                timeseries,
            },
        }
    }

    /// The first series, for the log.
    pub(super) fn first_series(&self) -> String {
        let mut page = Page::new();
        let Some(series) = self.message.timeseries.first() else {
            return String::new();
        };
        let labels = self.labels(series);
        match page.push(labels, 0.0, 0, crate::sample::Metadata::default()) {
            Ok(()) => page.iter().map(|sample| sample.labels.to_string()).collect(),
            Err(refusal) => refusal.to_string(),
        }
    }

    fn labels(&self, series: &v2::TimeSeries) -> Vec<(&str, &str)> {
        let text = |number: &u32| {
            self.message
                .symbols
                .get(*number as usize)
                .map_or("", String::as_str)
        };
        series
            .labels_refs
            .chunks_exact(2)
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect()
    }

    /// The body of a request of version 2.0.
    pub(super) fn compressed(&self) -> anyhow::Result<Vec<u8>> {
        compress(&self.message.encode_to_vec())
    }

    /// The body of a request of version 1.0, which has no place for help and unit of a series.
    pub(super) fn compressed_v1(&self) -> anyhow::Result<Vec<u8>> {
        let timeseries = self.message.timeseries.iter().map(|series| v1::TimeSeries {
            labels: (self.labels(series).into_iter())
                .map(|(name, value)| v1::Label {
                    name: name.to_owned(),
                    value: value.to_owned(),
                })
                .collect(),
            samples: series.samples.clone(),
        });
        compress(
            &v1::WriteRequest {
                timeseries: timeseries.collect(),
            }
            .encode_to_vec(),
        )
    }
}

fn by_time(timeseries: Vec<v2::TimeSeries>, middle: i64) -> [Vec<v2::TimeSeries>; 2] {
    let (mut older, mut newer) = (Vec::new(), Vec::new());
    for mut series in timeseries {
        let at = series.samples.partition_point(|sample| sample.timestamp < middle);
        let late = series.samples.split_off(at);
        if !late.is_empty() {
            newer.push(v2::TimeSeries {
                samples: late,
                ..series.clone()
            });
        }
        if !series.samples.is_empty() {
            older.push(series);
        }
    }
    [older, newer]
}

fn compress(message: &[u8]) -> anyhow::Result<Vec<u8>> {
    snap::raw::Encoder::new()
        .compress_vec(message)
        .context("compress the message")
}

/// The texts of one message.
struct Symbols {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Default for Symbols {
    fn default() -> Self {
        Self {
            texts: vec![String::new()],
            numbers: HashMap::from([(String::new(), 0)]),
        }
    }
}

impl Symbols {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // A message of 2^32 texts would be far above what a page may hold.
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::sample::{Metadata, NAME};

    /// Samples by series and time.
    type All = BTreeMap<(String, i64), u64>;

    fn all(batch: &Batch) -> All {
        let mut all = All::new();
        for series in &batch.message.timeseries {
            for sample in &series.samples {
                let labels = format!("{:?}", batch.labels(series));
                let earlier = all.insert((labels, sample.timestamp), sample.value.to_bits());
                assert_eq!(earlier, None, "twice");
            }
        }
        all
    }

    /// Down to single samples, in the order in which they would be sent.
    fn singles(batch: Batch, out: &mut Vec<Batch>) {
        if batch.samples() == 1 {
            out.push(batch);
            return;
        }
        for half in batch.split() {
            assert!(!half.is_empty(), "a half of nothing would never end");
            singles(half, out);
        }
    }

    proptest! {
        #[test]
        fn merged_and_split_it_holds_the_same(pages in proptest::collection::vec(1_usize..12, 1..6)) {
            let (mut batches, mut expected) = (Vec::new(), All::new());
            for (at, series) in pages.iter().enumerate() {
                let mut page = Page::new();
                let time = i64::try_from(at).expect("few") * 15_000;
                for number in 0..*series {
                    let number = number.to_string();
                    let labels = [(NAME, "m"), ("number", number.as_str())];
                    let metadata = Metadata { help: "It counts.", ..Metadata::default() };
                    page.push(labels, at as f64, time, metadata).expect("taken");
                }
                for record in records(&page, i64::MAX) {
                    let record = record.expect("encoded");
                    let batch = Batch::decode(&record.payload).expect("decoded");
                    prop_assert_eq!((record.samples, record.newest_ms), (batch.samples(), time));
                    expected.extend(all(&batch));
                    batches.push(batch);
                }
            }
            let merged = Batch::merge(batches);
            prop_assert_eq!(all(&merged), expected.clone());
            prop_assert_eq!(merged.is_of_one_time(), pages.len() == 1);
            let mut parts = Vec::new();
            singles(merged, &mut parts);
            prop_assert_eq!(parts.len(), expected.len());
            prop_assert!(parts.windows(2).all(|two| two[0].newest_ms() <= two[1].newest_ms()));
            prop_assert_eq!(parts.iter().flat_map(all).collect::<All>(), expected);
        }

        #[test]
        fn no_payload_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(batch) = Batch::decode(&bytes) {
                let _ = (batch.first_series(), batch.compressed_v1());
            }
            let compressed = snap::raw::Encoder::new().compress_vec(&bytes).expect("compressed");
            if let Ok(batch) = Batch::decode(&compressed) {
                let _ = (batch.first_series(), batch.compressed_v1());
            }
        }
    }
}
