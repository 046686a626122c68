//! A value of the document with its place, and what it can be read as.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::{Context, Place, Reference, Section};
use super::fields::Fields;
use crate::yaml::{Bare, Node, Value};
use crate::{path, units};

/// A value of the document. What reads it answers `None` after having noted what is wrong.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    pub(crate) node: &'a Node,
    pub(crate) place: Place,
    pub(crate) context: &'a Context<'a>,
}

impl<'a> Item<'a> {
    pub(crate) fn new(node: &'a Node, path: String, context: &'a Context<'a>) -> Self {
        Self {
            node,
            place: Place {
                line: node.line,
                path,
            },
            context,
        }
    }

    /// Notes that something is wrong here.
    pub(crate) fn refuse(&self, message: impl Into<String>) {
        self.context.refuse(&self.place, message);
    }

    /// The value of `read`, or a note of what is wrong.
    pub(crate) fn accept<T>(&self, read: Result<T, String>) -> Option<T> {
        read.map_err(|message| self.refuse(message)).ok()
    }

    /// Notes that `wanted` should stand here.
    pub(crate) fn mismatch(&self, wanted: &str) {
        self.refuse(format!("must be {wanted}, but is {}", self.node.value.kind()));
    }

    /// Notes that another part of the document must define `name`.
    pub(crate) fn refer(&self, to: Section, name: &str) {
        let reference = Reference {
            to,
            name: name.to_owned(),
            place: self.place.clone(),
        };
        self.context.references.borrow_mut().push(reference);
    }

    pub(crate) fn is_null(&self) -> bool {
        self.node.value == Value::Null
    }

