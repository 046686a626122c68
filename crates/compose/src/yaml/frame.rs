//! A list or map that is being read.

use std::collections::HashMap;

use super::{Entry, Node, Value};
use crate::error::Problem;
use crate::path;

/// A list or map that is being read.
pub(super) struct Frame {
    pub(super) line: usize,
    /// The parser's number of its anchor; 0 for none.
    pub(super) anchor: usize,
    /// How many values came before it.
    pub(super) nodes_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Map),
}

#[derive(Default)]
struct Map {
    entries: Vec<Entry>,
    /// The line of each key.
    lines: HashMap<String, usize>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// What `<<` stands for.
    merged: Vec<Node>,
}

/// A key whose value comes next.
pub(super) struct Key {
    pub(super) text: String,
    pub(super) line: usize,
    /// Whether it is `<<` without quotes.
    pub(super) merge: bool,
}

/// A key that a map has already.
pub(super) struct Duplicate {
    pub(super) key: String,
    pub(super) line: usize,
    /// The line where it stands first.
    pub(super) first: usize,
}

impl Frame {
    pub(super) fn list(line: usize, anchor: usize) -> Self {
        Self {
            line,
            anchor,
            nodes_before: 0,
            content: Content::List(Vec::new()),
        }
    }

    pub(super) fn map(line: usize, anchor: usize) -> Self {
        Self {
            line,
            anchor,
            nodes_before: 0,
            content: Content::Map(Map::default()),
        }
    }

    pub(super) fn awaits_key(&self) -> bool {
        matches!(&self.content, Content::Map(Map { key: None, .. }))
    }

    pub(super) fn set_key(&mut self, key: Key) {
        if let Content::Map(map) = &mut self.content {
            map.key = Some(key);
        }
    }

    /// The path of the value that comes next, in a frame whose own path is `path`.
    pub(super) fn path(&self, path: &str) -> String {
        match &self.content {
            Content::List(items) => path::item(path, items.len()),
            Content::Map(map) => map
                .key
                .as_ref()
                .map_or_else(|| path.to_owned(), |key| path::key(path, &key.text)),
        }
    }

    /// Takes the value that comes next; the first stays when a key stands there twice.
    pub(super) fn place(&mut self, node: Node) -> Option<Duplicate> {
        let map = match &mut self.content {
            Content::List(items) => {
                items.push(node);
                return None;
            }
            Content::Map(map) => map,
        };
        let key = map.key.take()?;
        if let Some(&first) = map.lines.get(&key.text) {
            return Some(Duplicate {
                key: key.text,
                line: key.line,
                first,
            });
        }
        map.lines.insert(key.text.clone(), key.line);
        if key.merge {
            map.merged.push(node);
        } else {
            map.entries.push(Entry {
                key: key.text,
                line: key.line,
                value: node,
            });
        }
        None
    }

    /// The finished value, at `path`.
    pub(super) fn into_node(self, path: &str, problems: &mut Vec<Problem>) -> Node {
        let value = match self.content {
            Content::List(items) => Value::List(items),
            Content::Map(map) => Value::Map(map.with_merged(path, problems)),
        };
        Node {
            line: self.line,
            value,
        }
    }
}

impl Map {
    /// Its entries, and those of what `<<` stands for whose keys it lacks; earlier ones win.
    fn with_merged(mut self, path: &str, problems: &mut Vec<Problem>) -> Vec<Entry> {
        let mut sources = Vec::new();
        for node in self.merged {
            match node.value {
                Value::List(items) => sources.extend(items),
                _ => sources.push(node),
            }
        }
        for source in sources {
            let Value::Map(entries) = source.value else {
                let message = format!("stands for maps, but this is {}", source.value.kind());
                problems.push(Problem::new(Some(source.line), &path::key(path, "<<"), message));
                continue;
            };
            for entry in entries {
                if !self.lines.contains_key(&entry.key) {
                    self.lines.insert(entry.key.clone(), entry.line);
                    self.entries.push(entry);
                }
            }
        }
        self.entries
    }
}
