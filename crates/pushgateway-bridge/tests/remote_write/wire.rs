//! Reads what remote write sends, apart from the code that writes it.

use std::collections::BTreeMap;

use prost::Message;

/// Series by their labels in text, with times in milliseconds and the values' bits.
pub(crate) type Series = BTreeMap<String, Vec<(i64, u64)>>;

#[derive(Clone, PartialEq, Message)]
struct V1 {
    #[prost(message, repeated, tag = "1")]
    series: Vec<V1Series>,
}

#[derive(Clone, PartialEq, Message)]
struct V1Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    time: i64,
}

#[derive(Clone, PartialEq, Message)]
struct V2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<V2Series>,
}

#[derive(Clone, PartialEq, Message)]
struct V2Series {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help: u32,
    #[prost(uint32, tag = "4")]
    unit: u32,
}

/// What a request carries, checked for what every receiver asks: sorted labels, none twice, none empty, times in order.
pub(crate) fn series(version: u8, body: &[u8]) -> Series {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
    let mut out = Series::new();
    let mut add = |labels: Vec<(String, String)>, samples: Vec<Sample>| {
        assert!(
            labels.windows(2).all(|two| two[0].0 < two[1].0),
            "{labels:?} are not sorted"
        );
        assert!(
            labels
                .iter()
                .all(|(name, value)| !name.is_empty() && !value.is_empty()),
            "{labels:?}"
        );
        assert!(!samples.is_empty(), "{labels:?} has no sample");
        assert!(
            samples.windows(2).all(|two| two[0].time < two[1].time),
            "{labels:?}: {samples:?}"
        );
        let text = labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(",");
        let samples = samples.iter().map(|sample| (sample.time, sample.value.to_bits()));
        out.entry(text).or_default().extend(samples);
    };
    if version == 1 {
        for series in V1::decode(plain.as_slice()).expect("version 1").series {
            let labels = series.labels.into_iter().map(|label| (label.name, label.value));
            add(labels.collect(), series.samples);
        }
        return out;
    }
    let request = V2::decode(plain.as_slice()).expect("version 2");
    assert_eq!(
        request.symbols.first().map(String::as_str),
        Some(""),
        "the first symbol is empty"
    );
    let text = |number: &u32| request.symbols[*number as usize].clone();
    for series in &request.series {
        let labels = series
            .labels
            .chunks(2)
            .map(|pair| (text(&pair[0]), text(&pair[1])));
        add(labels.collect(), series.samples.clone());
        let metadata = series.metadata.expect("metadata");
        assert!((0..=7).contains(&metadata.kind));
        // They are in the table.
        let _ = (text(&metadata.help), text(&metadata.unit));
    }
    out
}
