//! Names and texts from the wire, made safe to keep: bounded, printable, never empty.

use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;

/// A name from a device: 1 to [`Label::MOST`] bytes of printable text without spaces at its ends.
///
/// Up to 23 bytes take no allocation, and a copy never does.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label(SmolStr);

impl Label {
    /// Bytes of the longest name. A longer one is refused, since two could begin alike.
    pub const MOST: usize = 64;

    /// The name in a text, without spaces at its ends; control characters become `_`.
    ///
    /// None when nothing is left or it is longer than [`Label::MOST`] bytes.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > Self::MOST {
            return None;
        }
        if text.chars().any(char::is_control) {
            return Some(Self(
                text.chars()
                    .map(|c| if c.is_control() { '_' } else { c })
                    .collect(),
            ));
        }
        Some(Self(SmolStr::new(text)))
    }

    /// A name that the program itself gives.
    pub(super) const fn fixed(text: &'static str) -> Self {
        Self(SmolStr::new_static(text))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Label {
    /// `unknown`
    fn default() -> Self {
        Self::fixed("unknown")
    }
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Free text from a device: at most [`Text::MOST`] bytes, and no control characters, so that it can neither grow a log
/// nor disturb a terminal.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Text(Box<str>);

impl Text {
    /// Bytes kept of a text.
    pub const MOST: usize = 512;

    /// The beginning of a text, without spaces at its ends; control characters become spaces.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let text = &text[..text.floor_char_boundary(Self::MOST)];
        if text.chars().any(char::is_control) {
            let clean: String = text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            return Self(clean.trim().into());
        }
        Self(text.trim_end().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
