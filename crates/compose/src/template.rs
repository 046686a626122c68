//! `$NAME`, `${NAME}` and their kin in the texts of a file.

use std::collections::BTreeMap;

/// The levels of `${A:-${B:-…}}` at most.
const MAX_DEPTH: usize = 16;

/// A text with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, rule: Option<Rule> },
}

/// What stands after the name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    kind: Kind,
    /// A `:`, with which an empty value is like none.
    or_empty: bool,
    argument: Template,
    /// The argument as written.
    written: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `-`: the argument in place of no value.
    Default,
    /// `?`: without a value, an error with the argument as its text.
    Required,
    /// `+`: the argument in place of a value, nothing in place of none.
    Alternative,
}

impl Template {
    /// Reads `text`. A `$` before anything but a name, a brace or another `$` is an ordinary character.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_within(text, MAX_DEPTH)
    }

    fn parse_within(text: &str, depth: usize) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            rest = if let Some(after) = after.strip_prefix('$') {
                plain.push('$');
                after
            } else if let Some(braced) = after.strip_prefix('{') {
                let (inner, after) =
                    split_at_brace(braced).ok_or_else(|| format!("`${{{braced}` lacks its `}}`"))?;
                let variable = braced_variable(inner, depth)?;
                parts.extend([Part::Text(std::mem::take(&mut plain)), variable]);
                after
            } else {
                let (name, after) = split_name(after);
                if name.is_empty() {
                    plain.push('$');
                } else {
                    let variable = Part::Variable {
                        name: name.to_owned(),
                        rule: None,
                    };
                    parts.extend([Part::Text(std::mem::take(&mut plain)), variable]);
                }
                after
            };
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// The text with the values of `environment`.
    pub(crate) fn resolve(&self, environment: &BTreeMap<String, String>) -> Result<String, String> {
        self.0.iter().map(|part| part.resolve(environment)).collect()
    }

    /// Calls `found` with every variable's name and what stands for it when it has no value.
    pub(crate) fn variables<'a>(&'a self, found: &mut impl FnMut(&'a str, Option<&'a str>)) {
        for part in &self.0 {
            let Part::Variable { name, rule } = part else {
                continue;
            };
            let default = rule.as_ref().and_then(|rule| match rule.kind {
                Kind::Default => Some(rule.written.as_str()),
                Kind::Required => None,
                Kind::Alternative => Some(""),
            });
            found(name, default);
            if let Some(rule) = rule {
                rule.argument.variables(found);
            }
        }
    }
}

impl Part {
    fn resolve(&self, environment: &BTreeMap<String, String>) -> Result<String, String> {
        let (name, rule) = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::Variable { name, rule } => (name, rule),
        };
        let value = environment.get(name);
        let Some(rule) = rule else {
            let missing = || {
                format!("the variable {name} has no value: set it, or write ${{{name}:-}} for an empty one")
            };
            return value.cloned().ok_or_else(missing);
        };
        let value = value.filter(|value| !(rule.or_empty && value.is_empty()));
        match (rule.kind, value) {
            (Kind::Default | Kind::Required, Some(value)) => Ok(value.clone()),
            (Kind::Default, None) | (Kind::Alternative, Some(_)) => rule.argument.resolve(environment),
            (Kind::Alternative, None) => Ok(String::new()),
            (Kind::Required, None) => match rule.argument.resolve(environment)?.as_str() {
                "" => Err(format!("the variable {name} has no value, and needs one")),
                reason => Err(format!("the variable {name} has no value: {reason}")),
            },
        }
    }
}

/// Splits what follows a `${` at its `}`.
fn split_at_brace(text: &str) -> Option<(&str, &str)> {
    let mut open = 1;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&text[..index], &text[index + 1..]));
        }
    }
    None
}

/// Splits the variable's name off that `text` begins with, if it does.
fn split_name(text: &str) -> (&str, &str) {
    let inside = |(index, letter): &(usize, char)| {
        letter.is_ascii_alphabetic() || *letter == '_' || (*index > 0 && letter.is_ascii_digit())
    };
    text.split_at(text.char_indices().take_while(inside).count())
}

/// The variable between two braces.
fn braced_variable(inner: &str, depth: usize) -> Result<Part, String> {
    let (name, rest) = split_name(inner);
    let name = name.to_owned();
    if rest.is_empty() && !name.is_empty() {
        return Ok(Part::Variable { name, rule: None });
    }
    let (or_empty, operator) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
    let kind = match operator.chars().next() {
        Some('-') => Kind::Default,
        Some('?') => Kind::Required,
        Some('+') => Kind::Alternative,
        _ => return Err(not_a_variable(inner)),
    };
    if name.is_empty() {
        return Err(not_a_variable(inner));
    }
    if operator.replace("${", "").contains('{') {
        return Err(format!(
            "docker compose does not pair the braces within `${{{inner}}}` as they look: leave them out"
        ));
    }
    if depth == 0 {
        return Err(format!(
            "the variable {name} is nested more than {MAX_DEPTH} levels deep"
        ));
    }
    let written = operator[1..].to_owned();
    let argument = Template::parse_within(&written, depth - 1)?;
    Ok(Part::Variable {
        name,
        rule: Some(Rule {
            kind,
            or_empty,
            argument,
            written,
        }),
    })
}

fn not_a_variable(inner: &str) -> String {
    format!(
        "`${{{inner}}}` is no variable: write `${{NAME}}` or `${{NAME:-default}}`, or `$$` for a mere `$`"
    )
}
