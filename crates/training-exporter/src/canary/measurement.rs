//! What a run of the canary set says: one JSON object, described in `docs/canary-result.schema.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::checkpoint::Checkpoint;
use crate::json::{self, JsonError};

/// More apps are no canary set, and would be as many series.
const MOST_APPS: usize = 1000;
/// Bytes of the name of an app or checkpoint.
const LONGEST_NAME: usize = 200;
/// Up to it, differences of two figures are finite.
pub(super) const LARGEST: f64 = 1e300;
/// The year 5138. What is above is most likely milliseconds.
const LATEST: f64 = 1e11;

/// One result of the canary set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The figure that is compared: a mean pass rate between 0 and 1, or any other number.
    pub performance: f64,
    /// How many samples it is the mean of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// The same figure of each app.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<String, f64>,
    /// The checkpoint that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// When it was measured, Unix time in seconds.
    pub timestamp: f64,
}

/// As users write it. What it has besides is theirs.
#[derive(Deserialize)]
struct Written {
    performance: f64,
    samples: Option<u64>,
    apps: Option<BTreeMap<String, f64>>,
    checkpoint: Option<WrittenCheckpoint>,
    timestamp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "checkpoint is neither a name nor an object of id, step and timestamp"
)]
enum WrittenCheckpoint {
    Id(String),
    Whole(Checkpoint),
}

impl Measurement {
    /// Reads the whole text as one result. `otherwise` is its time if it names none.
    pub(super) fn parse(text: &[u8], otherwise: f64) -> Result<Self, JsonError> {
        let written = Written::deserialize(json::parse(text)?);
        let written = written.map_err(|error| JsonError::Invalid(error.to_string()))?;
        let result = Self {
            performance: written.performance,
            samples: written.samples,
            apps: written.apps.unwrap_or_default(),
            checkpoint: written.checkpoint.map(|written| match written {
                WrittenCheckpoint::Id(id) => Checkpoint {
                    id: Some(id),
                    ..Checkpoint::default()
                },
                WrittenCheckpoint::Whole(checkpoint) => checkpoint,
            }),
            timestamp: written.timestamp.unwrap_or(otherwise),
        };
        match result.fault() {
            Some(fault) => Err(JsonError::Invalid(fault)),
            None => Ok(result),
        }
    }

    /// Reads what a command printed: one result, or anything with a result as its last line.
    pub(super) fn parse_output(text: &[u8], otherwise: f64) -> Result<Self, JsonError> {
        let whole = Self::parse(text, otherwise);
        let last = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        match (whole, last.map(<[u8]>::trim_ascii_start)) {
            (Err(_), Some(last)) if last.starts_with(b"{") => Self::parse(last, otherwise),
            (whole, _) => whole,
        }
    }

    fn fault(&self) -> Option<String> {
        let figures = self.apps.iter().map(|(app, rate)| (app.as_str(), *rate));
        let mut figures = std::iter::once(("performance", self.performance)).chain(figures);
        if let Some((name, figure)) = figures.find(|(_, figure)| figure.abs() > LARGEST) {
            return Some(format!("{name:?} is {figure:e}, which is no figure"));
        }
        if self.apps.len() > MOST_APPS {
            return Some(format!(
                "{} apps are more than {MOST_APPS}; name a few that stand for the rest",
                self.apps.len()
            ));
        }
        let id = self
            .checkpoint
            .iter()
            .filter_map(|checkpoint| checkpoint.id.as_ref());
        let is_name = |name: &&String| {
            !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(char::is_control)
        };
        if let Some(name) = self.apps.keys().chain(id).find(|name| !is_name(name)) {
            return Some(format!(
                "{:?} is no name: it is empty, longer than {LONGEST_NAME} bytes, or has control characters",
                exporter::text::cut(name, 40)
            ));
        }
        let saved = self
            .checkpoint
            .iter()
            .filter_map(|checkpoint| checkpoint.timestamp);
        let mut times = std::iter::once(self.timestamp).chain(saved);
        times
            .find(|time| !(0.0..LATEST).contains(time))
            .map(|time| format!("timestamp {time} is no Unix time in seconds"))
    }

    /// How many samples it has; where it does not say, its apps are counted.
    pub fn known_samples(&self) -> Option<u64> {
        let apps = Some(self.apps.len() as u64).filter(|apps| *apps > 0);
        self.samples.or(apps)
    }

    /// The SHA-256 of its compact JSON, in hexadecimal digits.
    pub fn sha256(&self) -> String {
        // Strings, numbers and maps of them are always written.
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{:x}", Sha256::digest(json))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Measurement, JsonError> {
        Measurement::parse(text.as_bytes(), 7.0)
    }

