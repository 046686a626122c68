//! What one version of `latest_metrics.json` says. `docs/training-metrics.schema.json` describes the file.

use std::collections::BTreeMap;

use exporter::text::cut;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json::{self, JsonError};

/// Longer names are cut, in characters.
const MAX_NAME: usize = 64;
/// Apps beyond this many are left out.
const MAX_APPS: usize = 10_000;
/// No more is said of what is wrong.
const MAX_WRONG: usize = 20;

/// The values of one version. What is missing or `null` is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// `unknown` where the file does not say.
    pub(crate) phase: String,
    /// By name in the file; they may be infinite or no number.
    pub(crate) scalars: BTreeMap<&'static str, f64>,
    pub(crate) step: Option<u64>,
    pub(crate) step_duration_seconds: Option<f64>,
    /// Apps that were done.
    pub(crate) apps: Option<u64>,
    /// Pass rate by app, from the lowest.
    pub(crate) per_app: Vec<(String, f64)>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) state: Option<String>,
    /// The trainer's process, and the machine that it is on.
    pub(crate) pid: Option<u32>,
    pub(crate) host: Option<String>,
    /// Fields whose values are not what they should be.
    pub(crate) wrong: Vec<String>,
}

/// The newest checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) step: Option<u64>,
    /// When it was written, Unix time in seconds.
    pub(crate) timestamp: Option<f64>,
    /// How many were written.
    pub(crate) count: Option<u64>,
}

/// The numbers that are exported as they are.
pub(crate) const SCALARS: [&str; 5] = [
    "loss",
    "reward",
    "test_pass_rate",
    "variance",
    "api_compatibility",
];

/// Reads the file's content.
pub(crate) fn parse(bytes: &[u8]) -> Result<Reading, JsonError> {
    let Value::Object(object) = json::parse(bytes)? else {
        return Err(JsonError::Invalid("it is no JSON object".into()));
    };
    let mut fields = Fields::new(&object, "");
    let phase = fields.take("phase", name).unwrap_or_else(|| "unknown".to_owned());
    let scalars = SCALARS
        .into_iter()
        .filter_map(|name| Some((name, fields.take(name, json::number)?)))
        .collect();
    let mut reading = Reading {
        phase,
        scalars,
        step: fields.take("step", json::whole),
        step_duration_seconds: fields.take("step_duration_seconds", positive),
        apps: fields.take("apps", json::whole),
        state: fields.take("state", name),
        host: fields.take("host", name),
        pid: fields.take("pid", |value| {
            json::whole(value)?.try_into().ok().filter(|pid| *pid > 0)
        }),
        ..Reading::default()
    };
    let per_app = fields.take("per_app", |value| value.as_object().cloned());
    let checkpoint = fields.take("checkpoint", |value| value.as_object().cloned());
    let mut wrong = fields.wrong;
    if let Some(object) = per_app {
        let mut fields = Fields::new(&object, "per_app.");
        for app in object.keys().take(MAX_APPS) {
            let rate = fields.take(app, positive);
            reading
                .per_app
                .extend(rate.map(|rate| (cut(app, MAX_NAME).into_owned(), rate)));
        }
        reading
            .per_app
            .sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        wrong.append(&mut fields.wrong);
    }
    if let Some(object) = checkpoint {
        let mut fields = Fields::new(&object, "checkpoint.");
        reading.checkpoint = Some(Checkpoint {
            step: fields.take("step", json::whole),
            timestamp: fields.take("timestamp", positive),
            count: fields.take("count", json::whole),
        });
        wrong.append(&mut fields.wrong);
    }
    wrong.truncate(MAX_WRONG);
    reading.wrong = wrong;
    Ok(reading)
}

struct Fields<'a> {
    object: &'a Map<String, Value>,
    prefix: &'static str,
    wrong: Vec<String>,
}

