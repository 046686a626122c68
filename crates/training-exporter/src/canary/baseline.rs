//! The result that others are compared with: what a person accepted, pinned by its hash.

use serde::{Deserialize, Serialize};

use super::measurement::Measurement;

/// An accepted result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// [`Measurement::sha256`] of the result when it was accepted.
    pub sha256: String,
    /// When it was accepted, Unix time in seconds.
    pub accepted_at: f64,
    /// Who accepted it.
    pub accepted_by: String,
    /// Why.
    pub why: String,
    /// What was accepted.
    pub result: Measurement,
}

/// What is pinned.
#[derive(Clone, Debug, PartialEq)]
pub enum Pin {
    /// Nothing.
    Missing,
    /// Something that is not what was accepted; why.
    Changed(String),
    /// What was accepted.
    Accepted(Box<Baseline>),
}

impl Pin {
    /// Reads the text of `baseline.json`.
    pub(super) fn parse(text: &str) -> Self {
        match serde_json::from_str::<Baseline>(text) {
            Err(error) => Self::Changed(format!("baseline.json cannot be read: {error}")),
            Ok(baseline) if baseline.result.sha256() != baseline.sha256 => Self::Changed(
                "baseline.json was changed after it was accepted: its hash is another".to_owned(),
            ),
            Ok(baseline) => Self::Accepted(Box::new(baseline)),
        }
    }

    /// The baseline, if it is the accepted one.
    pub fn baseline(&self) -> Option<&Baseline> {
        match self {
            Self::Accepted(baseline) => Some(baseline),
            Self::Missing | Self::Changed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_no_baseline() {
        let result = Measurement {
            performance: 0.8,
            timestamp: 5.0,
            ..Measurement::default()
        };
        let baseline = Baseline {
            sha256: result.sha256(),
            accepted_at: 6.0,
            accepted_by: "ada".to_owned(),
            why: "the end of phase 3".to_owned(),
            result,
        };
        let text = serde_json::to_string_pretty(&baseline).expect("JSON");
        assert_eq!(Pin::parse(&text).baseline(), Some(&baseline));
        for changed in [
            text.replace("0.8", "0.6"),
            text.replace("ada", ""),
            text.replace('}', ""),
        ] {
            let is_harmless = changed.contains("0.8") && changed.contains('}');
            assert_eq!(
                Pin::parse(&changed).baseline().is_some(),
                is_harmless,
                "{changed}"
            );
        }
    }
}