    #[test]
    fn a_result_has_a_figure_and_may_have_more() {
        let result = parse("{\"performance\": 0.5}").expect("a result");
        assert_eq!((result.performance, result.timestamp), (0.5, 7.0));
        assert_eq!(result.known_samples(), None);
        let result = parse(
            r#"{"performance": -3, "apps": {"a": 0.5, "b": 1}, "checkpoint": {"step": 9}, "timestamp": 8.5, "note": {}}"#,
        )
        .expect("a result");
        assert_eq!((result.timestamp, result.known_samples()), (8.5, Some(2)));
        assert_eq!(result.checkpoint.and_then(|checkpoint| checkpoint.step), Some(9));
        let named = parse(r#"{"performance": 1, "samples": 3, "checkpoint": "c-1"}"#).expect("a result");
        assert_eq!(named.known_samples(), Some(3));
        assert_eq!(
            named.checkpoint.and_then(|checkpoint| checkpoint.id).as_deref(),
            Some("c-1")
        );
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_reason() {
        for (text, expected) in [
            (r#"{"performance": NaN}"#, "\"NaN\", expected f64"),
            (r#"{"performance": -Infinity}"#, "\"-Infinity\", expected f64"),
            (r#"{"performance": null}"#, "null"),
            (r#"{"performance": 1e301}"#, "is no figure"),
            (r#"{"performance": 1e999}"#, "number out of range"),
            (r#"{"samples": 3}"#, "missing field `performance`"),
            (r#"{"performance": 1, "samples": -3}"#, "-3"),
            (
                r#"{"performance": 1, "timestamp": 1790000000000}"#,
                "Unix time in seconds",
            ),
            (
                r#"{"performance": 1, "checkpoint": 7}"#,
                "neither a name nor an object",
            ),
            (r#"{"performance": 1, "apps": {"": 1}}"#, "is no name"),
            (r#"{"performance": 1, "apps": {"a": null}}"#, "null"),
            ("[]", "invalid"),
        ] {
            let Err(JsonError::Invalid(error)) = parse(text) else {
                panic!("{text}: {:?}", parse(text));
            };
            assert!(error.contains(expected), "{text}: {error}");
        }
        for torn in [
            "",
            " \n",
            "{\"performance\": 0.5",
            "{\"performance\": 0.5, \"apps\": {",
        ] {
            assert!(matches!(parse(torn), Err(JsonError::Torn(_))), "{torn:?}");
        }
    }

    #[test]
    fn the_schema_describes_what_is_read() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../../../docs/canary-result.schema.json")).expect("JSON");
        let examples = schema["examples"].as_array().expect("examples");
        for example in examples {
            parse(&example.to_string()).expect("a result");
        }
        let full = parse(&examples[1].to_string()).expect("a result");
        let written = serde_json::to_value(&full).expect("JSON");
        assert_eq!(written, examples[1], "all fields are in the example");
        let names = |value: &serde_json::Value| {
            value
                .as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&schema["properties"]), names(&written));
        let checkpoint = &schema["properties"]["checkpoint"]["oneOf"][2]["properties"];
        assert_eq!(names(checkpoint), names(&written["checkpoint"]));
    }

    #[test]
    fn apps_are_bounded() {
        let apps: Vec<String> = (0..=MOST_APPS).map(|i| format!("\"{i}\": 1")).collect();
        let text = format!("{{\"performance\": 1, \"apps\": {{{}}}}}", apps.join(", "));
        assert!(matches!(parse(&text), Err(JsonError::Invalid(error)) if error.contains("1001 apps")));
    }

    #[test]
    fn the_last_line_of_what_a_command_prints_will_do() {
        let read = |text: &str| Measurement::parse_output(text.as_bytes(), 7.0);
        assert!(read("loading\n{\"step\": 1}\n{\"performance\": 0.5}\n\n").is_ok());
        assert!(read("{\n  \"performance\": 0.5\n}\n").is_ok());
        assert!(matches!(
            read("loading\n{\"performance\": "),
            Err(JsonError::Torn(_))
        ));
        assert!(matches!(read("done\n"), Err(JsonError::Invalid(_))));
        assert!(matches!(read(""), Err(JsonError::Torn(_))));
    }

    pub(crate) fn any_result() -> impl Strategy<Value = Measurement> {
        let figure = prop_oneof![0.0..=1.0_f64, -1e9..1e9_f64, Just(0.0)];
        let apps = proptest::collection::btree_map("[a-z]{1,3}", figure.clone(), 0..4);
        let checkpoint = (
            proptest::option::of("[a-z]{1,8}"),
            proptest::option::of(any::<u64>()),
            proptest::option::of(0.0..2e9_f64),
        )
            .prop_map(|(id, step, timestamp)| Checkpoint { id, step, timestamp });
        (
            figure,
            proptest::option::of(any::<u64>()),
            apps,
            proptest::option::of(checkpoint),
            0.0..2e9_f64,
        )
            .prop_map(
                |(performance, samples, apps, checkpoint, timestamp)| Measurement {
                    performance,
                    samples,
                    apps,
                    checkpoint,
                    timestamp,
                },
            )
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_result_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Measurement::parse_output(&bytes, 0.0);
        }

        #[test]
        fn a_result_is_the_same_and_has_the_same_hash_after_it_was_written(result in any_result()) {
            let text = serde_json::to_vec_pretty(&result).expect("JSON");
            let read = Measurement::parse(&text, 0.0).expect("a result");
            prop_assert_eq!(&read, &result);
            prop_assert_eq!(read.sha256(), result.sha256());
            let stored: Measurement = serde_json::from_slice(&text).expect("JSON");
            prop_assert_eq!(stored.sha256(), result.sha256());
        }

        #[test]
        fn a_result_without_its_end_is_none(result in any_result(), cut in 1..60_usize) {
            let text = serde_json::to_vec(&result).expect("JSON");
            let torn = &text[..text.len().saturating_sub(cut)];
            prop_assert!(matches!(Measurement::parse(torn, 0.0), Err(JsonError::Torn(_))));
        }
    }
}