impl<'a> Fields<'a> {
    fn new(object: &'a Map<String, Value>, prefix: &'static str) -> Self {
        Self {
            object,
            prefix,
            wrong: Vec::new(),
        }
    }

    /// The value of a field. One that cannot be read is noted, and missing.
    fn take<T>(&mut self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() && self.wrong.len() < MAX_WRONG {
            let (name, shown) = (cut(name, MAX_NAME), value.to_string());
            self.wrong
                .push(format!("{}{name} cannot be {}", self.prefix, cut(&shown, 40)));
        }
        read
    }
}

/// A text, or a number as a text.
fn name(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then(|| cut(&text, MAX_NAME).into_owned())
}

fn positive(value: &Value) -> Option<f64> {
    json::number(value).filter(|number| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_file_of_the_documentation_is_read() {
        let reading = parse(
            br#"{"phase": "phase3", "loss": NaN, "reward": 0.81, "test_pass_rate": 0.76, "variance": 0.03,
                 "step": 1200, "step_duration_seconds": 2.5, "apps": 320,
                 "per_app": {"calculator": 0.9, "chess": 0.4}, "api_compatibility": 0.97,
                 "checkpoint": {"step": 1000, "timestamp": 1763800000.5, "count": 10},
                 "state": "running", "pid": 4711, "note": [1, 2]}"#,
        )
        .expect("a reading");
        assert_eq!(reading.phase, "phase3");
        assert!(reading.scalars["loss"].is_nan());
        assert_eq!(reading.step, Some(1200));
        assert_eq!(reading.per_app[0], ("chess".to_owned(), 0.4));
        assert_eq!(
            reading.checkpoint,
            Some(Checkpoint {
                step: Some(1000),
                timestamp: Some(1_763_800_000.5),
                count: Some(10)
            })
        );
        assert_eq!(
            (reading.state.as_deref(), reading.pid),
            (Some("running"), Some(4711))
        );
        assert_eq!(reading.wrong, [""; 0]);
    }

    #[test]
    fn a_wrong_field_costs_no_other() {
        let reading = parse(
            br#"{"phase": ["x"], "loss": "low", "reward": 1, "step": -5, "pid": 0, "apps": null,
                 "per_app": {"a": "b", "c": 0.5, "d": null}, "checkpoint": {"step": 1.5, "count": 2}}"#,
        )
        .expect("a reading");
        assert_eq!(reading.phase, "unknown");
        assert_eq!(reading.scalars.get("reward"), Some(&1.0));
        assert_eq!(reading.checkpoint.expect("a checkpoint").count, Some(2));
        assert_eq!(reading.per_app, [("c".to_owned(), 0.5)]);
        assert_eq!(
            reading.wrong,
            [
                "phase cannot be [\"x\"]",
                "loss cannot be \"low\"",
                "step cannot be -5",
                "pid cannot be 0",
                "per_app.a cannot be \"b\"",
                "checkpoint.step cannot be 1.5"
            ]
        );
    }

    #[test]
    fn something_else_is_refused() {
        assert_eq!(parse(b"[1]").expect_err("a list").reason(), "invalid");
        assert_eq!(parse(b"{\"loss\": 1").expect_err("torn").reason(), "torn");
    }

    proptest! {
        #[test]
        fn any_values_are_taken_or_noted(
            name in prop::sample::select(vec![
                "phase", "loss", "step", "apps", "per_app", "checkpoint", "state", "pid", "step_duration_seconds",
            ]),
            value in prop_oneof![
                any::<f64>().prop_map(Value::from), any::<i64>().prop_map(Value::from), any::<bool>().prop_map(Value::from),
                ".{0,80}".prop_map(Value::from), Just(Value::Null), Just(serde_json::json!({ "step": [], "a": 1 })),
            ],
        ) {
            let text = serde_json::json!({ name: value }).to_string();
            let reading = parse(text.as_bytes()).expect("an object");
            prop_assert!(reading.wrong.len() <= 1);
        }
    }
}
