//! `name:value` pairs, as the Arduino plotter reads them: `temperature:41.5,battery:3.7`.
//!
//! Pairs are separated by commas, tabs or spaces. Values are decimal numbers; what Arduino prints for a value that is
//! none (`nan`, `inf`, `ovf`) is a non-finite number.

use super::Reason;
use super::out::Out;
use super::values;

/// Longest name with its value; what is longer is text with a colon in it.
const LONGEST_PAIR: usize = 100;

/// Reads a line; an error says that it is none of this kind.
pub(super) fn read(line: &str, out: &mut Out<'_>) -> Result<(), Reason> {
    if !line.contains(':') {
        return Err(Reason::Unknown);
    }
    let mut pairs = 0;
    // A space after a comma or a colon is common, as in `a: 1, b: 2`.
    let mut rest = line;
    while !rest.is_empty() {
        let (name, after) = rest.split_once(':').ok_or(Reason::Malformed)?;
        let after = after.trim_start_matches([' ', '\t']);
        let end = after.find([',', '\t', ' ', ';']).unwrap_or(after.len());
        let (value, tail) = after.split_at(end);
        let value = number(value).ok_or(Reason::Malformed)?;
        if !is_name(name) || name.len() > LONGEST_PAIR {
            return Err(Reason::Malformed);
        }
        values::named(out, name, None, value);
        pairs += 1;
        rest = tail.trim_start_matches([',', '\t', ' ', ';']);
    }
    if pairs == 0 {
        Err(Reason::Malformed)
    } else {
        Ok(())
    }
}

/// Whether this can be the name of a value, and not a part of a sentence.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| {
            c.is_alphanumeric()
                || matches!(c, '_' | '-' | '.' | '/' | '%' | '#' | '°' | '[' | ']' | '(' | ')')
        })
}

/// A decimal number, or what stands for none.
pub(super) fn number(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("ovf") || text.eq_ignore_ascii_case("-ovf") {
        return Some(f64::INFINITY);
    }
    // `f64` reads `infinity` too, which nothing prints and which could be a word.
    text.parse()
        .ok()
        .filter(|_| text.len() <= 40 && !text.eq_ignore_ascii_case("infinity"))
}
