//! Regular expressions that find a value in JSON text, for programs that take nothing better.
//!
//! They read tokens, so that blanks, line breaks and the order of the keys do not matter, and a key of another object or
//! a text that merely looks alike does not count. They use what Go's `regexp` has. They do not see through another
//! spelling of the same thing where hardly anybody uses it: letters written as `\u0061`, numbers as `1e2`; nor past
//! values that are nested deeper than [`DEPTH`].

use crate::inventory::{Expectation, Leaf};

/// How deep the values may be nested that stand before the one that is looked for.
const DEPTH: usize = 8;

const BLANK: &str = r"[ \t\r\n]*";
const TEXT: &str = r#""(?:[^"\\]|\\.)*""#;

/// Matches JSON text that is an object and has the value where it is expected.
pub(super) fn regex(expectation: &Expectation) -> String {
    let before = anything(DEPTH);
    let keys = expectation.path.iter();
    let keys: Vec<String> = keys
        .map(|key| format!(r"{BLANK}\{{{before}{}{BLANK}:", text(key)))
        .collect();
    format!("^{}{BLANK}{}", keys.concat(), value(&expectation.value))
}

/// Tokens of one level, with whole values of further levels between them.
fn anything(depth: usize) -> String {
    let inner = match depth {
        0 => String::new(),
        _ => format!(r"|[\[{{]{}[\]}}]", anything(depth - 1)),
    };
    format!(r#"(?:[^"\[\]{{}}]|{TEXT}{inner})*"#)
}

fn value(value: &Leaf) -> String {
    let word = match value {
        Leaf::Text(text) => return self::text(text),
        Leaf::Boolean(boolean) => boolean.to_string(),
        Leaf::Integer(number) => whole(&number.to_string()),
        Leaf::Float(number) => {
            let digits = number.to_string();
            match digits.split_once('.') {
                Some((digits, fraction)) => format!(r"{digits}\.{fraction}0*"),
                None => whole(&digits),
            }
        }
    };
    // Otherwise 1 would also match 10.
    format!(r"{word}{BLANK}[,}}]")
}

fn whole(digits: &str) -> String {
    format!(r"{digits}(?:\.0+)?")
}

/// A text in quotes, however its characters are commonly escaped.
fn text(text: &str) -> String {
    let characters: String = text.chars().map(character).collect();
    format!("\"{characters}\"")
}

fn character(c: char) -> String {
    if c.is_ascii_alphanumeric() || " _-".contains(c) {
        return c.to_string();
    }
    let mut spellings = Vec::new();
    // These two, and what stands before the blank, are never written as they are.
    if c >= ' ' && !"\"\\".contains(c) {
        spellings.push(plain(c));
    }
    let short = match c {
        '"' | '\\' | '/' => Some(c),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        _ => None,
    };
    spellings.extend(short.map(|c| format!(r"\\{}", plain(c))));
    let mut units = [0; 2];
    let code = c.encode_utf16(&mut units).iter();
    // Digits may be of either case, `u` may not.
    let code: Vec<String> = code.map(|unit| format!(r"\\u(?i:{unit:04x})")).collect();
    spellings.push(code.concat());
    format!("(?:{})", spellings.join("|"))
}

/// The character itself.
fn plain(c: char) -> String {
    if r"\.+*?()|[]{}^$".contains(c) {
        format!(r"\{c}")
    } else if c.is_control() {
        format!(r"\x{{{:x}}}", u32::from(c))
    } else {
        c.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;
    use serde_json::{Map, Value, json};

    use super::*;

    fn expecting(path: &[&str], value: Leaf) -> Regex {
        let expectation = Expectation {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            value,
        };
        Regex::new(&regex(&expectation)).expect("a regular expression")
    }

    #[test]
    fn blanks_and_order_do_not_matter_and_what_looks_alike_does_not_count() {
        let healthy = expecting(&["status"], Leaf::Text("healthy".to_owned()));
        for text in [
            r#"{"status":"healthy"}"#,
            "\n{ \"uptime\" : 12.5 , \"status\"\t:\r\n\"healthy\" }\n",
            r#"{"checks":[{"status":"down"},[]],"note":"a \"quote\" {","status":"healthy","z":{}}"#,
        ] {
            assert!(healthy.is_match(text), "{text}");
        }
        for text in [
            "",
            "healthy",
            r#""status":"healthy""#,
            r#"{"status":"unhealthy"}"#,
            r#"{"status":"healthy enough"}"#,
            r#"{"status":["healthy"]}"#,
            r#"{"last_status":"healthy"}"#,
            r#"{"was":{"status":"healthy"},"status":"down"}"#,
            r#"{"note":"\"status\":\"healthy\"","status":"down"}"#,
            r#"{"note":"{\"status\":\"healthy\"}"}"#,
            r#"{"key":"status","value":"healthy"}"#,
            r#"[{"status":"healthy"}]"#,
        ] {
            assert!(!healthy.is_match(text), "{text}");
        }
    }

    #[test]
    fn numbers_and_words_are_compared_as_a_whole() {
        let one = expecting(&["n"], Leaf::Integer(1));
        for text in [r#"{"n":1}"#, r#"{"n": 1 , "m": 2}"#, r#"{"n":1.0}"#] {
            assert!(one.is_match(text), "{text}");
        }
        for text in [
            r#"{"n":10}"#,
            r#"{"n":-1}"#,
            r#"{"n":1.5}"#,
            r#"{"n":"1"}"#,
            r#"{"n":1e2}"#,
        ] {
            assert!(!one.is_match(text), "{text}");
        }
        let half = expecting(&["n"], Leaf::Float(0.5));
        assert!(half.is_match(r#"{"n":0.50}"#) && !half.is_match(r#"{"n":0.51}"#));
        let yes = expecting(&["a", "b"], Leaf::Boolean(true));
        assert!(yes.is_match(r#"{"a":{"c":{"b":false},"b":true}}"#));
        assert!(!yes.is_match(r#"{"a":{"b":false},"b":true}"#));
        assert!(!yes.is_match(r#"{"a":{},"x":{"b":true}}"#));
    }

    #[test]
    fn what_is_nested_too_deeply_is_not_seen() {
        let nested = |depth: usize| format!("{{\"a\":{}{},\"n\":1}}", "[".repeat(depth), "]".repeat(depth));
        let one = expecting(&["n"], Leaf::Integer(1));
        assert!(one.is_match(&nested(DEPTH)));
        assert!(!one.is_match(&nested(DEPTH + 1)));
    }

    /// Few keys, so that the same ones come up in several places.
    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("a\"b\\".to_owned()),
            Just("\u{e9}\u{1f680}".to_owned()),
            ".{0,3}",
        ]
    }

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1_000_000..1_000_000i32).prop_map(|eighths| json!(f64::from(eighths) / 8.0)),
            ".{0,6}".prop_map(Value::from),
            "[a\"\\\\\n\t{}\\[\\]:,/<\u{7f}]{0,6}".prop_map(Value::from),
        ]
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        let value = leaf().prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                entries(inner).prop_map(Value::from),
            ]
        });
        entries(value)
    }

    fn entries(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        proptest::collection::vec((key(), value), 0..5).prop_map(|entries| entries.into_iter().collect())
    }

    /// What can be expected of a document.
    fn expectations(object: &Map<String, Value>, path: &[String], found: &mut Vec<Expectation>) {
        for (key, value) in object {
            let path = [path, std::slice::from_ref(key)].concat();
            let value = match value {
                Value::Object(inner) => {
                    expectations(inner, &path, found);
                    continue;
                }
                Value::Bool(boolean) => Leaf::Boolean(*boolean),
                Value::String(text) => Leaf::Text(text.clone()),
                Value::Number(number) => match number.as_i64() {
                    Some(number) => Leaf::Integer(number),
                    None => Leaf::Float(number.as_f64().expect("a number")),
                },
                Value::Null | Value::Array(_) => continue,
            };
            found.push(Expectation { path, value });
        }
    }

    /// As programs write it that keep to ASCII, or that escape what HTML would misread.
    fn escaped(text: &str) -> String {
        let escape = |c: char| {
            if c.is_ascii() && !"<>&".contains(c) {
                return c.to_string();
            }
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            let code: Vec<String> = units.map(|unit| format!("\\u{unit:04X}")).collect();
            code.concat()
        };
        text.chars().map(escape).collect()
    }

    fn other(value: &Leaf) -> Leaf {
        match value {
            Leaf::Text(text) => Leaf::Text(format!("{text}x")),
            Leaf::Boolean(boolean) => Leaf::Boolean(!boolean),
            Leaf::Integer(number) => Leaf::Integer(number.wrapping_add(1)),
            Leaf::Float(number) => Leaf::Float(number + 1.0),
        }
    }

    proptest! {
        // Each one is compiled, which takes longer than all else.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_a_document_says_is_found_and_nothing_else(document in object()) {
            let compact = serde_json::to_string(&document).expect("JSON");
            let pretty = serde_json::to_string_pretty(&document).expect("JSON");
            let mut said = Vec::new();
            expectations(&document, &[], &mut said);
            for expectation in said {
                let finds = Regex::new(&regex(&expectation)).expect("a regular expression");
                for text in [&compact, &pretty, &escaped(&compact)] {
                    prop_assert!(finds.is_match(text), "{expectation:?}\n{finds}\n{text}");
                }
                let another = Expectation { value: other(&expectation.value), ..expectation.clone() };
                let elsewhere = Expectation {
                    path: [expectation.path.as_slice(), &["elsewhere".to_owned()]].concat(),
                    ..expectation.clone()
                };
                for wrong in [another, elsewhere] {
                    let finds = Regex::new(&regex(&wrong)).expect("a regular expression");
                    prop_assert!(!finds.is_match(&compact), "{wrong:?}\n{finds}\n{compact}");
                }
            }
        }
    }
}
