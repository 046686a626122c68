//! What a word without quotes means.

use super::{Bare, Value};

/// The value of a word without quotes.
pub(super) fn value(text: &str) -> Value {
    let bare = match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => Some(Bare::Boolean(true)),
        "false" | "False" | "FALSE" => Some(Bare::Boolean(false)),
        _ if is_date(text) => Some(Bare::Date),
        _ => integer(text)
            .map(Bare::Integer)
            .or_else(|| float(text).map(Bare::Float)),
    };
    bare.map_or_else(
        || Value::Text(text.to_owned()),
        |bare| Value::Bare(bare, text.to_owned()),
    )
}

/// A whole number: decimal, `0x`, `0o`, `0b` and, as in YAML 1.1, octal after a mere `0`; with `_` anywhere after
/// the first digit. No sexagesimal numbers: `22:30` is text.
fn integer(text: &str) -> Option<i64> {
    let digits = text.replace('_', "");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.strip_prefix('+').unwrap_or(&digits)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) || text.starts_with('_') {
        return None;
    }
    let radix = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (base, digits) = if let Some(rest) = radix(["0x", "0X"]) {
        (16, rest)
    } else if let Some(rest) = radix(["0o", "0O"]) {
        (8, rest)
    } else if let Some(rest) = radix(["0b", "0B"]) {
        (2, rest)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits)
    } else {
        (10, digits)
    };
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

/// A number with a fraction or an exponent, or one too large for a whole number; with `_` as in whole numbers.
fn float(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']) {
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let digits = text.replace('_', "");
    let text = if text.starts_with('.') { text } else { &digits };
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = skip_digits(&mut rest);
    let fraction = rest.strip_prefix('.').map_or(0, |after| {
        rest = after;
        skip_digits(&mut rest)
    });
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        rest = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if skip_digits(&mut rest) == 0 {
            return None;
        }
    }
    if !rest.is_empty() || whole + fraction == 0 {
        return None;
    }
    text.parse().ok()
}

/// Cuts the digits that `text` begins with, and says how many they were.
fn skip_digits(text: &mut &str) -> usize {
    let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let count = text.len() - rest.len();
    *text = rest;
    count
}

/// Whether it begins like `2026-01-31` and goes on like a time, if at all.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>, lengths: &[usize]| {
        part.is_some_and(|part| {
            lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    digits(parts.next(), &[4])
        && digits(parts.next(), &[1, 2])
        && parts.next().is_some_and(|rest| {
            let day = rest.bytes().take_while(u8::is_ascii_digit).count();
            let time = &rest[day..];
            (1..=2).contains(&day)
                && (time.is_empty() || time.starts_with(['T', 't', ' ']))
                && time
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || b":. TtZz+-".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<i64> {
        match value(text) {
            Value::Bare(Bare::Integer(number), _) => Some(number),
            _ => None,
        }
    }

    #[test]
    fn numbers_are_read_as_docker_compose_reads_them() {
        for (text, meant) in [
            ("8", 8),
            ("-8", -8),
            ("+8", 8),
            ("010", 8),
            ("0o10", 8),
            ("0x1F", 31),
            ("0b11", 3),
            ("1_000", 1000),
        ] {
            assert_eq!(number(text), Some(meant), "{text}");
        }
        for text in [
            "08",
            "22:30",
            "1e3",
            "0x",
            "0b2",
            "--1",
            "+-1",
            "_1",
            "1.5",
            "65534:65534",
            "99999999999999999999",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn words_of_older_yaml_are_text() {
        for text in [
            "yes", "no", "on", "off", "y", "n", "22:30", "1:2:3", "e3", ".", "-", "+.e", "1.2.3", "0x",
            "inf", "nan",
        ] {
            assert_eq!(value(text), Value::Text(text.into()), "{text}");
        }
    }

    #[test]
    fn fractions_and_dates_are_told_apart() {
        for text in [
            "1.5",
            "1_0.5_",
            ".5",
            "5.",
            "1e3",
            "-1E-3",
            ".inf",
            "-.INF",
            "08",
            "09.5",
            "99999999999999999999",
        ] {
            assert!(matches!(value(text), Value::Bare(Bare::Float(_), _)), "{text}");
        }
        for text in [
            "2026-01-31",
            "2026-1-3",
            "2026-01-31T10:00:00Z",
            "2026-01-31 10:00:00 +1",
        ] {
            assert!(matches!(value(text), Value::Bare(Bare::Date, _)), "{text}");
        }
        for text in ["2026-01", "2026-01-31-5", "2026-01-31x", "20260-01-31"] {
            assert!(matches!(value(text), Value::Text(_)), "{text}");
        }
    }
}
