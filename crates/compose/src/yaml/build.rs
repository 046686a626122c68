//! From the events of the YAML parser to a tree, within bounds.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::frame::{Frame, Key};
use super::{Node, Value, plain};
use crate::error::Problem;
use crate::path;

/// The values of a document at most, with every alias written out. A stack of fifty services has three thousand.
const MAX_NODES: usize = 100_000;

/// The levels of a document at most. A compose file has ten.
const MAX_DEPTH: usize = 32;

/// Reads the one document of `text`. What leaves no tree is an error; what does is added to `problems`.
pub(crate) fn parse(text: &str, problems: &mut Vec<Problem>) -> Result<Node, Problem> {
    let mut builder = Builder {
        problems,
        frames: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
    };
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        builder.event(event, span)?;
    }
    builder.root.ok_or_else(|| {
        Problem::new(
            None,
            "",
            "is empty: a compose file has at least `name` and `services`",
        )
    })
}

/// What the parser says, in our form.
fn syntax(error: &ScanError) -> Problem {
    Problem::new(
        Some(error.marker().line()),
        "",
        format!("is no YAML: {}", error.info()),
    )
}

/// A value that an alias can stand for, and how many values in how many levels it is.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Builder<'a> {
    problems: &'a mut Vec<Problem>,
    /// The lists and maps that are open, outermost first.
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(Problem::new(
                Some(line),
                "",
                "a second document begins here: a compose file has one",
            )),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(line, tag.is_some());
                if self.awaits_key() {
                    self.key(line, &text, style)
                } else {
                    let value = if style == ScalarStyle::Plain {
                        plain::value(&text)
                    } else {
                        Value::Text(text.into())
                    };
                    self.value(Node { line, value }, anchor, 1)
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(line, tag.is_some());
                self.open(Frame::list(line, anchor))
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(line, tag.is_some());
                self.open(Frame::map(line, anchor))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(line, anchor),
        }
    }

    fn awaits_key(&self) -> bool {
        self.frames.last().is_some_and(Frame::awaits_key)
    }

    fn key(&mut self, line: usize, text: &str, style: ScalarStyle) -> Result<(), Problem> {
        let merge = text == "<<" && style == ScalarStyle::Plain;
        if style == ScalarStyle::Plain && !matches!(plain::value(text), Value::Text(_)) {
            let message = format!("the key {text} is not text: quote it");
            self.problems
                .push(Problem::new(Some(line), &self.path(), message));
        }
        self.count(line, 1)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.set_key(Key {
                text: text.to_owned(),
                line,
                merge,
            });
        }
        Ok(())
    }

    fn open(&mut self, mut frame: Frame) -> Result<(), Problem> {
        let line = frame.line;
        if self.awaits_key() {
            return Err(Problem::new(
                Some(line),
                &self.path(),
                "a list or map cannot be a key",
            ));
        }
        self.deepen(line, 1)?;
        self.count(line, 1)?;
        frame.nodes_before = self.nodes - 1;
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let (anchor, nodes) = (frame.anchor, self.nodes - frame.nodes_before);
        let path = self.path();
        let node = frame.into_node(&path, self.problems);
        self.anchored(&node, anchor, nodes)?;
        self.place(node);
        Ok(())
    }

    fn alias(&mut self, line: usize, anchor: usize) -> Result<(), Problem> {
        if self.awaits_key() {
            return Err(Problem::new(Some(line), &self.path(), "an alias cannot be a key"));
        }
        let Some(&Anchored { nodes, depth, .. }) = self.anchors.get(&anchor) else {
            return Err(Problem::new(
                Some(line),
                &self.path(),
                "the alias stands for a value that it is itself part of",
            ));
        };
        self.count(line, nodes)?;
        self.deepen(line, depth)?;
        if let Some(node) = self.anchors.get(&anchor).map(|anchored| anchored.node.clone()) {
            self.place(node);
        }
        Ok(())
    }

    fn value(&mut self, node: Node, anchor: usize, nodes: usize) -> Result<(), Problem> {
        self.count(node.line, nodes)?;
        self.anchored(&node, anchor, nodes)?;
        self.place(node);
        Ok(())
    }

    /// Keeps a copy of `node` for the aliases of `anchor`, which counts as well.
    fn anchored(&mut self, node: &Node, anchor: usize, nodes: usize) -> Result<(), Problem> {
        if anchor != 0 {
            self.count(node.line, nodes)?;
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    nodes,
                    depth: depth(node),
                },
            );
        }
        Ok(())
    }

    fn place(&mut self, node: Node) {
        match self.frames.last_mut() {
            None => self.root = Some(node),
            Some(frame) => {
                if let Some(duplicate) = frame.place(node) {
                    let message = format!("stands here a second time, after line {}", duplicate.first);
                    let path = path::key(&self.path(), &duplicate.key);
                    self.problems
                        .push(Problem::new(Some(duplicate.line), &path, message));
                }
            }
        }
    }

    fn count(&mut self, line: usize, nodes: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("is too large: more than {MAX_NODES} values with every alias written out");
            return Err(Problem::new(Some(line), "", message));
        }
        Ok(())
    }

    /// Makes sure that `levels` more fit into what is open.
    fn deepen(&self, line: usize, levels: usize) -> Result<(), Problem> {
        if self.frames.len() + levels > MAX_DEPTH {
            return Err(Problem::new(
                Some(line),
                "",
                format!("is nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        Ok(())
    }

    fn no_tag(&mut self, line: usize, tagged: bool) {
        if tagged {
            let message = "tags are not supported by missionctl: quote what is text, and leave the tag out";
            self.problems
                .push(Problem::new(Some(line), &self.path(), message));
        }
    }

    /// The path of the value that comes next.
    fn path(&self) -> String {
        self.frames
            .iter()
            .fold(String::new(), |path, frame| frame.path(&path))
    }
}

/// How many levels of lists and maps `node` is.
fn depth(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}
