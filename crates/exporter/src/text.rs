//! Durations and sizes as people write them, and texts from outside as the log shows them.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize as _, Deserializer, de};

/// `500ms`, `30s`, `5m`, `1h`, `1d`, `2w`, `1y`, as Prometheus writes them.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let seconds = |factor| number.checked_mul(factor).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86400),
        "w" => seconds(7 * 86400),
        "y" => seconds(365 * 86400),
        _ => None,
    }
}

/// `512B`, `64KB`, `500MB`, `1GB`, `2TB`, in bytes. Each unit is 1024 of the one before, as in Prometheus' own flags.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let power = ["B", "KB", "MB", "GB", "TB"]
        .iter()
        .position(|name| *name == unit)?;
    number.checked_mul(1 << (10 * power))
}

/// For `#[serde(default, deserialize_with = …)]`; above 0.
pub fn deserialize_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let parsed = duration(&text).filter(|duration| !duration.is_zero());
    parsed.map(Some).ok_or_else(|| {
        let shown = cut(&text, 40);
        de::Error::custom(format!(
            "{shown:?} is no duration above 0; write a number and ms, s, m, h, d, w or y, as in \"30s\""
        ))
    })
}

/// For `#[serde(default, deserialize_with = …)]`; above 0, in bytes.
pub fn deserialize_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(from)?;
    let parsed = size(&text).filter(|size| *size > 0);
    parsed.map(Some).ok_or_else(|| {
        let shown = cut(&text, 40);
        de::Error::custom(format!(
            "{shown:?} is no size above 0; write a number and B, KB, MB, GB or TB, as in \"1GB\""
        ))
    })
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

/// The line, from 1, of a place in a text.
pub fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The beginning of a text from outside: as many characters as the log or a label may hold of it.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "[0-9]{0,25}[a-zA-Z.µ -]{0,3}") {
            for (is_read, units) in [
                (duration(&text).is_some(), &["ms", "s", "m", "h", "d", "w", "y"][..]),
                (size(&text).is_some(), &["B", "KB", "MB", "GB", "TB"][..]),
            ] {
                let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
                prop_assert!(!is_read || units.contains(&unit), "{}", text);
            }
        }

        #[test]
        fn a_duration_means_what_it_says(number in 0..100_000_u64) {
            let read = |unit| duration(&format!("{number}{unit}"));
            prop_assert_eq!(read("ms"), Some(Duration::from_millis(number)));
            prop_assert_eq!(read("h"), read("m").map(|minutes| minutes * 60));
            prop_assert_eq!(read("d"), read("s").map(|seconds| seconds * 86400));
            prop_assert_eq!(read("w"), read("d").map(|days| days * 7));
            prop_assert_eq!(read("y"), read("d").map(|days| days * 365));
        }
    }

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2h"), Some(Duration::from_hours(2)));
        assert_eq!(size("0B"), Some(0));
        assert_eq!(size("64KB"), Some(65536));
        assert_eq!(size("1GB"), Some(1 << 30));
        for bad in [
            "",
            "5",
            "s",
            "GB",
            "1.5s",
            "-1s",
            "5 s",
            "1.5GB",
            "1gb",
            "99999999999999999999s",
        ] {
            assert_eq!((duration(bad), size(bad)), (None, None), "{bad}");
        }
        assert_eq!(size("17179869184TB"), None);
    }

    #[test]
    fn places_have_lines() {
        assert_eq!(line("a\nb\nc", 0), 1);
        assert_eq!(line("a\nb\nc", 4), 3);
        assert_eq!(line("", 9), 1);
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut(&"x".repeat(3_000_000), 40).chars().count(), 41);
    }
}
