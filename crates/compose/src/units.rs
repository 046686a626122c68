//! Sizes and durations, as compose writes them.

use std::time::Duration;

/// Bytes, such as `512`, `100m`, `1.5gb` or `64 KiB`: always with factors of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let end = text
        .find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.starts_with('.') || number.ends_with('.') {
        return None;
    }
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let shift = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if matches!(unit.as_str(), "" | "b") => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    if !matches!(unit.get(1..), None | Some("" | "b" | "ib")) {
        return None;
    }
    let factor = 1_u64 << shift;
    // The engine counts bytes in a signed number of 64 bits.
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor)?,
        Err(_) => whole_bytes(number.parse::<f64>().ok()? * factor as f64)?,
    };
    i64::try_from(bytes).is_ok().then_some(bytes)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked: within 0 and 2^63"
)]
fn whole_bytes(bytes: f64) -> Option<u64> {
    (0.0..9.2e18).contains(&bytes).then_some(bytes as u64)
}

/// A duration, such as `90s`, `1m30s` or `1.5h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |letter| letter.is_ascii_digit() || letter == '.');
        let (unit, after) = split_where(after, |letter| !(letter.is_ascii_digit() || letter == '.'));
        let nanoseconds = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(scaled(number, nanoseconds)?)?;
        rest = after;
    }
    // The engine counts nanoseconds in a signed number of 64 bits.
    (!text.is_empty() && i64::try_from(total.as_nanos()).is_ok()).then_some(total)
}

/// `number`, a decimal, of a unit of so many nanoseconds, to the nanosecond.
fn scaled(number: &str, unit: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u64>().ok()
        }
    };
    // The unit has fewer than 10^13 nanoseconds: what follows makes no difference.
    let fraction = fraction.get(..13).unwrap_or(fraction);
    let parts = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(digits(fraction)?) * u128::from(unit) / parts;
    let whole = digits(whole)?.checked_mul(unit)?;
    Some(Duration::from_nanos(
        whole.checked_add(u64::try_from(part).ok()?)?,
    ))
}

fn split_where(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !inside(letter)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_factors_of_1024() {
        for (text, size) in [
            ("0", 0),
            ("512", 512),
            ("512b", 512),
            ("100k", 102_400),
            ("100kb", 102_400),
            ("64 KiB", 65_536),
            ("100m", 104_857_600),
            ("1.5gb", 1_610_612_736),
            ("1GiB", 1_073_741_824),
            ("1t", 1 << 40),
            ("1P", 1 << 50),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in [
            "", "m", "1x", "1mm", "1ibb", "1kib ", "-1", "1  m", "1.2.3m", "1e3", "20000p", "1bb", "1 i",
            "1i", "8388608t", "1.", "1.m", ".5m",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations_add_up() {
        for (text, milliseconds) in [
            ("0", 0),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("1h1m1s1ms", 3_661_001),
            (".5s", 500),
            ("2.s", 2000),
            ("4m7.972s", 247_972),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            "10 s",
            "1d",
            "-1s",
            "1.2.3s",
            ".s",
            ".",
            "1m30",
            "1e3s",
            "999999999h",
            "1s ",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
