//! `NaN` and `Infinity` in what is otherwise JSON.

/// The text with `null` for every number that is not finite; None when there is none.
pub(super) fn without_non_finite(text: &str) -> Option<String> {
    let mut clean = String::new();
    let mut rest = text;
    let mut in_string = false;
    let mut copied = rest;
    while let Some(c) = rest.chars().next() {
        if in_string {
            // An escaped character is skipped with its backslash.
            let skip = if c == '\\' {
                rest.chars().take(2).map(char::len_utf8).sum()
            } else {
                c.len_utf8()
            };
            in_string = c != '"';
            rest = &rest[skip..];
            continue;
        }
        let word = rest
            .find(|c: char| !(c.is_ascii_alphabetic() || c == '-' || c == '+'))
            .unwrap_or(rest.len());
        if is_non_finite(&rest[..word]) {
            clean.push_str(&copied[..copied.len() - rest.len()]);
            clean.push_str("null");
            rest = &rest[word..];
            copied = rest;
        } else {
            in_string = c == '"';
            rest = &rest[word.max(c.len_utf8())..];
        }
    }
    if copied.len() == text.len() {
        return None;
    }
    clean.push_str(copied);
    Some(clean)
}

fn is_non_finite(word: &str) -> bool {
    let word = word.trim_start_matches(['-', '+']);
    ["nan", "inf", "infinity"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_replaced() {
        let clean = |text| without_non_finite(text);
        assert_eq!(
            clean(r#"{"a":NaN,"b":-Infinity,"c":-nan}"#).unwrap(),
            r#"{"a":null,"b":null,"c":null}"#
        );
        assert_eq!(
            clean(r#"{"NaN":"inf \" NaN","b":inf}"#).unwrap(),
            r#"{"NaN":"inf \" NaN","b":null}"#
        );
        assert_eq!(clean(r#"{"NaN":"inf","b":[true,null,-1e-5]}"#), None);
        assert_eq!(clean("{\"a\":\"\\"), None);
        assert_eq!(clean("é\\é\"\\é"), None);
    }
}
