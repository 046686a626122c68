//! The events in event files. Field numbers are those of `tensorflow/core/util/event.proto`,
//! `framework/summary.proto` and `framework/tensor.proto`.
//!
//! PyTorch writes scalars as `simple_value`, TensorFlow 2 as a tensor of the plugin `scalars`.

use prost::Message;

use crate::runs::record::Record;

#[derive(Message)]
struct Event {
    /// Unix seconds.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// `simple_value`
    #[prost(float, optional, tag = "2")]
    simple: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

#[derive(Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin: Option<Plugin>,
}

#[derive(Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Message)]
struct Tensor {
    /// `DataType` of `types.proto`.
    #[prost(int32, tag = "1")]
    data_type: i32,
    /// The numbers as they lie in memory, little-endian; where it is empty one of the lists below holds them.
    #[prost(bytes = "vec", tag = "4")]
    content: Vec<u8>,
    #[prost(float, repeated, tag = "5")]
    floats: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    doubles: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    ints: Vec<i32>,
    #[prost(int64, repeated, tag = "10")]
    longs: Vec<i64>,
}

const FLOAT: i32 = 1;
const DOUBLE: i32 = 2;
const INT32: i32 = 3;
const INT64: i32 = 9;

/// What the trainer says with these tags is no number to show, but the end of the run.
const ENDS: [&str; 3] = ["finished", "train/train_runtime", "train_runtime"];

/// Reads the content of a frame; `None` when it holds no scalars.
pub(super) fn record(content: &[u8]) -> Result<Option<Record>, prost::DecodeError> {
    let event = Event::decode(content)?;
    let Some(summary) = event.summary else {
        return Ok(None);
    };
    let time = Some(event.wall_time).filter(|time| time.is_finite() && *time > 0.0);
    let mut record = Record::at(event.step as f64, time);
    for value in &summary.values {
        if let Some(number) = scalar(value) {
            record.is_end |= ENDS.contains(&value.tag.as_str());
            record.scalar(&value.tag, number);
        }
    }
    Ok((!record.scalars.is_empty()).then_some(record))
}

fn scalar(value: &Value) -> Option<f64> {
    let plugin = value
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.plugin.as_ref());
    if plugin.is_some_and(|plugin| !matches!(plugin.name.as_str(), "" | "scalars")) {
        return None;
    }
    value
        .simple
        .map(widened)
        .or_else(|| value.tensor.as_ref().and_then(Tensor::number))
}

impl Tensor {
    /// The number of a tensor that holds exactly one.
    fn number(&self) -> Option<f64> {
        match self.data_type {
            FLOAT => one(&self.floats, &self.content, f32::from_le_bytes).map(widened),
            DOUBLE => one(&self.doubles, &self.content, f64::from_le_bytes),
            INT32 => one(&self.ints, &self.content, i32::from_le_bytes).map(f64::from),
            INT64 => one(&self.longs, &self.content, i64::from_le_bytes).map(|number| number as f64),
            _ => None,
        }
    }
}

fn one<T: Copy, const N: usize>(list: &[T], content: &[u8], read: fn([u8; N]) -> T) -> Option<T> {
    match list {
        [] => content.try_into().ok().map(read),
        [number] => Some(*number),
        _ => None,
    }
}

/// The shortest number that is the same float: 0.1, not 0.10000000149011612.
fn widened(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

#[cfg(test)]
pub(super) fn written(step: i64, time: f64, tag: &str, value: f32) -> Vec<u8> {
    let value = Value {
        tag: tag.to_owned(),
        simple: Some(value),
        tensor: None,
        metadata: None,
    };
    let event = Event {
        wall_time: time,
        step,
        summary: Some(Summary { values: vec![value] }),
    };
    event.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(value: &Value) -> Option<f64> {
        scalar(value)
    }

    fn tensor(tensor: Tensor, plugin: &str) -> Value {
        let plugin = Plugin {
            name: plugin.to_owned(),
        };
        Value {
            tag: "loss".to_owned(),
            simple: None,
            tensor: Some(tensor),
            metadata: Some(Metadata { plugin: Some(plugin) }),
        }
    }

    #[test]
    fn tensors_of_one_number_are_scalars() {
        let double = || Tensor {
            data_type: DOUBLE,
            doubles: vec![2.5],
            ..Tensor::default()
        };
        assert_eq!(of(&tensor(double(), "scalars")), Some(2.5));
        assert_eq!(of(&tensor(double(), "histograms")), None);
        let in_memory = Tensor {
            data_type: FLOAT,
            content: 0.1_f32.to_le_bytes().to_vec(),
            ..Tensor::default()
        };
        assert_eq!(of(&tensor(in_memory, "")), Some(0.1));
        let two = Tensor {
            data_type: FLOAT,
            floats: vec![1.0, 2.0],
            ..Tensor::default()
        };
        assert_eq!(of(&tensor(two, "scalars")), None);
        let text = Tensor {
            data_type: 7,
            ..Tensor::default()
        };
        assert_eq!(of(&tensor(text, "")), None);
    }

    #[test]
    fn the_end_of_a_run_is_known() {
        let is_end = |tag| {
            record(&written(9, 1.0, tag, 1.0))
                .expect("an event")
                .expect("a scalar")
                .is_end
        };
        assert!(is_end("train/train_runtime") && is_end("finished"));
        assert!(!is_end("train/loss"));
    }

    proptest! {
        #[test]
        fn scalars_come_back(step: i64, time in 0.1..1e10, tag in "[a-z/_]{1,20}", value: f32) {
            let record = record(&written(step, time, &tag, value)).expect("an event").expect("a scalar");
            prop_assert_eq!((record.step, record.time), (Some(step as f64), Some(time)));
            let (read, number) = &record.scalars[0];
            prop_assert_eq!(read, &tag);
            #[expect(clippy::cast_possible_truncation, reason = "it has to be the same float")]
            let float = *number as f32;
            prop_assert!(float.to_bits() == value.to_bits() || float.is_nan() && value.is_nan());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = record(&bytes);
        }
    }
}
