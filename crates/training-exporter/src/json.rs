//! JSON as Python writes it: with `NaN`, `Infinity` and `-Infinity`, which JSON itself does not have.

use serde_json::{Value, error::Category};

/// Why a text is no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// It ends too early: somebody is writing it.
    #[error("it ends too early: {0}")]
    Torn(String),
    /// It is something else.
    #[error("{0}")]
    Invalid(String),
}

impl JsonError {
    /// The reason in `training_read_errors_total`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Torn(_) => "torn",
            Self::Invalid(_) => "invalid",
        }
    }
}

/// Reads one JSON value. Numbers that JSON does not have become the texts `NaN`, `Infinity` and `-Infinity`, which
/// [`number`] understands.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    serde_json::from_slice(bytes)
        .or_else(|_| serde_json::from_slice(&quoted(bytes)))
        .map_err(|error| match error.classify() {
            Category::Eof => JsonError::Torn(error.to_string()),
            Category::Io | Category::Syntax | Category::Data => JsonError::Invalid(error.to_string()),
        })
}

/// The number that a value is, which may be infinite or none.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" | "nan" => Some(f64::NAN),
            "Infinity" | "inf" => Some(f64::INFINITY),
            "-Infinity" | "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// The whole number of at least 0 that a value is; `12.0` is one too.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    /// Up to here every whole number has a double of its own.
    const MOST: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and in range"
        )]
        (number.fract() == 0.0 && (0.0..=MOST).contains(&number)).then_some(number as u64)
    })
}

/// The text with quotes around the numbers that JSON does not have.
pub(crate) fn quoted(bytes: &[u8]) -> Vec<u8> {
    const NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let mut out = Vec::new();
    let mut rest = bytes;
    let mut in_string = false;
    while let Some((&byte, behind)) = rest.split_first() {
        let found = NUMBERS
            .iter()
            .find(|number| !in_string && rest.starts_with(number));
        if let Some(number) = found {
            out.push(b'"');
            out.extend_from_slice(number);
            out.push(b'"');
            rest = &rest[number.len()..];
            continue;
        }
        if !in_string && NUMBERS.iter().any(|number| number.starts_with(rest)) {
            // The rest of it is still to be written.
            out.push(b'"');
            break;
        }
        out.push(byte);
        rest = behind;
        if byte == b'"' {
            in_string = !in_string;
        } else if in_string
            && byte == b'\\'
            && let Some((&escaped, behind)) = rest.split_first()
        {
            out.push(escaped);
            rest = behind;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_python_writes_is_read() {
        let value =
            parse(br#"{"loss": NaN, "a": [Infinity,-Infinity], "t": "x \" NaN", "n": 1.5}"#).expect("JSON");
        assert!(number(&value["loss"]).expect("a number").is_nan());
        assert_eq!(number(&value["a"][0]), Some(f64::INFINITY));
        assert_eq!(number(&value["a"][1]), Some(f64::NEG_INFINITY));
        assert_eq!(value["t"], "x \" NaN");
        assert_eq!(number(&value["n"]), Some(1.5));
        assert_eq!(number(&json!("1.5")), None);
    }

    #[test]
    fn what_is_torn_is_told_from_what_is_wrong() {
        for torn in [
            "",
            "{",
            "{\"loss\": ",
            "{\"loss\": NaN",
            "{\"loss\": \"NaN",
            "[1, 2",
        ] {
            assert_eq!(parse(torn.as_bytes()).expect_err(torn).reason(), "torn", "{torn}");
        }
        for wrong in [
            "}",
            "{\"a\" 1}",
            "{} {}",
            "NaNNaN",
            "{\"a\": -NaN}",
            "\u{fffd}",
            "\0\0",
        ] {
            assert_eq!(
                parse(wrong.as_bytes()).expect_err(wrong).reason(),
                "invalid",
                "{wrong}"
            );
        }
    }

    #[test]
    fn whole_numbers() {
        assert_eq!(whole(&json!(12)), Some(12));
        assert_eq!(whole(&json!(12.0)), Some(12));
        assert_eq!(whole(&json!(u64::MAX)), Some(u64::MAX));
        for none in [json!(-1), json!(1.5), json!(1e300), json!("12"), json!(null)] {
            assert_eq!(whole(&none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn json_stays_what_it_is(text in r#"[a-zN "\\:,\[\]{}-]{0,40}"#, number in any::<f64>()) {
            let value = json!({ "text": text, "NaN": [number] });
            let text = value.to_string();
            prop_assert_eq!(parse(text.as_bytes()), Ok(value.clone()));
            prop_assert_eq!(quoted(text.as_bytes()), text.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        /// However much of a file has been written.
        #[test]
        fn a_part_of_a_file_is_torn(cut in 1..100_usize) {
            let whole = br#"{"phase": "phase3", "loss": NaN, "per_app": {"a": 0.5, "b\"": 1e3}, "x": true}"#;
            let part = &whole[..cut.min(whole.len() - 1)];
            prop_assert_eq!(parse(part).expect_err("a part").reason(), "torn");
        }
    }
}
