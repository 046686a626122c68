//! A command on one line, cut into words as a shell would.

/// The words of `line`: quotes and backslashes count, and no shell runs, so what only a shell could do is refused.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('\'') => break,
                        Some(inside) => quoted.push(inside),
                        None => return Err(unfinished('\'')),
                    }
                }
            }
            '"' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('"') => break,
                        Some('\\') => {
                            quoted.push(letters.next().ok_or_else(|| unfinished('"'))?);
                        }
                        Some('`') => return Err(shell('`')),
                        Some(inside) => quoted.push(inside),
                        None => return Err(unfinished('"')),
                    }
                }
            }
            '\\' => word
                .get_or_insert_default()
                .push(letters.next().ok_or("ends in a backslash")?),
            ';' | '&' | '|' | '<' | '>' | '(' | ')' | '`' => return Err(shell(letter)),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

fn unfinished(quote: char) -> String {
    format!("the quote {quote} has no end")
}

fn shell(letter: char) -> String {
    format!("no shell reads this, so `{letter}` needs quotes; for a shell write a list: [sh, -c, \"…\"]")
}
