//! The names of metrics in an expression.

use std::collections::BTreeSet;

/// What a `PromQL` expression selects. Functions, labels, keywords and durations are no metrics.
pub(crate) fn metrics(expression: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 13] = [
        "and",
        "bool",
        "by",
        "group_left",
        "group_right",
        "ignoring",
        "inf",
        "nan",
        "offset",
        "on",
        "or",
        "unless",
        "without",
    ];
    const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    let mut found = BTreeSet::new();
    let mut rest = expression;
    let mut before = String::new();
    while let Some(first) = rest.chars().next() {
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(rest.len());
        if length > 0 {
            let (word, after) = rest.split_at(length);
            let is_call = ["(", "by ", "by(", "without ", "without("]
                .iter()
                .any(|next| after.trim_start().starts_with(next));
            if !first.is_ascii_digit() && !is_call && !KEYWORDS.contains(&word) {
                found.insert(word.to_owned());
            }
            word.clone_into(&mut before);
            rest = after;
            continue;
        }
        let skipped = match first {
            '{' => after_bracket(rest, '}'),
            '[' => after_bracket(rest, ']'),
            '(' if LISTS.contains(&before.as_str()) => after_bracket(rest, ')'),
            _ => first.len_utf8(),
        };
        if !first.is_whitespace() {
            before.clear();
        }
        rest = &rest[skipped..];
    }
    found
}

/// The length up to and with the closing bracket, which may also stand in a quoted string before.
fn after_bracket(text: &str, close: char) -> usize {
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if c == close && !is_quoted => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[test]
fn metrics_are_told_from_functions_labels_and_words() {
    let expression = r#"clamp_max(rate(a_total{zone!="x}"}[5m]), 1) > on (machine) group_left () b:c:max
        or 2 * sum by (worker) (d offset 1h) and e unless f == 1e3"#;
    let names: Vec<String> = metrics(expression).into_iter().collect();
    assert_eq!(names, ["a_total", "b:c:max", "d", "e", "f"]);
}
