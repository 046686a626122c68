//! Just enough of SQL's grammar to see that a text is one statement that reads. What follows the first one could end the
//! transaction that may only read, and write.

use anyhow::ensure;

/// How a statement begins that reads.
const READING: [&str; 5] = ["SELECT", "WITH", "VALUES", "TABLE", "SHOW"];

/// Refuses what is not plainly one statement that reads.
///
/// Where quotes and comments end is a matter of the dialect, the server's settings and its version, so they are not looked
/// for: without a semicolon there is one statement, however it is read.
pub(crate) fn check(text: &str) -> anyhow::Result<()> {
    let statement = text.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    ensure!(
        !statement.contains(';'),
        "one statement is asked, and this may hold another behind a semicolon; \
         leave semicolons out of comments, and write chr(59) or char(59) for one in a text"
    );
    let word = first_word(statement);
    ensure!(
        READING.iter().any(|reading| reading.eq_ignore_ascii_case(word)),
        "the SQL begins with {word:?}; a query begins with {}",
        READING.join(", ")
    );
    Ok(())
}

/// The word behind blanks, comments and parentheses; empty where there is none.
fn first_word(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c == '(' || c.is_whitespace());
        let Some(length) = comment(rest) else {
            break;
        };
        rest = &rest[length..];
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    &rest[..end.unwrap_or(rest.len())]
}

/// The length of the comment that begins here. None for one that not every server reads alike: MySQL runs `/*! … */`, and
/// PostgreSQL nests.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") || text.starts_with('#') {
        return Some(text.find('\n').map_or(text.len(), |end| end + 1));
    }
    let (body, _) = text.strip_prefix("/*")?.split_once("*/")?;
    let is_plain = !body.starts_with(['!', 'M']) && !body.contains("/*");
    is_plain.then_some(body.len() + 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_statement_may_end_and_be_explained() {
        for text in [
            "SELECT 1",
            "select 1;\n",
            "SELECT 'it''s', \"a\", `b`, $x$ c $x$, E'\\'', [d'e] /* f */ FROM t;;",
            "-- words\n# more\n/* and more */ (SELECT 1) UNION SELECT 2",
            "WITH x AS (SELECT 1) SELECT * FROM x -- all",
            "VALUES (1)",
        ] {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_second_statement_is_refused_however_it_is_quoted() {
        for text in [
            "SELECT 1; DELETE FROM t",
            "SELECT E'\\'' AS l, 1 AS v; COMMIT; CREATE TABLE x(i int); COMMIT; SELECT 'x' AS l, 1 AS v --'",
            "SELECT 1 AS [a'b], 2 AS v; COMMIT; VACUUM INTO '/tmp/x.db' --'",
            "SELECT 1 # '\n; COMMIT -- '",
            "SELECT 1 --'\n; COMMIT --'",
            "SELECT '\\'; COMMIT; SELECT '",
            "SELECT $a$'$a$; COMMIT; SELECT '$a$'",
            "SELECT 1; /*!50000 DELETE FROM t */",
            "SELECT ';'",
        ] {
            let refused = check(text).expect_err(text).to_string();
            assert!(refused.contains("semicolon"), "{refused}");
        }
    }

    #[test]
    fn what_does_not_read_is_refused() {
        for text in [
            "",
            " ;",
            "-- a comment",
            "/* a comment */",
            "/* SELECT",
            "/*! DELETE FROM t */",
            "/*M!100100 DELETE FROM t */ SELECT 1",
            "/* /* */ SELECT 1 */ DELETE FROM t",
            "COMMIT",
            "COPY t TO STDOUT",
            "VACUUM INTO '/tmp/x.db'",
            "ATTACH '/tmp/x.db' AS x",
            "SELECTED",
        ] {
            let refused = check(text).expect_err(text).to_string();
            assert!(refused.contains("a query begins with SELECT"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in ".{0,60}", quotes in "[;'\"`$*/#! a\n-]{0,40}") {
            let _ = (check(&text), check(&quotes));
        }

        #[test]
        fn nothing_hides_a_second_statement(first in "[^;]{0,30}", second in "[a-z]{1,10}") {
            let text = format!("SELECT {first};{second}");
            prop_assert!(check(&text).is_err());
        }
    }
}
