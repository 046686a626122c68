//! From text to [`File`], with messages that a person who does not know TOML can follow.

use super::file::File;
use super::problem::{Findings, did_you_mean};

/// Parses the inventory, or leaves the reason in `findings`.
pub(crate) fn parse(findings: &mut Findings) -> Option<File> {
    match toml::from_str(findings.text()) {
        Ok(file) => Some(file),
        Err(error) => {
            let (what, hint) = explain(error.message());
            findings.refuse(error.span(), what, hint);
            None
        }
    }
}

/// Serde names a wrong key and the keys it would have taken; everything else gets a general hint.
fn explain(message: &str) -> (String, String) {
    let message = message.lines().next().unwrap_or_default();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field")
        && let Some((wrong, known)) = quoted.split_first()
    {
        return (format!("unknown key `{wrong}`"), unknown_key_hint(wrong, known));
    }
    if message.starts_with("missing field")
        && let Some(missing) = quoted.first()
    {
        return (
            format!("the key `{missing}` is missing"),
            format!("add `{missing} = …` to this table"),
        );
    }
    if message.starts_with("invalid type: map, ") && message.ends_with("expected a sequence") {
        let hint =
            "there may be several of these tables, so each one's name stands in double brackets: [[…]]";
        return ("a table where a list belongs".to_owned(), hint.to_owned());
    }
    if message.starts_with("invalid ")
        && let Some((what, expected)) = message.split_once(", expected ")
        && let Some(expected) = in_words(expected)
    {
        return (what.to_owned(), format!("write {expected} here"));
    }
    if let Some(expected) = message.strip_prefix("expected ").and_then(in_words) {
        return ("invalid type".to_owned(), format!("write {expected} here"));
    }
    // What the parser says that it expects is of use to those who know its grammar.
    let what = message.split(", expected ").next().unwrap_or(message);
    (
        what.to_owned(),
        "this is not valid TOML; texts and addresses need quotes, lists need brackets".to_owned(),
    )
}

/// Serde names types as Rust does; none for what it does not name.
fn in_words(expected: &str) -> Option<&str> {
    Some(match expected {
        "u16" => "a whole number from 1 to 65535",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list in brackets",
        expected if expected == "a map" || expected.starts_with("struct ") => "a table in braces",
        expected if expected.starts_with("a string") => expected,
        _ => return None,
    })
}

fn unknown_key_hint(wrong: &str, known: &[&str]) -> String {
    if let Some(meant) = did_you_mean(wrong, known.iter().copied()) {
        return format!("did you mean `{meant}`?");
    }
    match known {
        [] => "this table takes no keys; remove it".to_owned(),
        known => format!("known here: {}", known.join(", ")),
    }
}
