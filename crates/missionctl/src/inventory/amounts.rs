//! Times and sizes as Prometheus and VictoriaMetrics write them.

use toml::Spanned;

use super::problem::Findings;

/// `retention = { time = "15d" }`
pub(super) fn retention_time(time: Option<&Spanned<String>>, findings: &mut Findings) -> String {
    const DEFAULT: &str = "15d";
    time.and_then(|time| duration(time, findings))
        .unwrap_or_else(|| DEFAULT.to_owned())
}

/// `retention = { longterm = "1y" }`. VictoriaMetrics knows no shorter units, and takes no less than a day.
pub(super) fn retention_longterm(time: Option<&Spanned<String>>, findings: &mut Findings) -> String {
    const DEFAULT: &str = "1y";
    let Some(time) = time else {
        return DEFAULT.to_owned();
    };
    let text = time.get_ref();
    if is_duration(text) && text.ends_with(['d', 'w', 'y']) {
        return text.clone();
    }
    findings.refuse(
        Some(time.span()),
        format!("`{text}` is no time to keep samples for"),
        "write a whole number and a unit: 90d, 26w, 2y",
    );
    DEFAULT.to_owned()
}

/// Refuses what Prometheus would not take as a duration.
pub(crate) fn duration(text: &Spanned<String>, findings: &mut Findings) -> Option<String> {
    if is_duration(text.get_ref()) {
        return Some(text.get_ref().clone());
    }
    findings.refuse(
        Some(text.span()),
        format!("`{}` is not a duration", text.get_ref()),
        "write a number and a unit, 290y at most: 30s, 5m, 12h, 15d, 2w, 1y",
    );
    None
}

/// Whether Prometheus takes the text as a duration that is not zero.
fn is_duration(text: &str) -> bool {
    // It counts nanoseconds in 64 bits, which is enough for 292 years.
    const LONGEST: u64 = i64::MAX as u64 / 1_000_000;
    milliseconds(text).is_some_and(|duration| (1..=LONGEST).contains(&duration))
}

/// A duration as Prometheus writes it; none for other text, and for what does not fit.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        "y" => 365 * 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

/// `retention = { size = "10GB" }`
pub(super) fn retention_size(size: Option<&Spanned<String>>, findings: &mut Findings) -> Option<String> {
    let size = size?;
    let text = size.get_ref();
    let bytes = number_and_unit(text).and_then(|(number, unit)| {
        let factor: u64 = match unit {
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            "TB" => 1 << 40,
            _ => return None,
        };
        number.checked_mul(factor)
    });
    if bytes.is_some_and(|bytes| bytes > 0 && i64::try_from(bytes).is_ok()) {
        return Some(text.clone());
    }
    findings.refuse(
        Some(size.span()),
        format!("`{text}` is not a size"),
        "write a whole number and a unit: 500MB, 10GB, 1TB",
    );
    None
}
