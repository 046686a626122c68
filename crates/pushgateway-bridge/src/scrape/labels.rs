//! The labels of one sample, as they stand between the braces.

use std::borrow::Cow;
use std::fmt;

use super::page::BLANK;

/// Labels of one series. More is a mistake of the exporter, and comparing each with each stays cheap.
const MAX_LABELS: usize = 64;

/// Checked labels of one sample, still escaped, with the brace that ends them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Labels<'a>(&'a str);

/// What stands between `{` and the `}` that ends it, and what is behind that.
pub(super) fn scan(text: &str) -> Result<(Labels<'_>, &str), &'static str> {
    let mut names = [""; MAX_LABELS];
    let mut count = 0;
    let mut rest = text;
    while let Some((name, _, behind)) = label(rest)? {
        let earlier = names.get(..count).unwrap_or_default();
        if earlier.contains(&name) {
            return Err("a label stands twice");
        }
        *names.get_mut(count).ok_or("more than 64 labels")? = name;
        count += 1;
        rest = behind;
    }
    // It stopped in front of the brace.
    let end = text.len() - rest.trim_start_matches(BLANK).len() + 1;
    let (inside, behind) = text.split_at(end);
    Ok((Labels(inside), behind))
}

/// The next label, its value still escaped, and what is behind it; none at the end of the braces.
fn label(text: &str) -> Result<Option<(&str, &str, &str)>, &'static str> {
    let text = text.trim_start_matches(BLANK);
    if text.is_empty() {
        return Err("the braces are not closed");
    }
    if text.starts_with('}') {
        return Ok(None);
    }
    let (name, rest) = text.split_once('=').ok_or("a label without a value")?;
    let name = name.trim_end_matches(BLANK);
    if !is_label_name(name) {
        return Err("not the name of a label");
    }
    let rest = rest.trim_start_matches(BLANK);
    let rest = rest.strip_prefix('"').ok_or("a label's value without quotes")?;
    let end = closing_quote(rest).ok_or("a label's value without its second quote")?;
    let (value, rest) = rest.split_at(end);
    let rest = rest.strip_prefix('"').unwrap_or(rest).trim_start_matches(BLANK);
    match rest.strip_prefix(',') {
        Some(rest) => Ok(Some((name, value, rest))),
        None if rest.starts_with('}') => Ok(Some((name, value, rest))),
        None => Err("neither a comma nor a brace behind a label"),
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// As on the page, with its braces.
impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}", self.0)
    }
}

impl<'a> Labels<'a> {
    /// Names and values, as they are meant.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (name, value, behind) = label(rest).ok().flatten()?;
            rest = behind;
            Some((name, unescape(value)))
        })
    }
}

/// Undoes `\\`, `\"` and `\n`; Prometheus leaves any other backslash where it is.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let meant = match (c, chars.as_str().chars().next()) {
            ('\\', Some('n')) => '\n',
            ('\\', Some(next @ ('\\' | '"'))) => next,
            _ => {
                out.push(c);
                continue;
            }
        };
        chars.next();
        out.push(meant);
    }
    Cow::Owned(out)
}

/// Whether a label may be called so; `__name__` is the metric's own.
pub(crate) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(first)
        && bytes.all(|byte| first(byte) || byte.is_ascii_digit())
        && name != "__name__"
}
