//! Writes families in the Prometheus text format 0.0.4.
//!
//! A sample costs two copies (the name and its rendered labels) and one number. The `prometheus` crate's own encoder
//! is the oracle: a property test asserts that both write the same bytes.

use std::collections::HashMap;

use crate::family::{Distribution, Family, Sample, Value};

/// The content type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Brings families into the page's order and makes it valid: families of one name become one, samples are sorted,
/// empty families go. Returns what had to be dropped because the page could not carry it.
pub(crate) fn arrange(families: Vec<Family>) -> (Vec<Family>, Vec<String>) {
    let mut dropped = Vec::new();
    let mut merged: Vec<Family> = Vec::with_capacity(families.len());
    let mut index = HashMap::with_capacity(families.len());
    for family in families.into_iter().filter(|family| !family.is_empty()) {
        match index.get(&family.name) {
            None => {
                index.insert(family.name.clone(), merged.len());
                merged.push(family);
            }
            Some(&at) if merged[at].kind == family.kind => merged[at].samples.extend(family.samples),
            Some(_) => dropped.push(format!("{}: two collectors give it different types", family.name)),
        }
    }
    merged.sort_by(|a, b| a.name.cmp(&b.name));
    for family in &mut merged {
        if !family.samples.is_sorted_by(|a, b| a.labels < b.labels) {
            family.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            family.samples.dedup_by(|later, first| {
                let same = later.labels == first.labels;
                if same {
                    dropped.push(format!(
                        "{}{{{}}}: the same series twice",
                        family.name, later.labels
                    ));
                }
                same
            });
        }
    }
    (merged, dropped)
}

/// Appends the families to the page, in their order.
pub fn encode(families: &[Family], page: &mut Vec<u8>) {
    for family in families.iter().filter(|family| !family.is_empty()) {
        header(family, page);
        for sample in &family.samples {
            match &sample.value {
                Value::Number(value) => {
                    line(page, &family.name, "", &sample.labels, None, |page| {
                        number(page, *value);
                    });
                }
                Value::Histogram(distribution) => histogram(page, &family.name, sample, distribution),
            }
        }
    }
}

fn header(family: &Family, page: &mut Vec<u8>) {
    let name = family.name.as_bytes();
    if !family.help.is_empty() {
        page.extend_from_slice(b"# HELP ");
        page.extend_from_slice(name);
        page.push(b' ');
        for byte in family.help.bytes() {
            match byte {
                b'\\' => page.extend_from_slice(b"\\\\"),
                b'\n' => page.extend_from_slice(b"\\n"),
                byte => page.push(byte),
            }
        }
        page.push(b'\n');
    }
    page.extend_from_slice(b"# TYPE ");
    page.extend_from_slice(name);
    page.push(b' ');
    page.extend_from_slice(family.kind.word().as_bytes());
    page.push(b'\n');
}

fn histogram(page: &mut Vec<u8>, name: &str, sample: &Sample, distribution: &Distribution) {
    for (bound, count) in &distribution.buckets {
        let bound = bound.to_string();
        line(page, name, "_bucket", &sample.labels, Some(&bound), |page| {
            integer(page, *count);
        });
    }
    line(page, name, "_bucket", &sample.labels, Some("+Inf"), |page| {
        integer(page, distribution.count);
    });
    line(page, name, "_sum", &sample.labels, None, |page| {
        number(page, distribution.sum);
    });
    line(page, name, "_count", &sample.labels, None, |page| {
        integer(page, distribution.count);
    });
}

fn line(
    page: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    labels: &str,
    bound: Option<&str>,
    value: impl FnOnce(&mut Vec<u8>),
) {
    page.extend_from_slice(name.as_bytes());
    page.extend_from_slice(suffix.as_bytes());
    if !labels.is_empty() || bound.is_some() {
        page.push(b'{');
        page.extend_from_slice(labels.as_bytes());
        if let Some(bound) = bound {
            if !labels.is_empty() {
                page.push(b',');
            }
            page.extend_from_slice(b"le=\"");
            page.extend_from_slice(bound.as_bytes());
            page.push(b'"');
        }
        page.push(b'}');
    }
    page.push(b' ');
    value(page);
    page.push(b'\n');
}

