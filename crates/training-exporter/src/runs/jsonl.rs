//! Logs of one JSON object per line, as axolotl, LLaMA-Factory (`trainer_log.jsonl`) and many own loops write them.

use serde_json::{Map, Value};

use super::record::Record;
use crate::json::{self, JsonError};

/// Objects inside of objects are followed so far down.
const DEEPEST: usize = 4;

/// Reads a line; `None` when it is no object of a run's log.
pub(crate) fn record(line: &[u8]) -> Result<Option<Record>, JsonError> {
    let Value::Object(object) = json::parse(line)? else {
        return Ok(None);
    };
    Ok(of(&object).whole())
}

/// The record that an object is.
pub(crate) fn of(object: &Map<String, Value>) -> Record {
    let mut record = Record::default();
    take(&mut record, "", object, DEEPEST);
    record
}

fn take(record: &mut Record, prefix: &str, object: &Map<String, Value>, depth: usize) {
    for (key, value) in object {
        let nested;
        let name = if prefix.is_empty() {
            key
        } else {
            nested = format!("{prefix}/{key}");
            &nested
        };
        match value {
            Value::Object(inner) if depth > 0 => take(record, name, inner, depth - 1),
            value => {
                if let Some(number) = json::number(value) {
                    record.number(name, number);
                } else if let Some(word) = value.as_str() {
                    record.word(name, word);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::runs::state::Activity;

    fn read(line: &str) -> Option<Record> {
        record(line.as_bytes()).expect("JSON")
    }

    #[test]
    fn trainers_logs_are_read() {
        let factory = r#"{"current_steps": 5, "total_steps": 100, "loss": 1.25, "lr": 5e-05, "epoch": 0.1,
            "percentage": 5.0, "elapsed_time": "0:00:05", "remaining_time": "0:01:35"}"#;
        let record = read(factory).expect("a record");
        assert_eq!((record.step, record.last_step), (Some(5.0), Some(100.0)));
        let tags: Vec<_> = record.scalars.iter().map(|(tag, _)| tag.as_str()).collect();
        assert_eq!(tags, ["loss", "lr", "epoch", "percentage"]);

        let own = r#"{"step": 7, "train": {"loss": NaN}, "state": "evaluating", "pid": 12}"#;
        let record = read(own).expect("a record");
        assert_eq!(
            (record.activity, record.pid),
            (Some(Activity::Evaluating), Some(12))
        );
        assert!(record.scalars[0].0 == "train/loss" && record.scalars[0].1.is_nan());

        let keras = read(r#"{"epoch": 3, "val_loss": 0.5}"#).expect("a record");
        assert_eq!(keras.step, Some(3.0));
    }

    #[test]
    fn what_is_no_log_of_a_run_is_passed_over() {
        for line in [
            r#"{"prompt": "2 + 2 =", "completion": "4"}"#,
            r#"{"id": 4, "score": 0.5}"#,
            r#"{"step": 4}"#,
            r#"{"step": "four", "loss": "low"}"#,
            "[1, 2]",
            "7",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
        assert!(record(b"{\"step\": 4, ").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = record(&bytes);
        }
    }
}
