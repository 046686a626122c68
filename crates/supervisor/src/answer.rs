//! Reads the XML of an answer, within bounds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};

use crate::error::{Fault, cut};
use crate::value::Value;

/// The largest answer that is read. A thousand processes make about 2 MB.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// How deep arrays and structs may nest. supervisord itself needs four levels.
pub const MAX_DEPTH: usize = 16;

/// An answer is not the XML of XML-RPC.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("byte {position}: {what}")]
pub struct AnswerError {
    position: u64,
    what: String,
}

/// Reads an answer: the value of a `methodResponse`, or the fault that it carries.
///
/// Never panics, and never holds more than a small multiple of the input. The caller bounds the input
/// ([`MAX_ANSWER_BYTES`]); nesting is bounded here ([`MAX_DEPTH`]).
pub fn parse_answer(xml: &[u8]) -> Result<Result<Value, Fault>, AnswerError> {
    let mut parser = Parser::new(xml);
    parser.expect_open(Tag::MethodResponse)?;
    match parser.next_element()? {
        Some(Tag::Params) => {
            parser.expect_open(Tag::Param)?;
            parser.expect_open(Tag::Value)?;
            let value = parser.value(0)?;
            for _ in [Tag::Param, Tag::Params, Tag::MethodResponse] {
                parser.expect_close()?;
            }
            Ok(Ok(value))
        }
        Some(Tag::Fault) => {
            parser.expect_open(Tag::Value)?;
            let value = parser.value(0)?;
            for _ in [Tag::Fault, Tag::MethodResponse] {
                parser.expect_close()?;
            }
            Fault::from_value(&value)
                .map(Err)
                .ok_or_else(|| parser.error("a fault without code and text"))
        }
        _ => Err(parser.error("expected <params> or <fault>")),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tag {
    MethodResponse,
    Params,
    Param,
    Fault,
    Value,
    Int,
    Boolean,
    Double,
    Text,
    Base64,
    Array,
    Data,
    Struct,
    Member,
    Name,
}

impl Tag {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"methodResponse" => Self::MethodResponse,
            b"params" => Self::Params,
            b"param" => Self::Param,
            b"fault" => Self::Fault,
            b"value" => Self::Value,
            b"int" | b"i4" | b"i8" => Self::Int,
            b"boolean" => Self::Boolean,
            b"double" => Self::Double,
            b"string" | b"dateTime.iso8601" => Self::Text,
            b"base64" => Self::Base64,
            b"array" => Self::Array,
            b"data" => Self::Data,
            b"struct" => Self::Struct,
            b"member" => Self::Member,
            b"name" => Self::Name,
            _ => return None,
        })
    }
}

enum Token<'a> {
    Open(Tag),
    Close,
    Text(Cow<'a, str>),
}

struct Parser<'a> {
    reader: Reader<&'a [u8]>,
}

impl<'a> Parser<'a> {
    fn new(xml: &'a [u8]) -> Self {
        let mut reader = Reader::from_reader(xml);
        reader.config_mut().expand_empty_elements = true;
        Self { reader }
    }

    fn error(&self, what: impl Into<String>) -> AnswerError {
        AnswerError {
            position: self.reader.buffer_position(),
            what: cut(what.into()),
        }
    }

