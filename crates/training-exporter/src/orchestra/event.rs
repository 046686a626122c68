//! One line of the orchestra's log.

use exporter::text::cut;
use serde_json::{Map, Value};

use crate::json::{self, JsonError};

/// Longer names are cut, in characters.
const MAX_NAME: usize = 100;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A model was called and answered, or not.
    Call {
        model: String,
        outcome: String,
        latency_seconds: Option<f64>,
    },
    /// Another model took over.
    Rotation,
    /// The cache had an answer, or not.
    Cache { hit: bool },
    /// An execution began.
    Begin { id: String },
    /// It ended.
    End { id: String },
    /// The orchestra was started, and nothing is under way.
    Start,
}

/// Why a line says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// It is no JSON object.
    #[error("{0}")]
    Json(JsonError),
    /// A field is missing, or not what it should be.
    #[error("{0}")]
    Value(String),
    /// It is an event of another kind.
    #[error("there is no event {0:?}; there are call, rotation, cache, begin, end and start")]
    Event(String),
}

impl Rejection {
    /// The reason in `training_read_errors_total`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            // A whole line that ends too early will not get better.
            Self::Json(_) => "invalid",
            Self::Value(_) => "value",
            Self::Event(_) => "event",
        }
    }
}

/// Reads a line, without its end.
pub(crate) fn parse(line: &[u8]) -> Result<Event, Rejection> {
    let Value::Object(object) = json::parse(line).map_err(Rejection::Json)? else {
        return Err(Rejection::Json(JsonError::Invalid("it is no JSON object".into())));
    };
    match object.get("event").map(|event| (event, event.as_str())) {
        Some((_, Some("call"))) | None => call(&object),
        Some((_, Some("rotation"))) => Ok(Event::Rotation),
        Some((_, Some("cache"))) => match object.get("result").and_then(Value::as_str) {
            Some("hit") => Ok(Event::Cache { hit: true }),
            Some("miss") => Ok(Event::Cache { hit: false }),
            _ => Err(wrong(&object, "result", "hit or miss")),
        },
        Some((_, Some("begin"))) => Ok(Event::Begin {
            id: name(&object, "id")?,
        }),
        Some((_, Some("end"))) => Ok(Event::End {
            id: name(&object, "id")?,
        }),
        Some((_, Some("start"))) => Ok(Event::Start),
        Some((event, _)) => Err(Rejection::Event(cut(&event.to_string(), 40).into_owned())),
    }
}

fn call(object: &Map<String, Value>) -> Result<Event, Rejection> {
    let outcome = match object.get("outcome") {
        None | Some(Value::Null) => "unknown".to_owned(),
        Some(_) => name(object, "outcome")?,
    };
    let latency_seconds = match object.get("latency_seconds") {
        None | Some(Value::Null) => None,
        Some(latency) => {
            let seconds = json::number(latency).filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
            Some(seconds.ok_or_else(|| wrong(object, "latency_seconds", "a number of at least 0"))?)
        }
    };
    Ok(Event::Call {
        model: name(object, "model")?,
        outcome,
        latency_seconds,
    })
}

/// A text, or a number as a text.
fn name(object: &Map<String, Value>, key: &str) -> Result<String, Rejection> {
    let text = match object.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    if text.is_empty() {
        return Err(wrong(object, key, "a text"));
    }
    Ok(cut(&text, MAX_NAME).into_owned())
}

fn wrong(object: &Map<String, Value>, key: &str, expected: &str) -> Rejection {
    Rejection::Value(match object.get(key) {
        Some(value) => format!("{key} is {}, not {expected}", cut(&value.to_string(), 40)),
        None => format!("there is no {key}, {expected}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Result<Event, Rejection> {
        parse(line.as_bytes())
    }

    #[test]
    fn events_are_read() {
        let call = |outcome: &str, latency_seconds| {
            Ok(Event::Call {
                model: "m".into(),
                outcome: outcome.into(),
                latency_seconds,
            })
        };
        for (line, event) in [
            (
                r#"{"event":"call","model":"m","outcome":"success","latency_seconds":1.5,"tokens":9}"#,
                call("success", Some(1.5)),
            ),
            (r#"{"model":"m"}"#, call("unknown", None)),
            (r#"{"event":"rotation","from":"a","to":"b"}"#, Ok(Event::Rotation)),
            (
                r#"{"event":"cache","result":"hit"}"#,
                Ok(Event::Cache { hit: true }),
            ),
            (r#"{"event":"begin","id":7}"#, Ok(Event::Begin { id: "7".into() })),
            (r#"{"event":"end","id":"7"}"#, Ok(Event::End { id: "7".into() })),
            (r#"{"event":"start"}"#, Ok(Event::Start)),
        ] {
            assert_eq!(read(line), event, "{line}");
        }
    }

    #[test]
    fn rejections_say_what_is_wrong() {
        for (line, reason, error) in [
            ("", "invalid", "it ends too early"),
            ("[]", "invalid", "it is no JSON object"),
            (r#"{"event":"call"}"#, "value", "there is no model, a text"),
            (
                r#"{"model":"m","latency_seconds":NaN}"#,
                "value",
                "latency_seconds is \"NaN\", not a number",
            ),
            (
                r#"{"event":"cache","result":"maybe"}"#,
                "value",
                "result is \"maybe\", not hit or miss",
            ),
            (r#"{"event":"begin"}"#, "value", "there is no id, a text"),
            (
                r#"{"event":"party"}"#,
                "event",
                "there is no event \"\\\"party\\\"\"",
            ),
            (r#"{"event":3}"#, "event", "there is no event \"3\""),
        ] {
            let rejection = read(line).expect_err(line);
            assert_eq!(rejection.reason(), reason, "{line}");
            assert!(rejection.to_string().contains(error), "{rejection}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_an_event_or_rejected(line: Vec<u8>) {
            let _ = parse(&line);
        }
    }
}
