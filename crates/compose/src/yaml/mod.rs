//! The document as a tree: what YAML says, before compose gives it a meaning.

mod build;
mod frame;
mod plain;

pub(crate) use build::parse;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// The line it begins on, from 1.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) value: Value,
}

/// What YAML tells apart, as the reader of docker compose does: YAML 1.2 with the octal numbers of 1.1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// A value written without quotes that is not text, with its spelling.
    Bare(Bare, String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file, each key once.
    Map(Vec<Entry>),
}

/// A value written without quotes that is not text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bare {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// A date, which has no use in a compose file.
    Date,
}

/// One key of a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// The line of the key, from 1.
    pub(crate) line: usize,
    /// The value.
    pub(crate) value: Node,
}

impl Node {
    /// The entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
}

impl Value {
    /// What a person calls it.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Null => "empty".to_owned(),
            Self::Bare(Bare::Boolean(_), text) => format!("the boolean {text}"),
            Self::Bare(Bare::Integer(_) | Bare::Float(_), text) => format!("the number {text}"),
            Self::Bare(Bare::Date, text) => format!("the date {text}"),
            Self::Text(text) => format!("`{text}`"),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
        }
    }
}