    fn next(&mut self) -> Result<Token<'a>, AnswerError> {
        loop {
            let event = self
                .reader
                .read_event()
                .map_err(|error| self.error(error.to_string()))?;
            return Ok(match event {
                Event::Start(start) => {
                    let tag = Tag::of(start.name().as_ref());
                    Token::Open(tag.ok_or_else(|| {
                        let name = start.name();
                        self.error(format!(
                            "unknown element <{}>",
                            String::from_utf8_lossy(name.as_ref())
                        ))
                    })?)
                }
                Event::End(_) => Token::Close,
                Event::Text(text) => Token::Text(self.decoded(text.decode())?),
                Event::CData(text) => Token::Text(self.decoded(text.decode())?),
                Event::GeneralRef(reference) => Token::Text(self.resolved(&reference)?),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => continue,
                Event::DocType(_) => return Err(self.error("a document type is not allowed")),
                Event::Empty(_) | Event::Eof => return Err(self.error("the answer ends early")),
            });
        }
    }

    fn decoded<'b, E: ToString>(&self, text: Result<Cow<'b, str>, E>) -> Result<Cow<'b, str>, AnswerError> {
        text.map_err(|error| self.error(error.to_string()))
    }

    fn resolved(&self, reference: &BytesRef<'_>) -> Result<Cow<'static, str>, AnswerError> {
        if let Some(character) = reference
            .resolve_char_ref()
            .map_err(|error| self.error(error.to_string()))?
        {
            return Ok(character.to_string().into());
        }
        let name = self.decoded(reference.decode())?;
        resolve_xml_entity(&name)
            .map(Cow::Borrowed)
            .ok_or_else(|| self.error(format!("unknown entity &{name};")))
    }

    /// The next element's tag, or `None` where the surrounding element ends. White space is skipped.
    fn next_element(&mut self) -> Result<Option<Tag>, AnswerError> {
        loop {
            match self.next()? {
                Token::Open(tag) => return Ok(Some(tag)),
                Token::Close => return Ok(None),
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) => return Err(self.error("text where an element was expected")),
            }
        }
    }

    fn expect_open(&mut self, tag: Tag) -> Result<(), AnswerError> {
        match self.next_element()? {
            Some(found) if found == tag => Ok(()),
            found => Err(self.error(format!("expected {tag:?}, found {found:?}"))),
        }
    }

    fn expect_close(&mut self) -> Result<(), AnswerError> {
        match self.next_element()? {
            None => Ok(()),
            Some(tag) => Err(self.error(format!("unexpected {tag:?}"))),
        }
    }

    /// The text up to the end of the element that was just opened.
    fn text(&mut self) -> Result<String, AnswerError> {
        let mut text = String::new();
        loop {
            match self.next()? {
                Token::Text(part) if text.is_empty() => text = part.into_owned(),
                Token::Text(part) => text.push_str(&part),
                Token::Close => return Ok(text),
                Token::Open(tag) => return Err(self.error(format!("unexpected {tag:?} within text"))),
            }
        }
    }

    /// A value up to and including its `</value>`; the opening tag is already read.
    fn value(&mut self, depth: usize) -> Result<Value, AnswerError> {
        let mut text = String::new();
        loop {
            match self.next()? {
                Token::Text(part) => text.push_str(&part),
                Token::Close => return Ok(Value::String(text)),
                Token::Open(_) if !text.trim().is_empty() => {
                    return Err(self.error("text beside a typed value"));
                }
                Token::Open(tag) => {
                    let value = self.typed(tag, depth)?;
                    self.expect_close()?;
                    return Ok(value);
                }
            }
        }
    }

    fn typed(&mut self, tag: Tag, depth: usize) -> Result<Value, AnswerError> {
        match tag {
            Tag::Int => self.parsed("an integer").map(Value::Int),
            Tag::Double => self.parsed("a number").map(Value::Double),
            Tag::Boolean => match self.text()?.trim() {
                "0" => Ok(Value::Bool(false)),
                "1" => Ok(Value::Bool(true)),
                other => Err(self.error(format!("{other:?} is not a boolean"))),
            },
            Tag::Text => self.text().map(Value::String),
            Tag::Base64 => {
                let text: String = self.text()?.split_ascii_whitespace().collect();
                let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                bytes
                    .map(Value::Bytes)
                    .map_err(|error| self.error(error.to_string()))
            }
            Tag::Array | Tag::Struct if depth >= MAX_DEPTH => {
                Err(self.error(format!("more than {MAX_DEPTH} levels of arrays and structs")))
            }
            Tag::Array => self.array(depth + 1),
            Tag::Struct => self.structure(depth + 1),
            other => Err(self.error(format!("{other:?} is not a value"))),
        }
    }

    fn parsed<T: std::str::FromStr>(&mut self, kind: &str) -> Result<T, AnswerError> {
        let text = self.text()?;
        text.trim()
            .parse()
            .map_err(|_| self.error(format!("{text:?} is not {kind}")))
    }

    fn array(&mut self, depth: usize) -> Result<Value, AnswerError> {
        self.expect_open(Tag::Data)?;
        let mut values = Vec::new();
        loop {
            match self.next_element()? {
                Some(Tag::Value) => values.push(self.value(depth)?),
                Some(other) => return Err(self.error(format!("unexpected {other:?} in an array"))),
                None => break,
            }
        }
        self.expect_close()?;
        Ok(Value::Array(values))
    }

    fn structure(&mut self, depth: usize) -> Result<Value, AnswerError> {
        let mut members = BTreeMap::new();
        loop {
            match self.next_element()? {
                Some(Tag::Member) => {
                    self.expect_open(Tag::Name)?;
                    let name = self.text()?;
                    self.expect_open(Tag::Value)?;
                    members.insert(name, self.value(depth)?);
                    self.expect_close()?;
                }
                Some(other) => return Err(self.error(format!("unexpected {other:?} in a struct"))),
                None => return Ok(Value::Struct(members)),
            }
        }
    }
}
