//! Patterns that choose workers: `*` stands for any text, `?` for one character.

/// Patterns of which one has to fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Patterns {
    texts: Vec<String>,
    patterns: Vec<Pattern>,
}

impl Patterns {
    /// A unit may be named with its ending: `ollama.service` is `ollama`.
    pub(crate) fn new(patterns: &[String]) -> Self {
        let bare = |text: &String| text.strip_suffix(".service").unwrap_or(text).to_owned();
        let texts: Vec<String> = patterns.iter().map(bare).collect();
        let patterns = texts.iter().map(|text| Pattern::new(text)).collect();
        Self { texts, patterns }
    }

    /// Whether one fits the name or `group:name`.
    pub(crate) fn fit(&self, group: &str, name: &str) -> bool {
        let full_name = format!("{group}:{name}");
        self.patterns
            .iter()
            .any(|pattern| pattern.matches(name) || pattern.matches(&full_name))
    }

    /// As they were written, without the ending of a unit.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// A pattern such as `worker_*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pattern(Vec<char>);

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    /// Whether the whole text fits. Takes at most the product of both lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let pattern = &self.0;
        let (mut p, mut t) = (0, 0);
        // Where to go on when the text after the last `*` does not fit: let it take one character more.
        let mut retry = None;
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    retry = Some((p, t));
                    p += 1;
                }
                Some(wanted) if *wanted == '?' || *wanted == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((star, taken)) = retry else { return false };
                    retry = Some((star, taken + 1));
                    p = star + 1;
                    t = taken + 1;
                }
            }
        }
        pattern[p..].iter().all(|left| *left == '*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "worker", true),
            ("worker_*", "worker_1", true),
            ("worker_*", "my_worker_1", false),
            ("*_?", "worker_1", true),
            ("*_?", "worker_12", false),
            ("*a*b*c*", "xxaxxbxxc", true),
            ("*a*b*c*", "xxcxxbxxa", false),
            ("", "", true),
            ("", "a", false),
            ("wörker?", "wörkerß", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), fits, "{pattern} {text}");
        }
    }

    /// The definition, in exponential time.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            (['*', rest @ ..], _) => (0..=text.len()).any(|skip| slow(rest, &text[skip..])),
            (['?', rest @ ..], [_, tail @ ..]) => slow(rest, tail),
            ([wanted, rest @ ..], [first, tail @ ..]) => wanted == first && slow(rest, tail),
            ([], []) => true,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), slow(&chars(&pattern), &chars(&text)));
        }
    }
}
