//! Durations as people write them, and texts as the log shows them.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize as _, Deserializer, de};

/// `500ms`, `30s`, `5m`, `1h`, `1d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |factor| number.checked_mul(factor).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86400),
        _ => None,
    }
}

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

/// The line, from 1, of a place in a text.
pub(crate) fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The beginning of a text from outside: as many characters as the log may hold of it.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A value of a cell, for errors.
pub(crate) fn cell(value: &str) -> String {
    format!("{:?}", cut(value, 40))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_duration_or_none(text in "[0-9]{0,25}[a-z.µ -]{0,3}") {
            if let Some(read) = duration(&text) {
                let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
                let number: u64 = text[..text.len() - unit.len()].parse().expect("a number");
                prop_assert_eq!(Some(read), duration(&format!("{number}{unit}")));
                prop_assert!(["ms", "s", "m", "h", "d"].contains(&unit));
            }
        }

        #[test]
        fn a_duration_means_what_it_says(number in 0..100_000_u64) {
            let read = |unit| duration(&format!("{number}{unit}"));
            prop_assert_eq!(read("ms"), Some(Duration::from_millis(number)));
            prop_assert_eq!(read("h"), read("m").map(|minutes| minutes * 60));
            prop_assert_eq!(read("d"), read("s").map(|seconds| seconds * 86400));
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2h"), Some(Duration::from_hours(2)));
        for bad in ["", "5", "s", "1.5s", "-1s", "5 s", "99999999999999999999s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cell("x\n"), "\"x\\n\"");
        assert_eq!(cell(&"x".repeat(3_000_000)).chars().count(), 43);
    }
}
