//! Just enough of SQL's grammar to see that a text holds one statement: what ends the transaction that may only read
//! could else be followed by what writes.

/// Whether nothing follows the first semicolon outside quotes and comments.
pub(crate) fn is_one_statement(text: &str) -> bool {
    let mut rest = text;
    let mut ended = false;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            ';' => {
                ended = true;
                1
            }
            c if c.is_whitespace() => c.len_utf8(),
            _ => match comment(rest) {
                Some(length) => length,
                None if ended => return false,
                None => quoted(rest).unwrap_or(c.len_utf8()),
            },
        };
        rest = &rest[length..];
    }
    true
}

/// The length of the comment that begins here. One that MySQL runs, `/*! … */`, counts as none.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") {
        return Some(text.find('\n').map_or(text.len(), |end| end + 1));
    }
    let body = text.strip_prefix("/*")?;
    if body.starts_with(['!', 'M']) {
        return None;
    }
    Some(body.find("*/").map_or(text.len(), |end| end + 4))
}

/// The length of the text in quotes that begins here: `'…'`, `"…"`, `` `…` ``, or PostgreSQL's `$tag$…$tag$`.
fn quoted(text: &str) -> Option<usize> {
    let quote = match text.chars().next()? {
        quote @ ('\'' | '"' | '`') => quote.to_string(),
        '$' => {
            let end = text[1..].find('$')? + 2;
            let tag = &text[1..end - 1];
            let good = tag.chars().all(|c| c.is_alphanumeric() || c == '_');
            if !good {
                return None;
            }
            text[..end].to_owned()
        }
        _ => return None,
    };
    let body = &text[quote.len()..];
    let end = body.find(&quote).map_or(body.len(), |end| end + quote.len());
    Some(quote.len() + end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_statement_may_end_and_be_explained() {
        for text in [
            "SELECT 1",
            "SELECT 1;",
            "SELECT 1; -- done; really\n",
            "SELECT ';' AS \"a;b\", `c;d`, $x$ e; f $x$ /* ; g */ FROM t;;",
            "SELECT 'it''s; fine'",
            "-- first; a word\nSELECT 1",
            "SELECT $1, 2 -- ; $",
        ] {
            assert!(is_one_statement(text), "{text}");
        }
    }

    #[test]
    fn a_second_statement_is_seen() {
        for text in [
            "SELECT 1; DELETE FROM t",
            "COMMIT;DELETE FROM t",
            "SELECT ';'; x",
            "SELECT 1 /* ; */; x",
            "SELECT 1; /*!50000 DELETE FROM t */",
            "SELECT 1 -- \n; x",
        ] {
            assert!(!is_one_statement(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in ".{0,60}", quotes in "[;'\"`$*/! a\n-]{0,40}") {
            is_one_statement(&text);
            is_one_statement(&quotes);
        }

        #[test]
        fn what_follows_a_statement_is_seen(first in "[a-z0-9 (),.=]{1,30}", second in "[a-z]{1,10}") {
            let separated = format!("{first};{second}");
            prop_assert!(!is_one_statement(&separated));
        }
    }
}
