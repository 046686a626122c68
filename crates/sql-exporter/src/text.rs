//! Durations as servers take them, and cells as the log shows them.

use std::time::Duration;

use exporter::text::{cut, duration};
use serde::{Deserialize as _, Deserializer, de};

/// No time is longer: servers count theirs in milliseconds of 31 bits.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// For `#[serde(deserialize_with = …)]`; above 0, up to [`LONGEST`].
pub(crate) fn deserialize_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let parsed = duration(&text).filter(|duration| !duration.is_zero() && *duration <= LONGEST);
    parsed.map(Some).ok_or_else(|| {
        de::Error::custom(format!(
            "{text:?} is no duration above 0 and up to 7d; write a number and ms, s, m, h or d, as in \"30s\""
        ))
    })
}

/// A value of a cell, for errors.
pub(crate) fn cell(value: &str) -> String {
    format!("{:?}", cut(value, 40))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_shown_as_one_short_line() {
        assert_eq!(cell("x\n"), "\"x\\n\"");
        assert_eq!(cell(&"x".repeat(3_000_000)).chars().count(), 43);
    }

    #[test]
    fn no_time_is_longer_than_servers_take() {
        let read = |text| deserialize_duration(toml::Value::String(String::from(text)));
        assert_eq!(read("1w").expect("a week"), Some(LONGEST));
        for bad in ["8d", "1y", "0s", "soon"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