fn integer(page: &mut Vec<u8>, value: u64) {
    page.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest decimal text that reads back as the same value, never in exponent form.
fn number(page: &mut Vec<u8>, value: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    let is_minus_zero = value == 0.0 && value.is_sign_negative();
    if value.fract() == 0.0 && value.abs() < EXACT && !is_minus_zero {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number below 2^53 is exact"
        )]
        let whole = value as i64;
        page.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        return;
    }
    if value.is_normal() {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value);
        let decimals = text.find('.').map_or(0, |point| text.len() - point - 1);
        // Halfway between two texts of equal length `ryu` takes the even one, the standard library (like the stock
        // encoder) the other. A value of n binary decimals has n decimal ones, so it is halfway at n - 1.
        if !text.contains('e') && decimals + 1 != binary_decimals(value) {
            page.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
            return;
        }
    }
    page.extend_from_slice(value.to_string().as_bytes());
}

/// How many binary digits a normal number has behind the point (IEEE 754: 52 stored bits, exponent bias 1023).
fn binary_decimals(value: f64) -> usize {
    const STORED: u32 = 52;
    let bits = value.to_bits();
    let exponent = (bits >> STORED) & 0x7ff;
    let zeros = (bits | 1 << STORED).trailing_zeros();
    usize::try_from(1023 + u64::from(STORED - zeros.min(STORED))).map_or(0, |top| {
        top.saturating_sub(usize::try_from(exponent).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Kind;
    use crate::metric::{Metric, Unit};

    fn text(families: Vec<Family>) -> String {
        let (families, _) = arrange(families);
        let mut page = Vec::new();
        encode(&families, &mut page);
        String::from_utf8(page).expect("UTF-8")
    }

    #[test]
    fn a_page_is_sorted_merged_and_complete() {
        const A: Metric<1> = Metric::gauge("a_watts", Unit::Watts, "Help\nwith \\ and \"quotes\".", ["zone"]);
        const B: Metric<0> = Metric::counter("b_total", Unit::None, "B.", []);
        let page = text(vec![
            B.value(3.0),
            A.family([(["y"], 0.5)]),
            A.family([(["x"], f64::NAN)]),
            B.maybe(None),
        ]);
        assert_eq!(
            page,
            "# HELP a_watts Help\\nwith \\\\ and \"quotes\".\n# TYPE a_watts gauge\na_watts{zone=\"x\"} NaN\n\
             a_watts{zone=\"y\"} 0.5\n# HELP b_total B.\n# TYPE b_total counter\nb_total 3\n"
        );
    }

    #[test]
    fn what_the_page_cannot_carry_is_named() {
        const A: Metric<1> = Metric::gauge("a", Unit::None, "A.", ["x"]);
        let clash = Family::new(Kind::Counter, "a", "A.").map(|mut f| f.push(&[], 1.0).map(|()| f));
        let clash = clash.expect("a name").expect("labels");
        let (families, dropped) = arrange(vec![A.family([(["1"], 1.0), (["1"], 2.0)]), clash]);
        assert_eq!(families.len(), 1);
        assert_eq!(families[0].get("x=\"1\""), Some(1.0));
        assert_eq!(
            dropped,
            [
                "a: two collectors give it different types",
                "a{x=\"1\"}: the same series twice"
            ]
        );
    }

    #[test]
    fn numbers_read_back_as_themselves() {
        for value in [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            1e15,
            1e16,
            1e21,
            1e-7,
            f64::MAX,
            f64::MIN_POSITIVE,
            9.007e15,
        ] {
            let mut page = Vec::new();
            number(&mut page, value);
            let written = String::from_utf8(page).expect("UTF-8");
            assert_eq!(
                written.parse::<f64>().expect(&written).to_bits(),
                value.to_bits(),
                "{written}"
            );
            assert_eq!(written, value.to_string());
        }
    }
}