    /// Whether it is a map without entries.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.node.value, Value::Map(entries) if entries.is_empty())
    }

    /// Its text, when it is text.
    pub(crate) fn as_text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) => return Some(text.clone()),
            Value::Bare(..) => self.refuse(format!(
                "must be text, but is {}: quote it",
                self.node.value.kind()
            )),
            _ => self.mismatch("text"),
        }
        None
    }

    /// Text that is not empty.
    pub(crate) fn word(&self) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() {
            self.refuse("is empty");
        }
        (!text.is_empty()).then_some(text)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.refuse(format!("must be {}, but is `{text}`", words.join(" or ")));
        }
        found
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        let value = match &self.node.value {
            Value::Bare(Bare::Boolean(value), _) => Some(*value),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "y" | "yes" | "on" => Some(true),
                "false" | "n" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if value.is_none() {
            self.mismatch("true or false");
        }
        value
    }

    /// A whole number within the bounds of `T`.
    pub(crate) fn integer<T: TryFrom<i64>>(&self) -> Option<T> {
        let value = match &self.node.value {
            Value::Bare(Bare::Integer(value), _) => Some(*value),
            // In text, as it comes from variables, a leading 0 does not make a number octal.
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        let Some(value) = value else {
            self.mismatch("a whole number");
            return None;
        };
        let inside = T::try_from(value).ok();
        if inside.is_none() {
            self.refuse(format!("{value} is out of range"));
        }
        inside
    }

    /// A number above 0.
    pub(crate) fn positive(&self) -> Option<f64> {
        let value = match &self.node.value {
            Value::Bare(Bare::Integer(value), _) => Some(*value as f64),
            Value::Bare(Bare::Float(value), _) => Some(*value),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        let value = value.filter(|value| value.is_finite() && *value > 0.0);
        if value.is_none() {
            self.mismatch("a number above 0");
        }
        value
    }

    pub(crate) fn bytes(&self) -> Option<u64> {
        let value = match &self.node.value {
            Value::Bare(Bare::Integer(value), _) => u64::try_from(*value).ok(),
            Value::Text(text) => units::bytes(text),
            _ => None,
        };
        if value.is_none() {
            self.mismatch("a size in bytes, such as 512m or 1.5gb");
        }
        value
    }

    pub(crate) fn duration(&self) -> Option<Duration> {
        let value = self.as_text().and_then(units::duration);
        if value.is_none() {
            self.mismatch("a duration with units, such as 30s or 1m30s");
        }
        value
    }

    /// What an environment variable, a label or an option can be: text, or what docker compose turns into the very
    /// text that is written here.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) => return Some(text.clone()),
            Value::Bare(bare, text) if is_spelled_as_go_does(*bare, text) => return Some(text.clone()),
            Value::Bare(..) => {
                let kind = self.node.value.kind();
                self.refuse(format!(
                    "docker compose would write {kind} in another way: quote it"
                ));
            }
            Value::Null | Value::List(_) | Value::Map(_) => self.mismatch("text"),
        }
        None
    }

    pub(crate) fn list(&self) -> Option<Vec<Item<'a>>> {
        let Value::List(nodes) = &self.node.value else {
            self.mismatch("a list");
            return None;
        };
        let item = |(index, node)| Item::new(node, path::item(&self.place.path, index), self.context);
        Some(nodes.iter().enumerate().map(item).collect())
    }

    /// The entries of a map whose keys are names of the user's.
    pub(crate) fn entries(&self) -> Option<Vec<(&'a str, Item<'a>)>> {
        let Value::Map(entries) = &self.node.value else {
            self.mismatch("a map");
            return None;
        };
        let item = |entry: &'a crate::yaml::Entry| {
            let mut item = Item::new(
                &entry.value,
                path::key(&self.place.path, &entry.key),
                self.context,
            );
            item.place.line = entry.line;
            (entry.key.as_str(), item)
        };
        Some(entries.iter().map(item).collect())
    }

    /// The entries of a map whose keys are words of compose's.
    pub(crate) fn fields(&self) -> Option<Fields<'a>> {
        Some(Fields::new(self.entries()?))
    }

    /// A list of different texts.
    pub(crate) fn texts(&self) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for item in self.list()? {
            let Some(text) = item.word() else { continue };
            if texts.contains(&text) {
                item.refuse(format!("`{text}` stands in the list twice"));
            }
            texts.push(text);
        }
        Some(texts)
    }

    /// A text, or a list of different ones.
    pub(crate) fn text_or_texts(&self) -> Option<Vec<String>> {
        if self.as_text().is_some() {
            Some(vec![self.word()?])
        } else {
            self.texts()
        }
    }

    /// A map, or a list of `key=value`, with the values that are there.
    pub(crate) fn pairs(&self) -> Option<BTreeMap<String, Option<String>>> {
        let mut pairs = BTreeMap::new();
        if !matches!(self.node.value, Value::List(_)) {
            for (key, item) in self.entries()? {
                let value = if item.is_null() { None } else { item.scalar() };
                pairs.insert(key.to_owned(), value);
            }
            return Some(pairs);
        }
        for item in self.list()? {
            let Some(text) = item.word() else { continue };
            let (key, value) = text
                .split_once('=')
                .map_or((text.as_str(), None), |(key, value)| (key, Some(value)));
            if pairs.insert(key.to_owned(), value.map(str::to_owned)).is_some() {
                item.refuse(format!("`{key}` stands in the list twice"));
            }
        }
        Some(pairs)
    }

    /// Pairs where nothing means an empty text.
    pub(crate) fn labels(&self) -> Option<BTreeMap<String, String>> {
        Some(
            self.pairs()?
                .into_iter()
                .map(|(key, value)| (key, value.unwrap_or_default()))
                .collect(),
        )
    }

    /// Pairs where nothing means the loader's variable of that name, and without one no pair at all.
    pub(crate) fn variables(&self) -> Option<BTreeMap<String, String>> {
        let environment = self.context.environment;
        let value = |(key, value): (String, Option<String>)| {
            let value = value.or_else(|| environment.get(&key).cloned())?;
            Some((key, value))
        };
        Some(self.pairs()?.into_iter().filter_map(value).collect())
    }
}

/// Whether Go, which docker compose is written in, prints the value the way that it is spelled.
fn is_spelled_as_go_does(bare: Bare, text: &str) -> bool {
    match bare {
        Bare::Boolean(value) => text == value.to_string(),
        Bare::Integer(value) => text == value.to_string(),
        Bare::Float(value) => text == value.to_string() && (1e-4..1e6).contains(&value.abs()),
        Bare::Date => false,
    }
}
